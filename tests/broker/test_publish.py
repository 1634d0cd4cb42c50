"""PUBLISH from clients: to the bridge, to subscribers, or nowhere."""

import pytest

from bridge.ports import Source
from broker.mqtt import packets as p
from pabal.codec import Format
from pabal.ids import DeviceId, UserId

UP = "pabal/v1/up/alice/phone"
DOWN = "pabal/v1/down/alice/phone"
STATUS = "pabal/v1/status/alice/phone"


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_request_goes_to_the_bridge_and_not_to_subscribers(world, qos):
    await world.start()
    client = await world.device("alice:phone")
    await client.publish(UP, b'{"to":"bob"}', qos, retain=True)
    source = Source(UserId("alice"), DeviceId("phone"))
    assert world.inbound.submitted == [(source, b'{"to":"bob"}', Format.JSON)]
    assert not world.broker.retained_messages


async def test_messagepack_is_told_by_its_first_byte_and_what_a_device_may_do_goes_along(world):
    world.authenticator.allow = frozenset(("receive",))
    await world.start()
    client = await world.device("alice:phone")
    await client.publish(UP, b"\x81\xa2to\xa3bob", 1)
    ((source, _, form),) = world.inbound.submitted
    assert form is Format.MSGPACK
    assert source == Source(UserId("alice"), DeviceId("phone"), frozenset({"receive"}))


async def test_a_service_has_a_topic_of_its_own(world):
    await world.start()
    service = await world.client("svc:web-1", username="svc:web-1", password=b"service-secret")
    assert await service.subscribe(("pabal/v1/svc/web-1/down", 1)) == b"\x01"
    await service.publish("pabal/v1/svc/web-1/up", b"{}", 1)
    assert world.inbound.submitted == [("web-1", b"{}", None)]
    world.broker.publish("pabal/v1/svc/web-1/down", b"answer", 1)
    assert [one.payload for one in await service.publishes(1)] == [b"answer"]


async def test_a_puback_waits_for_the_commit(world):
    await world.start()
    world.inbound.hold = True
    client = await world.device("alice:phone")
    await client.send(p.Publish(UP, b"1", 1, packet_id=7))
    assert await client.until_pong() == []
    world.inbound.tickets[0].settle(True)
    assert await client.next() == p.Puback(7)


async def test_acknowledgements_go_out_in_the_order_of_the_publishes(world):
    await world.start()
    world.inbound.hold = True
    client = await world.device("alice:phone")
    await client.send(
        p.Publish(UP, b"1", 1, packet_id=11),
        p.Publish(UP, b"2", 2, packet_id=12),
        p.Publish(UP, b"3", 0),
        p.Publish(STATUS, b"4", 1, packet_id=14),
        p.Publish(UP, b"5", 1, packet_id=15),
        p.Publish("not/mine", b"6", 1, packet_id=16),
    )
    await client.ping()
    one, two, three, five = world.inbound.tickets
    for ticket in (five, three, two):
        ticket.settle(True)
    assert await client.until_pong() == []
    one.settle(True)
    assert [await client.next() for _ in range(5)] == [
        p.Puback(11),
        p.Pubrec(12),
        p.Puback(14),
        p.Puback(15),
        p.Puback(16),
    ]


async def test_what_was_not_kept_is_not_acknowledged_and_the_connection_closes(world):
    await world.start()
    world.inbound.answer = False
    client = await world.device("alice:phone")
    other = await world.device("bob:phone")
    await client.send(p.Publish(UP, b"1", 1, packet_id=7))
    assert await client.closed() == []
    assert world.broker.metrics.unsettled_closed == 1
    await other.ping()


async def test_at_qos_0_nobody_is_told_that_it_was_not_kept(world):
    await world.start()
    world.inbound.answer = False
    client = await world.device("alice:phone")
    await client.publish(UP, b"1", 0)
    await client.ping()
    assert world.inbound.payloads() == [b"1"]


async def test_a_ticket_of_a_closed_connection_is_harmless(world, until):
    await world.start()
    world.inbound.hold = True
    client = await world.device("alice:phone")
    await client.send(p.Publish(UP, b"1", 1, packet_id=7), p.Publish(UP, b"2", 1, packet_id=8))
    await client.ping()
    client.cut()
    await until(lambda: world.broker.metrics.connections == 0)
    for answer, ticket in zip((True, False), world.inbound.tickets, strict=True):
        ticket.settle(answer)
        ticket.settle(answer)


async def test_a_qos_2_packet_sent_again_is_submitted_once(world):
    await world.start()
    client = await world.device("alice:phone")
    packet = p.Publish(UP, b"1", 2, packet_id=7)
    await client.send(packet)
    assert await client.next() == p.Pubrec(7)
    await client.send(p.Publish(UP, b"1", 2, dup=True, packet_id=7))
    assert await client.next() == p.Pubrec(7)
    await client.send(p.Pubrel(7))
    assert await client.next() == p.Pubcomp(7)
    assert world.inbound.payloads() == [b"1"]
    await client.send(packet)
    assert await client.next() == p.Pubrec(7)
    assert world.inbound.payloads() == [b"1", b"1"]


