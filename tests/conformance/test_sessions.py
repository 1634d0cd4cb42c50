"""Sessions, both handshakes, order, resending and flow control (3.1.2, 3.2.2, 4.1 to 4.6, 4.9)."""

import pytest

from broker.mqtt import packets as p
from broker.mqtt.properties import Properties


@pytest.mark.clauses(v3="3.1.2-4 3.2.2-2 3.2.2-3 4.1.0-1", v5="3.1.2-5 3.1.2-6 3.1.2-23 3.2.2-3 4.1.0-1")
async def test_a_session_goes_on_where_it_was(place):
    client = await place.lasting("a")
    assert client.present is False
    await client.subscribe(("a", 1))
    await client.disconnect()
    client = await place.lasting("a")
    assert client.present is True
    await (await place.client("sender")).publish("a", b"x", 1)
    assert [one.payload for one in await client.publishes(1)] == [b"x"]


@pytest.mark.clauses(v3="3.1.2-6 3.1.4-3 3.2.2-1", v5="3.1.2-4 3.1.4-4 3.2.2-2")
async def test_a_clean_start_ends_the_session_before(place):
    client = await place.lasting("a")
    await client.subscribe(("a", 1))
    await client.disconnect()
    client = await place.client("a", clean=True)
    assert client.present is False
    await (await place.client("sender")).publish("a", b"x", 1)
    assert await client.until_pong() == []


@pytest.mark.clauses(v3="3.1.2-6 3.2.2-3 4.1.0-2", v5="3.2.2-3 4.1.0-2")
async def test_a_session_that_is_not_to_last_is_gone(place):
    client = await place.client("a", clean=True)
    await client.subscribe(("a", 1))
    await client.disconnect()
    assert (await place.lasting("a")).present is False


@pytest.mark.clauses(v5="4.1.0-2")
async def test_a_session_is_gone_when_its_time_is_over(place):
    watcher = await place.subscriber(("wills", 0))
    said = Properties(session_expiry_interval=1)
    will = p.Will("wills", b"over", properties=Properties(will_delay_interval=1000))
    client = await place.client("a", clean=False, properties=said, will=will)
    client.cut()
    await watcher.publishes(1)  # it comes when the session is over
    assert (await place.lasting("a")).present is False


@pytest.mark.clauses(v5="3.1.2-23")
async def test_a_disconnect_may_prolong_a_session(place):
    client = await place.client("a", properties=Properties(session_expiry_interval=1))
    await client.send(p.Disconnect(0, Properties(session_expiry_interval=1000)))
    await client.closed()
    assert (await place.lasting("a")).present is True


@pytest.mark.clauses(v3="3.1.2-5 4.5.0-1", v5="4.5.0-1 3.1.2-23")
@pytest.mark.parametrize("qos", [1, 2])
async def test_messages_wait_for_who_is_away(place, qos):
    client = await place.lasting("a")
    await client.subscribe(("a", qos))
    await client.disconnect()
    sender = await place.client("sender")
    for n in range(5):
        await sender.publish("a", b"%d" % n, qos)
    client = await place.lasting("a")
    found = await client.publishes(5)
    assert [(one.payload, one.qos, one.dup) for one in found] == [(b"%d" % n, qos, False) for n in range(5)]


@pytest.mark.clauses(v3="3.3.1-1 4.3.2-1 4.4.0-1", v5="3.3.1-1 4.3.2-3 4.4.0-1")
async def test_what_was_not_acknowledged_at_qos_1_comes_again(place):
    client = await place.lasting("a")
    await client.subscribe(("a", 1))
    sender = await place.client("sender")
    for n in range(3):
        await sender.publish("a", b"%d" % n, 1)
    first = await client.publishes(3, ack=False)
    await client.send(p.Puback(first[1].packet_id))
    await client.ping()
    client = await place.lasting("a")
    again = await client.publishes(2)
    assert [(one.packet_id, one.payload, one.dup) for one in again] == [
        (one.packet_id, one.payload, True) for one in (first[0], first[2])
    ]
    assert await client.until_pong() == []


@pytest.mark.clauses(v3="4.3.3-1 4.4.0-1", v5="4.3.3-3 4.4.0-1")
async def test_what_was_not_received_at_qos_2_comes_again(place):
    client = await place.lasting("a")
    await client.subscribe(("a", 2))
    await (await place.client("sender")).publish("a", b"x", 2)
    (first,) = await client.publishes(1, ack=False)
    client = await place.lasting("a")
    (again,) = await client.publishes(1, ack=False)
    assert (again.packet_id, again.dup) == (first.packet_id, True)


