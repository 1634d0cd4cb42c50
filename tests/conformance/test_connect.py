"""CONNECT and CONNACK (3.1, 3.2)."""

import pytest
from wire import connect, publish, text

from broker.mqtt import packets as p
from broker.mqtt.properties import Properties

MALFORMED, PROTOCOL_ERROR, VERSION, NOT_AUTHORIZED = 0x81, 0x82, 0x84, 0x87
ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@pytest.mark.clauses(v3="3.1.0-1", v5="3.1.0-1 3.14.0-1")
@pytest.mark.parametrize("first", [b"\xc0\x00", b"\xe0\x00", b"\x30\x03\x00\x01a"])
async def test_the_first_packet_is_a_connect(place, first):
    client = await place.raw()
    await client.raw(first)
    assert await client.closed() == []


@pytest.mark.clauses(v3="3.1.0-2", v5="3.1.0-2")
async def test_a_second_connect_ends_the_connection(place, ended):
    client = await place.client("a")
    await client.send(p.Connect("a", level=place.level))
    await ended(client, PROTOCOL_ERROR)


@pytest.mark.clauses(v3="3.1.2-1", v5="3.1.2-1")
async def test_another_protocol_name_is_not_served(place, ended):
    client = await place.raw()
    await client.raw(connect(place.level, name=b"MQTX"))
    await ended(client)


@pytest.mark.clauses(v3="3.1.2-2", v5="3.1.2-2")
@pytest.mark.parametrize("version", [0, 6, 0x7F])
async def test_another_protocol_version_is_refused(place, version):
    client = await place.raw()
    await client.raw(connect(place.level, version=version))
    # What it says is in the words of one version or the other.
    assert await client._reader.read() in {bytes((0x20, 2, 0, 1)), bytes((0x20, 3, 0, VERSION, 0))}


@pytest.mark.clauses(v3="3.1.2-3 3.1.4-1", v5="3.1.2-3 3.1.4-1")
async def test_the_reserved_flag_of_a_connect_is_0(place, ended):
    client = await place.raw()
    await client.raw(connect(place.level, flags=3))
    await ended(client, MALFORMED)


@pytest.mark.clauses(v3="3.1.2-11 3.1.2-13", v5="3.1.2-11")
@pytest.mark.parametrize("flags", [0x0A, 0x12])
async def test_without_a_will_there_is_no_will_qos(place, ended, flags):
    client = await place.raw()
    await client.raw(connect(place.level, flags=flags))
    await ended(client, MALFORMED)


@pytest.mark.clauses(v3="3.1.2-11 3.1.2-15", v5="3.1.2-13")
async def test_without_a_will_there_is_no_will_retain(place, ended):
    client = await place.raw()
    await client.raw(connect(place.level, flags=0x22))
    await ended(client, MALFORMED)


@pytest.mark.clauses(v3="3.1.2-14", v5="3.1.2-12")
async def test_a_will_has_no_qos_3(place, ended):
    client = await place.raw()
    properties = b"\x00" if place.level == 5 else b""
    await client.raw(
        connect(place.level, flags=0x1E, payload=b"\x00\x01a" + properties + b"\x00\x01t\x00\x01x")
    )
    await ended(client, MALFORMED)


@pytest.mark.clauses(v3="3.1.2-9 3.1.3-1", v5="3.1.2-9 3.1.3-1")
async def test_a_will_that_is_announced_is_there(place, ended):
    client = await place.raw()
    await client.raw(connect(place.level, flags=0x06))
    await ended(client, MALFORMED)


@pytest.mark.clauses(v3="3.1.2-18", v5="3.1.2-16")
async def test_a_user_name_that_is_not_announced_is_not_there(place, ended):
    client = await place.raw()
    await client.raw(connect(place.level, payload=b"\x00\x01a\x00\x01u"))
    await ended(client, MALFORMED)


@pytest.mark.clauses(v3="3.1.2-19", v5="3.1.2-17")
async def test_a_user_name_that_is_announced_is_there(place, ended):
    client = await place.raw()
    await client.raw(connect(place.level, flags=0x82))
    await ended(client, MALFORMED)


@pytest.mark.clauses(v3="3.1.2-20", v5="3.1.2-18")
async def test_a_password_that_is_not_announced_is_not_there(place, ended):
    client = await place.raw()
    await client.raw(connect(place.level, flags=0x82, payload=b"\x00\x01a\x00\x01u\x00\x01p"))
    await ended(client, MALFORMED)


@pytest.mark.clauses(v3="3.1.2-21", v5="3.1.2-19")
async def test_a_password_that_is_announced_is_there(place, ended):
    client = await place.raw()
    await client.raw(connect(place.level, flags=0xC2, payload=b"\x00\x01a\x00\x01u"))
    await ended(client, MALFORMED)


@pytest.mark.clauses(v3="3.1.2-22")
async def test_no_password_without_a_user_name(place, ended):
    client = await place.raw()
    await client.raw(connect(4, flags=0x42, payload=b"\x00\x01a\x00\x01p"))
    await ended(client)


@pytest.mark.clauses(v3="3.1.3-3", v5="3.1.3-3")
async def test_a_connect_has_a_client_identifier(place, ended):
    client = await place.raw()
    await client.raw(connect(place.level, payload=b""))
    await ended(client, MALFORMED)