async def test_a_qos_2_packet_is_remembered_over_a_reconnect(world):
    await world.start()
    first = await world.device("alice:phone", clean=False)
    await first.send(p.Publish(UP, b"1", 2, packet_id=7))
    assert await first.next() == p.Pubrec(7)
    again = await world.device("alice:phone", clean=False)
    await again.send(p.Publish(UP, b"1", 2, dup=True, packet_id=7))
    assert await again.next() == p.Pubrec(7)
    assert world.inbound.payloads() == [b"1"]


async def test_a_qos_2_packet_whose_commit_outlasts_its_connection_is_acknowledged_on_the_next(world):
    await world.start()
    world.inbound.hold = True
    first = await world.device("alice:phone", clean=False)
    await first.send(p.Publish(UP, b"1", 2, packet_id=7))
    await first.ping()
    again = await world.device("alice:phone", clean=False)
    await again.send(p.Publish(UP, b"1", 2, dup=True, packet_id=7))
    assert await again.until_pong() == []
    assert world.inbound.payloads() == [b"1"]
    world.inbound.tickets[0].settle(True)
    assert await again.next() == p.Pubrec(7)


async def test_a_qos_2_packet_that_was_not_kept_may_be_sent_again(world):
    await world.start()
    world.inbound.answer = False
    first = await world.device("alice:phone", clean=False)
    await first.send(p.Publish(UP, b"1", 2, packet_id=7))
    await first.closed()
    world.inbound.answer = True
    again = await world.device("alice:phone", clean=False)
    await again.send(p.Publish(UP, b"1", 2, dup=True, packet_id=7))
    assert await again.next() == p.Pubrec(7)
    assert world.inbound.payloads() == [b"1", b"1"]


async def test_a_pubrel_before_the_pubrec_ends_the_connection_and_an_unknown_one_is_confirmed(world):
    await world.start()
    world.inbound.hold = True
    client = await world.device("alice:phone")
    await client.send(p.Pubrel(99))
    assert await client.next() == p.Pubcomp(99)
    await client.send(p.Publish(UP, b"1", 2, packet_id=7), p.Pubrel(7))
    assert await client.closed() == []


async def test_a_connection_with_too_much_unsettled_is_not_read_until_half_of_it_is(world, until):
    await world.start(unsettled_limit=8)
    world.inbound.hold = True
    client = await world.device("alice:phone")
    await client.send(*(p.Publish(UP, b"%d" % n, 1, packet_id=n) for n in range(1, 31)))
    await until(lambda: len(world.inbound.tickets) == 9)
    other = await world.device("bob:phone")
    await other.ping()
    assert len(world.inbound.tickets) == 9
    for ticket in world.inbound.tickets[:5]:
        ticket.settle(True)
    await until(lambda: len(world.inbound.tickets) == 14)
    world.inbound.hold = False
    for ticket in list(world.inbound.tickets[5:]):
        ticket.settle(True)
    assert [await client.next() for _ in range(30)] == [p.Puback(n) for n in range(1, 31)]
    assert world.inbound.payloads() == [b"%d" % n for n in range(1, 31)]


@pytest.mark.parametrize(
    "topic", ["pabal/v1/up/bob/phone", "pabal/v1/up/alice/tablet", DOWN, "pabal/v1/inbox/alice", "x"]
)
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_foreign_topic_is_acknowledged_and_dropped(world, topic, qos):
    await world.start()
    owner = await world.device("bob:phone")
    client = await world.device("alice:phone")
    assert await client.subscribe((DOWN, 1), ("pabal/v1/inbox/alice", 1)) == b"\x01\x01"
    await client.publish(topic, b"x", qos, retain=True)
    assert await client.until_pong() == []
    assert await owner.until_pong() == []
    assert not world.inbound.submitted
    assert not world.broker.retained_messages
    assert world.broker.metrics.offences == 1


async def test_a_hundred_offences_within_a_minute_close_the_connection(world):
    await world.start()
    client = await world.device("alice:phone")
    other = await world.device("bob:phone")
    await client.send(*(p.Publish("x", b"", 1, packet_id=n) for n in range(1, 100)))
    assert await client.until_pong() == [p.Puback(n) for n in range(1, 100)]
    await client.send(p.Publish("x", b"", 1, packet_id=100))
    await client.closed()
    await other.ping()
    assert world.broker.metrics.offences == 100


async def test_old_offences_are_forgotten(world, monkeypatch):
    await world.start()
    client = await world.device("alice:phone")
    clock = [1000.0]
    monkeypatch.setattr(world.broker._hub, "now", lambda: clock[0])
    for _ in range(150):
        clock[0] += 0.7
        await client.publish("x", b"", 1)
    await client.ping()
    assert world.broker.metrics.offences == 150


