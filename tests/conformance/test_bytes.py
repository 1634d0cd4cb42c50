"""Strings, fixed headers and packet identifiers (chapters 1.5 and 2), and errors of protocol (4.8, 4.13)."""

import pytest
from wire import connect, fixed, publish, subscribe, unsubscribe

from broker.mqtt import packets as p

MALFORMED, PROTOCOL_ERROR = 0x81, 0x82
BAD_TEXTS = [b"\xc0\x80", b"a\xed\xa0\x80", b"\xff", b"\xf8\x88\x80\x80\x80"]


@pytest.mark.parametrize("text", BAD_TEXTS)
@pytest.mark.clauses(v3="1.5.3-1 3.3.2-1 4.8.0-1", v5="1.5.4-1 3.3.2-1 4.13.1-1")
async def test_ill_formed_utf8_in_a_topic_ends_the_connection(place, ended, text):
    client = await place.client("a")
    await client.raw(publish(place.level, text, b"x"))
    await ended(client, MALFORMED)


@pytest.mark.clauses(v3="1.5.3-2 4.7.3-2", v5="1.5.4-2 4.7.3-2")
@pytest.mark.parametrize("make", [publish, subscribe, unsubscribe])
async def test_a_null_character_ends_the_connection(place, ended, make):
    client = await place.client("a")
    await client.raw(make(place.level, b"a\0b"))
    await ended(client, MALFORMED)


@pytest.mark.clauses(v3="1.5.3-3", v5="1.5.4-3")
async def test_a_byte_order_mark_is_part_of_the_topic(place):
    client = await place.subscriber(("\ufeffa", 0), ("a", 0))
    await client.send(p.Publish("\ufeffa", b"marked"))
    (found,) = await client.publishes(1)
    assert found.topic == "\ufeffa"
    assert await client.until_pong() == []


@pytest.mark.clauses(v3="2.2.2-1 2.2.2-2", v5="2.1.3-1")
@pytest.mark.parametrize("first", [0xC1, 0x41, 0x51, 0x71, 0xE1, 0x80, 0xA0, 0x60])
async def test_reserved_flags_end_the_connection(place, ended, first):
    client = await place.client("a")
    await client.raw(bytes([first, 2, 0, 1]) if first not in {0xC1, 0xE1} else bytes([first, 0]))
    await ended(client, MALFORMED)


@pytest.mark.clauses(v3="3.8.1-1", v5="3.8.1-1")
@pytest.mark.parametrize("flags", [0, 1, 3, 6, 10])
async def test_a_subscribe_with_other_flags_is_malformed(place, ended, flags):
    client = await place.client("a")
    await client.raw(bytes([0x80 | flags]) + subscribe(place.level, b"a")[1:])
    await ended(client, MALFORMED)


@pytest.mark.clauses(v3="3.10.1-1", v5="3.10.1-1")
@pytest.mark.parametrize("flags", [0, 1, 3, 6, 10])
async def test_an_unsubscribe_with_other_flags_is_malformed(place, ended, flags):
    client = await place.client("a")
    await client.raw(bytes([0xA0 | flags]) + unsubscribe(place.level, b"a")[1:])
    await ended(client, MALFORMED)


@pytest.mark.clauses(v3="3.6.1-1", v5="3.6.1-1")
@pytest.mark.parametrize("flags", [0, 1, 3, 6, 10])
async def test_a_pubrel_with_other_flags_is_malformed(place, ended, flags):
    client = await place.client("a")
    await client.raw(bytes([0x60 | flags, 2, 0, 1]))
    await ended(client, MALFORMED)


@pytest.mark.clauses(v3="3.14.1-1", v5="3.14.1-1")
async def test_a_disconnect_with_flags_is_malformed(place, ended):
    watcher = await place.subscriber(("wills", 0))
    client = await place.client("a", will=p.Will("wills", b"gone"))
    await client.raw(b"\xe1\x00")
    await ended(client, MALFORMED)
    assert (await watcher.publishes(1))[0].payload == b"gone"


@pytest.mark.clauses(v5="3.15.1-1")
async def test_an_auth_with_flags_is_malformed(place, ended):
    client = await place.client("a")
    await client.raw(b"\xf1\x00")
    await ended(client, MALFORMED)


@pytest.mark.clauses(v3="2.3.1-1", v5="2.2.1-3")
@pytest.mark.parametrize(
    "make",
    [
        lambda level: publish(level, b"a", qos=1, packet_id=0),
        lambda level: publish(level, b"a", qos=2, packet_id=0),
        lambda level: subscribe(level, b"a", packet_id=0),
        lambda level: unsubscribe(level, b"a", packet_id=0),
    ],
)
async def test_packet_identifier_0_ends_the_connection(place, ended, make):
    client = await place.client("a")
    await client.raw(make(place.level))
    await ended(client, MALFORMED, PROTOCOL_ERROR)


@pytest.mark.clauses(v3="2.3.1-5", v5="2.2.1-2 4.3.1-1")
async def test_at_qos_0_there_is_no_packet_identifier(place):
    client = await place.subscriber(("a", 2))
    await client.raw(publish(place.level, b"a", b"\x00\x01rest"))
    (found,) = await client.publishes(1)
    assert (found.payload, found.qos, found.dup) == (b"\x00\x01rest", 0, False)