@pytest.mark.clauses(v3="4.3.3-1 4.4.0-1", v5="4.3.3-4 4.3.3-5 4.3.3-6 4.4.0-1")
async def test_after_pubrec_the_pubrel_comes_again_and_not_the_message(place):
    client = await place.lasting("a")
    await client.subscribe(("a", 2))
    await (await place.client("sender")).publish("a", b"x", 2)
    (found,) = await client.publishes(1, ack=False)
    await client.send(p.Pubrec(found.packet_id))
    assert await client.expect(p.Pubrel) == p.Pubrel(found.packet_id)
    client = await place.lasting("a")
    assert await client.expect(p.Pubrel) == p.Pubrel(found.packet_id)
    await client.send(p.Pubcomp(found.packet_id))
    client = await place.lasting("a")
    assert await client.until_pong() == []


@pytest.mark.clauses(v3="4.3.3-2", v5="4.3.3-10")
async def test_a_qos_2_message_that_is_sent_again_is_delivered_once(place):
    watcher = await place.subscriber(("a", 2))
    client = await place.lasting("sender")
    for dup in (False, True):
        await client.send(p.Publish("a", b"x", 2, dup=dup, packet_id=7))
        assert await client.expect(p.Pubrec) == p.Pubrec(7)
    client = await place.lasting("sender")
    await client.send(p.Publish("a", b"x", 2, dup=True, packet_id=7))
    assert await client.expect(p.Pubrec) == p.Pubrec(7)
    await client.send(p.Pubrel(7))
    assert await client.expect(p.Pubcomp) == p.Pubcomp(7)
    found = [one for one in await watcher.until_pong() if isinstance(one, p.Publish)]
    assert [one.payload for one in found] == [b"x"]


@pytest.mark.clauses(v3="4.3.3-2", v5="4.3.3-12")
async def test_after_pubcomp_the_identifier_is_free_again(place):
    watcher = await place.subscriber(("a", 1))
    client = await place.client("sender")
    for payload in (b"1", b"2"):
        await client.send(p.Publish("a", payload, 2, packet_id=7))
        await client.expect(p.Pubrec)
        await client.send(p.Pubrel(7))
        await client.expect(p.Pubcomp)
    assert [one.payload for one in await watcher.publishes(2)] == [b"1", b"2"]


@pytest.mark.clauses(v3="4.3.2-2", v5="4.3.2-5")
@pytest.mark.parametrize("dup", [False, True])
async def test_after_puback_the_identifier_is_free_again(place, dup):
    watcher = await place.subscriber(("a", 0))
    client = await place.client("sender")
    for _ in range(2):
        await client.send(p.Publish("a", b"x", 1, dup=dup, packet_id=7))
        await client.expect(p.Puback)
    assert len(await watcher.publishes(2)) == 2


@pytest.mark.clauses(v3="4.3.1-1", v5="4.3.1-1")
async def test_qos_0_is_sent_once_and_never_again(place):
    client = await place.lasting("a")
    await client.subscribe(("a", 0))
    await (await place.client("sender")).publish("a", b"x", 2)
    (found,) = await client.publishes(1)
    assert (found.qos, found.dup, found.packet_id) == (0, False, 0)
    client = await place.lasting("a")
    assert await client.until_pong() == []


@pytest.mark.clauses(v3="4.6.0-5 4.6.0-6", v5="4.6.0-5 4.6.0-6")
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_messages_come_in_the_order_in_which_they_were_sent(place, qos):
    client = await place.subscriber(("a", qos))
    sender = await place.client("sender")
    # Within what may be under way without an acknowledgement.
    await sender.send(*(p.Publish("a", b"%d" % n, qos, packet_id=n + 1 if qos else 0) for n in range(20)))
    assert [one.payload for one in await client.publishes(20)] == [b"%d" % n for n in range(20)]


@pytest.mark.clauses(v3="4.6.0-2 4.6.0-3")
@pytest.mark.parametrize(("qos", "answer"), [(1, p.Puback), (2, p.Pubrec)])
async def test_acknowledgements_come_in_the_order_of_the_messages(place, qos, answer):
    client = await place.client("a")
    numbers = [9, 3, 7, 1, 20]
    await client.send(*(p.Publish("a", b"x", qos, packet_id=n) for n in numbers))
    assert [(await client.expect(answer)).packet_id for _ in numbers] == numbers