@pytest.mark.parametrize("published", [0, 1, 2])
@pytest.mark.parametrize("held", [0, 1, 2])
async def test_a_message_arrives_at_the_lesser_qos(world, published, held):
    await world.open()
    subscriber = await world.client("s")
    assert await subscriber.subscribe(("a/+", held)) == bytes((held,))
    publisher = await world.client("p")
    await publisher.publish("a/b", b"hello", published)
    got = await subscriber.expect(p.Publish)
    qos = min(published, held)
    assert got == p.Publish("a/b", b"hello", qos, packet_id=got.packet_id)
    assert bool(got.packet_id) == bool(qos)
    if qos == 1:
        await subscriber.send(p.Puback(got.packet_id))
    if qos == 2:
        await subscriber.send(p.Pubrec(got.packet_id))
        assert await subscriber.next() == p.Pubrel(got.packet_id)
        await subscriber.send(p.Pubcomp(got.packet_id))
    await subscriber.ping()
    assert not world.broker._hub.sessions["s"].inflight


async def test_overlapping_subscriptions_are_told_once_with_the_greatest_qos(world):
    await world.open()
    client = await world.client("c")
    await client.subscribe(("a/#", 0), ("a/b", 1), ("+/b", 0))
    await client.send(p.Publish("a/b", b"x"), p.Publish("a/b", b"y", 1, packet_id=1))
    got = [one for one in await client.until_pong() if isinstance(one, p.Publish)]
    assert [(one.payload, one.qos) for one in got] == [(b"x", 0), (b"y", 1)]


async def test_one_publishers_messages_keep_their_order(world):
    await world.open()
    subscriber = await world.client("s")
    await subscriber.subscribe(("t", 1))
    publisher = await world.client("p")
    await publisher.send(*(p.Publish("t", b"%d" % n, 1, packet_id=n) for n in range(1, 301)))
    assert [int(one.payload) for one in await subscriber.publishes(300)] == list(range(1, 301))


async def test_dollar_topics_are_not_reached_by_a_leading_wildcard(world):
    await world.open()
    client = await world.client("c")
    await client.subscribe(("#", 0), ("+/x", 0))
    await client.publish("$odd/x", b"hidden", 1)
    await client.publish("$SYS/x", b"hidden", 1)
    await client.subscribe(("$odd/#", 0), ("$SYS/#", 0))
    await client.send(p.Publish("$odd/x", b"seen"), p.Publish("$SYS/x", b"ours"))
    assert [one.payload for one in await client.until_pong()] == [b"seen"]
    assert world.broker.metrics.offences == 2


async def test_a_topic_of_very_many_levels_is_dropped(world):
    await world.open()
    client = await world.client("c")
    assert await client.subscribe(("/" * 250, 0), ("+/" * 250 + "#", 0), ("#", 0)) == b"\x80\x80\x00"
    await client.publish("/" * 250, b"x", 1, retain=True)
    assert await client.until_pong() == []
    assert not world.broker.retained_messages


async def test_retained_messages_are_kept_replaced_cleared_and_marked(world):
    await world.open()
    publisher = await world.client("p")
    early = await world.client("early")
    await early.subscribe(("a/#", 1))
    await publisher.publish("a/1", b"old", 1, retain=True)
    await publisher.publish("a/1", b"new", 0, retain=True)
    await publisher.publish("a/2", b"two", 2, retain=True)
    live = await early.publishes(3)
    assert [(one.payload, one.retain) for one in live] == [(b"old", False), (b"new", False), (b"two", False)]
    late = await world.client("late")
    await late.subscribe(("a/+", 1))
    got = await late.publishes(2)
    assert sorted((one.topic, one.payload, one.qos, one.retain) for one in got) == [
        ("a/1", b"new", 0, True),
        ("a/2", b"two", 1, True),
    ]
    await publisher.publish("a/1", b"", 1, retain=True)
    assert [one.payload for one in await late.publishes(1)] == [b""]
    last = await world.client("last")
    await last.subscribe(("a/1", 1))
    await last.ping()


async def test_a_retained_change_is_on_disk_before_its_acknowledgement(world, until):
    await world.open(stored=True)
    client = await world.client("c")
    world.store.gate.shut()
    await client.send(p.Publish("t", b"kept", 1, retain=True, packet_id=5))
    await until(lambda: world.store.gate.waiting)
    assert await client.until_pong() == []
    world.store.gate.open()
    assert await client.next() == p.Puback(5)
    assert world.store.retained["t"].payload == b"kept"
    await client.publish("t", b"", 1, retain=True)
    assert not world.store.retained


async def test_a_retained_change_that_cannot_be_stored_is_not_acknowledged(world):
    await world.open(stored=True)
    client = await world.client("c")
    world.store.gate.broken = True
    await client.send(p.Publish("t", b"kept", 1, retain=True, packet_id=5))
    assert await client.closed() == []


async def test_retained_writes_without_acknowledgement_are_bounded_too(world, until):
    await world.open(stored=True, unsettled_limit=8)
    client = await world.client("c")
    world.store.gate.shut()
    await client.send(*(p.Publish("t", b"%d" % n, retain=True) for n in range(50)))
    await until(lambda: world.store.gate.waiting)
    await (await world.client("other")).ping()
    assert world.broker.metrics.publishes_in == 9
    world.store.gate.open()
    await client.ping()
    await until(lambda: world.store.retained["t"].payload == b"49")