@pytest.mark.clauses(v3="2.3.1-4 4.3.2-1 4.3.3-1", v5="2.2.1-4 4.3.2-1 4.3.2-2 4.3.3-1 4.3.3-2")
@pytest.mark.parametrize("qos", [1, 2])
async def test_the_server_gives_each_message_an_identifier_of_its_own(place, qos):
    client = await place.subscriber(("a", qos))
    sender = await place.client("sender")
    for _ in range(10):
        await sender.publish("a", qos=qos)
    found = await client.publishes(10, ack=False)
    assert len({one.packet_id for one in found} - {0}) == 10
    assert {(one.qos, one.dup) for one in found} == {(qos, False)}


@pytest.mark.clauses(v3="2.3.1-6 4.3.2-2", v5="2.2.1-5 4.3.2-4 3.3.4-1")
async def test_a_puback_has_the_identifier_of_its_publish(place):
    client = await place.client("a")
    for packet_id in (1, 255, 256, 65_535):
        await client.send(p.Publish("a", b"x", 1, packet_id=packet_id))
        assert (await client.expect(p.Puback)).packet_id == packet_id


@pytest.mark.clauses(v3="2.3.1-6 4.3.3-2 3.3.4-1", v5="2.2.1-5 4.3.3-8 4.3.3-11 3.3.4-1")
async def test_pubrec_and_pubcomp_have_the_identifier_of_their_publish(place):
    client = await place.client("a")
    for packet_id in (1, 65_535):
        await client.send(p.Publish("a", b"x", 2, packet_id=packet_id))
        assert (await client.expect(p.Pubrec)).packet_id == packet_id
        await client.send(p.Pubrel(packet_id))
        assert (await client.expect(p.Pubcomp)).packet_id == packet_id


@pytest.mark.clauses(v3="2.3.1-7 3.8.4-1 3.8.4-2 3.10.4-4", v5="2.2.1-6 3.8.4-1 3.8.4-2 3.10.4-4 3.10.4-5")
async def test_suback_and_unsuback_have_the_identifier_of_their_request(place):
    client = await place.client("a")
    for packet_id in (1, 65_535):
        await client.send(p.Subscribe(packet_id, (("a", 0),)))
        assert (await client.expect(p.Suback)).packet_id == packet_id
        await client.send(p.Unsubscribe(packet_id, ("a",)))
        assert (await client.expect(p.Unsuback)).packet_id == packet_id


@pytest.mark.clauses(v5="2.2.2-1")
async def test_no_properties_are_a_length_of_zero(place):
    client = await place.client("a")
    await client.raw(subscribe(5, b"a"))
    assert await client._reader.readexactly(6) == b"\x90\x04\x00\x01\x00\x00"
    await client.raw(publish(5, b"a"))
    assert await client._reader.readexactly(7) == b"\x30\x05\x00\x01a\x00x"


@pytest.mark.clauses(v5="1.5.5-1")
async def test_lengths_take_as_few_bytes_as_they_can(place):
    client = await place.subscriber(("a", 0))
    for size, length in (
        (123, b"\x7f"),
        (124, b"\x80\x01"),
        (16_379, b"\xff\x7f"),
        (16_380, b"\x80\x80\x01"),
    ):
        await client.send(p.Publish("a", b"x" * size))
        assert (await client._reader.readexactly(1 + len(length)))[1:] == length
        await client._reader.readexactly(size + 4)


@pytest.mark.clauses(v5="1.5.7-1")
async def test_both_strings_of_a_user_property_are_utf8(place, ended):
    for pair in (b"\x26\x00\x01\xff\x00\x01a", b"\x26\x00\x01a\x00\x01\x00"):
        client = await place.client("a")
        await client.raw(fixed(0x30, b"\x00\x01a" + bytes([len(pair)]) + pair + b"x"))
        await ended(client, MALFORMED)


@pytest.mark.clauses(v3="3.12.4-1", v5="3.12.4-1")
async def test_a_ping_is_answered(place):
    client = await place.client("a")
    await client.raw(b"\xc0\x00")
    assert await client._reader.readexactly(2) == b"\xd0\x00"


@pytest.mark.clauses(v3="4.8.0-1", v5="4.13.1-1 4.13.2-1")
@pytest.mark.parametrize(
    "raw",
    [
        b"\x00\x00",
        b"\x20\x02\x00\x00",
        b"\xd0\x00",
        b"\x30\x80\x80\x80\x80\x01",
        b"\x82\x00",
        b"\x40\x01\x00",
    ],
    ids=["reserved", "connack", "pingresp", "length", "empty", "short"],
)
async def test_what_is_no_packet_of_a_client_ends_the_connection_and_no_other(place, ended, raw):
    other = await place.client("other")
    client = await place.client("a")
    await client.raw(raw)
    await ended(client, MALFORMED, PROTOCOL_ERROR)
    await other.ping()


@pytest.mark.clauses(v3="3.1.4-1", v5="3.1.4-1")
async def test_a_connect_that_ends_too_early_is_not_accepted(place, ended):
    whole = connect(place.level)
    client = await place.raw()
    await client.raw(bytes([whole[0], whole[1] - 1]) + whole[2:-1])
    await ended(client, MALFORMED)