@pytest.mark.clauses(v3="4.6.0-4")
async def test_pubrels_come_in_the_order_of_the_pubrecs(place):
    client = await place.subscriber(("a", 2))
    sender = await place.client("sender")
    for _ in range(4):
        await sender.publish("a", qos=2)
    numbers = [one.packet_id for one in reversed(await client.publishes(4, ack=False))]
    await client.send(*(p.Pubrec(n) for n in numbers))
    assert [(await client.expect(p.Pubrel)).packet_id for _ in numbers] == numbers


@pytest.mark.clauses(v3="4.6.0-1")
async def test_what_comes_again_comes_in_the_old_order(place):
    client = await place.lasting("a")
    await client.subscribe(("a", 2))
    sender = await place.client("sender")
    for n in range(6):
        await sender.publish("a", b"%d" % n, 1 + n % 2)
    first = await client.publishes(6, ack=False)
    client = await place.lasting("a")
    again = await client.publishes(6, ack=False)
    assert [one.packet_id for one in again] == [one.packet_id for one in first]


# -- flow control (MQTT 5)


@pytest.mark.clauses(v5="3.3.4-9 4.9.0-1 4.9.0-2")
@pytest.mark.parametrize("qos", [1, 2])
async def test_no_more_is_under_way_than_the_client_allows(place, qos):
    client = await place.client("a", properties=Properties(receive_maximum=2))
    await client.subscribe(("a", 2))
    sender = await place.client("sender")
    for n in range(4):
        await sender.publish("a", b"%d" % n, qos)
    found = [one for one in await client.until_pong() if isinstance(one, p.Publish)]
    assert len(found) == 2
    if qos == 1:
        await client.send(p.Puback(found[0].packet_id))
    else:
        await client.send(p.Pubrec(found[0].packet_id))
        assert [type(one) for one in await client.until_pong()] == [p.Pubrel]
        await client.send(p.Pubcomp(found[0].packet_id))
    assert [one.payload for one in await client.publishes(1, ack=False)] == [b"2"]
    assert await client.until_pong() == []


@pytest.mark.clauses(v5="3.3.4-10 4.9.0-3")
async def test_a_full_window_holds_nothing_else_up(place):
    client = await place.client("a", properties=Properties(receive_maximum=1))
    await client.subscribe(("a", 1), ("zero", 0))
    sender = await place.client("sender")
    for _ in range(2):
        await sender.publish("a", qos=1)
    await client.publishes(1, ack=False)
    await sender.publish("zero", b"0")
    assert (await client.publishes(1))[0].topic == "zero"
    await client.publish("mine", qos=2)
    assert await client.subscribe(("b", 1)) == b"\x01"
    await client.unsubscribe("b")
    await client.ping()


@pytest.mark.clauses(v5="3.3.4-7 3.3.4-8")
async def test_a_client_that_sends_more_than_the_server_allows_is_closed(place, ended):
    client = await place.client("a")
    most = client.connack.properties.receive_maximum
    for n in range(1, most + 1):
        await client.send(p.Publish("a", b"x", 2, packet_id=n))
        await client.expect(p.Pubrec)
    await client.ping()
    await client.send(p.Publish("a", b"x", 2, packet_id=most + 1))
    await ended(client, 0x93)


@pytest.mark.clauses(v5="4.3.3-7 4.3.3-13")
async def test_a_handshake_that_was_begun_is_finished_although_the_message_expires(place):
    client = await place.lasting("a")
    await client.subscribe(("a", 2))
    sender = await place.client("sender")
    said = Properties(message_expiry_interval=1)
    await sender.send(p.Publish("a", b"x", 2, packet_id=1, properties=said))
    await sender.expect(p.Pubrec)
    (found,) = await client.publishes(1, ack=False)
    client.cut()
    # A will with a delay is what tells us that its time is over.
    clock = await place.subscriber(("clock", 0), name="clock")
    will = p.Will("clock", b"", properties=Properties(will_delay_interval=2))
    (await place.lasting("ticking", will=will)).cut()
    await clock.publishes(1)
    client = await place.lasting("a")
    (again,) = await client.publishes(1, ack=False)
    assert (again.packet_id, again.payload, again.dup) == (found.packet_id, b"x", True)
    await sender.send(p.Pubrel(1))
    assert await sender.expect(p.Pubcomp) == p.Pubcomp(1)


@pytest.mark.clauses(v5="3.6.2-1 3.7.2-1")
async def test_identifiers_that_nobody_knows_are_told_so(place):
    client = await place.client("a")
    await client.send(p.Pubrec(77))
    assert await client.expect(p.Pubrel) == p.Pubrel(77, 0x92)
    await client.send(p.Pubrel(78))
    assert await client.expect(p.Pubcomp) == p.Pubcomp(78, 0x92)