@pytest.mark.clauses(v3="3.1.3-4 3.1.3-10 3.1.3-11", v5="3.1.3-4 3.1.3-11 3.1.3-12")
@pytest.mark.parametrize("which", ["client identifier", "will topic", "user name"])
async def test_the_texts_of_a_connect_are_utf8(place, ended, which):
    will = (
        (b"\x00" if place.level == 5 else b"") + text(b"\xff" if which == "will topic" else b"t") + text(b"x")
    )
    name = b"\xff" if which == "client identifier" else b"a"
    user = b"\xff" if which == "user name" else b"u"
    client = await place.raw()
    await client.raw(connect(place.level, flags=0x86, payload=text(name) + will + text(user)))
    await ended(client, MALFORMED)


@pytest.mark.clauses(v3="3.1.3-5", v5="3.1.3-5")
@pytest.mark.parametrize("name", ["a", ALPHABET[:23], ALPHABET[23:46], ALPHABET[39:]])
async def test_ordinary_client_identifiers_are_taken(place, name):
    await (await place.client(name)).ping()


@pytest.mark.clauses(v3="3.1.3-6", v5="3.1.3-6 3.1.3-7 3.2.2-16")
async def test_who_has_no_client_identifier_is_given_one(place):
    one, other = await place.client(""), await place.client("")
    await one.ping()
    await other.ping()
    if place.level == 5:
        names = {client.connack.properties.assigned_client_identifier for client in (one, other)}
        assert len(names - {None, ""}) == 2


@pytest.mark.clauses(v3="3.1.3-7 3.1.3-8 3.2.2-4 3.2.2-5")
async def test_no_client_identifier_and_no_clean_session_is_refused(place):
    client = await place.raw()
    await client.send(p.Connect("", clean=False))
    assert await client.closed() == [p.Connack(session_present=False, code=2)]


@pytest.mark.clauses(v3="3.1.3-9 3.2.2-4 3.2.2-5", v5="3.1.3-8 3.2.2-6 3.2.2-7 3.2.2-8 4.13.2-1")
async def test_a_client_identifier_that_is_too_long_is_refused(place):
    client = await place.raw()
    await client.send(p.Connect("x" * 1000, level=place.level))
    (found,) = await client.closed()
    assert (found.session_present, found.code) == (False, 2 if place.level == 4 else 0x85)


@pytest.mark.clauses(v3="3.1.3-2 3.1.4-2", v5="3.1.3-2 3.1.4-3")
async def test_a_second_connection_takes_over_from_the_first(place, ended):
    first = await place.client("a")
    second = await place.client("a")
    await ended(first, 0x8E)
    await second.ping()


@pytest.mark.clauses(v3="3.1.4-4 3.2.0-1 3.2.2-1", v5="3.1.4-5 3.2.0-1 3.2.2-1 3.2.2-2")
async def test_a_connect_is_answered_before_all_else(place):
    client = await place.raw()
    await client.raw(connect(place.level) + b"\xc0\x00")
    start = await client._reader.readexactly(4)
    assert start[0] == 0x20
    assert start[2:] == b"\x00\x00"


@pytest.mark.clauses(v5="3.2.0-2")
async def test_there_is_one_connack(place):
    client = await place.client("a")
    await client.subscribe(("a", 0))
    assert await client.until_pong() == []


@pytest.mark.clauses(v3="3.1.4-5 3.3.5-2", v5="3.1.4-2 3.1.4-6")
async def test_what_follows_a_refused_connect_is_not_looked_at(place):
    watcher = await place.subscriber(("#", 0))
    client = await place.raw()
    refused = connect(place.level, payload=text(b"x" * 1000))
    await client.raw(refused + publish(place.level, b"a", b"no"))
    assert not any(isinstance(one, p.Connack) and one.code == 0 for one in await client.closed())
    assert await watcher.until_pong() == []


@pytest.mark.clauses(v3="3.1.2-24", v5="3.1.2-22 3.2.2-22")
async def test_who_is_silent_for_longer_than_its_keep_alive_is_closed(place, ended):
    watcher = await place.subscriber(("wills", 0))
    client = await place.client("a", keep_alive=1, will=p.Will("wills", b"silent"))
    await ended(client, 0x8D)
    assert (await watcher.publishes(1))[0].payload == b"silent"


@pytest.mark.clauses(v5="3.1.4-2 4.12.0-1")
async def test_an_authentication_method_is_refused(place):
    client = await place.raw()
    await client.send(p.Connect("a", level=5, properties=Properties(authentication_method="none of ours")))
    assert [one.code for one in await client.closed()] == [0x8C]


@pytest.mark.clauses(v5="4.12.0-6 4.12.0-7")
async def test_without_an_authentication_method_auth_has_no_place(place, ended):
    client = await place.client("a")
    assert client.connack.properties.authentication_method is None
    await client.send(p.Auth(0x19))
    await ended(client, PROTOCOL_ERROR)


@pytest.mark.clauses(v5="3.1.2-28")
async def test_nobody_is_told_what_he_did_not_ask_for(place):
    client = await place.client("a", properties=Properties(request_response_information=False))
    assert client.connack.properties.response_information is None


@pytest.mark.clauses(v5="3.1.2-29")
async def test_who_wants_no_words_gets_none(place):
    client = await place.client("a", properties=Properties(request_problem_information=False))
    await client.send(p.Subscribe(1, (("denied/topic", 0),)))
    assert (await client.expect(p.Suback)).properties is None
    await client.send(p.Publish("denied/topic", b"x", 1, packet_id=2))
    answer = await client.expect(p.Puback)
    assert (answer.reason, answer.properties) == (NOT_AUTHORIZED, None)


@pytest.mark.clauses(v5="3.2.2-19 3.2.2-20 3.14.2-3 3.14.2-4")
async def test_words_never_make_a_packet_too_large(place):
    client = await place.client("a", properties=Properties(maximum_packet_size=20))
    await client.send(p.Subscribe(0, (("a", 0),)))
    for one in await client.closed():
        assert one.properties is None
