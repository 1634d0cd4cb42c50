"""What is on its way to persistent sessions when the server is killed."""

import copy

import pytest

from broker.mqtt import packets as p
from broker.mqtt.properties import Properties
from broker.mqtt.reasons import Reason

KEPT = ("sessions", "retained", "messages", "deliveries", "sent", "incoming")


async def crash(world, **settings):
    """As `kill -9`, seen from the disk: what a dying broker still does is not there afterwards."""
    disk = {name: copy.copy(getattr(world.store, name)) for name in KEPT}
    await world.kill()
    for name, kept in disk.items():
        setattr(world.store, name, kept)
    world.store.queue_gate.open()
    await world.open(stored=True, **settings)


async def sleeper(world, name="s", qos=2, topic="t"):
    """A persistent session whose client is away."""
    client = await world.client(name, clean=False)
    await client.subscribe((topic, qos))
    await client.disconnect()


async def test_what_waits_for_who_is_away_survives_in_order_and_as_new(world):
    await world.open(stored=True)
    await sleeper(world)
    publisher = await world.client("p")
    for number in range(6):
        await publisher.publish("t", b"%d" % number, 1 + number % 2)
    await crash(world)
    again = await world.client("s", clean=False)
    assert again.present
    got = [await again.expect(p.Publish) for _ in range(6)]
    assert [(one.payload, one.qos, one.dup) for one in got] == [
        (b"%d" % number, 1 + number % 2, False) for number in range(6)
    ]
    assert len({one.packet_id for one in got}) == 6


async def test_a_publish_is_acknowledged_when_it_is_on_disk_for_every_persistent_session(world):
    await world.open(stored=True)
    await sleeper(world, "one")
    await sleeper(world, "two")
    publisher = await world.client("p")
    world.store.queue_gate.shut()
    await publisher.send(p.Publish("t", b"x", 1, packet_id=1), p.Publish("t", b"y", 2, packet_id=2))
    assert await publisher.until_pong() == []
    world.store.queue_gate.open()
    assert [await publisher.next(), await publisher.next()] == [p.Puback(1), p.Pubrec(2)]
    assert len(world.store.deliveries) == 4
    assert len(world.store.messages) == 2


async def test_nobody_waits_for_the_disk_where_no_persistent_session_is_meant(world):
    await world.open(stored=True)
    await sleeper(world, topic="other")
    live = await world.client("live")
    await live.subscribe(("t", 2))
    publisher = await world.client("p")
    world.store.queue_gate.shut()
    await publisher.publish("t", b"x", 1)
    await publisher.publish("t", b"y", 2)
    assert world.store.groups == []


async def test_what_was_in_flight_comes_again_with_dup_and_its_packet_id(world, until):
    await world.open(stored=True)
    first = await world.client("s", clean=False)
    await first.subscribe(("t", 2))
    publisher = await world.client("p")
    await publisher.publish("t", b"one", 1)
    await publisher.publish("t", b"two", 2)
    sent = await first.publishes(2, ack=False)
    # The one went out before it was on disk, and the other after.
    await until(lambda: world.store.sent.get("s", 0) >= 2)
    await crash(world)
    again = await world.client("s", clean=False)
    for before in sent:
        now = await again.expect(p.Publish)
        assert now == p.Publish("t", before.payload, before.qos, dup=True, packet_id=before.packet_id)


async def test_at_qos_2_a_message_is_sent_after_it_is_on_disk(world):
    await world.open(stored=True)
    client = await world.client("s", clean=False)
    await client.subscribe(("t", 2))
    world.store.queue_gate.shut()
    publisher = await world.client("p")
    await publisher.send(p.Publish("t", b"x", 2, packet_id=1))
    await publisher.ping()
    assert await client.until_pong() == []
    world.store.queue_gate.open()
    assert (await client.expect(p.Publish)).payload == b"x"


async def test_at_qos_2_a_message_that_the_client_has_never_comes_again(world):
    await world.open(stored=True)
    client = await world.client("s", clean=False)
    await client.subscribe(("t", 2))
    await (await world.client("p")).publish("t", b"x", 2)
    (one,) = await client.publishes(1, ack=False)
    world.store.queue_gate.shut()
    await client.send(p.Pubrec(one.packet_id), p.Pubrec(one.packet_id))
    # It is not told to forget the id before that is on disk.
    assert await client.until_pong() == []
    world.store.queue_gate.open()
    assert await client.next() == p.Pubrel(one.packet_id)
    await crash(world)
    again = await world.client("s", clean=False)
    assert await again.until_pong() == [p.Pubrel(one.packet_id)]
    await again.send(p.Pubcomp(one.packet_id))
    await again.ping()
    assert not world.broker._hub.sessions["s"].inflight


async def test_a_qos_2_message_that_was_taken_before_a_crash_is_not_taken_twice(world):
    await world.open(stored=True)
    await sleeper(world)
    publisher = await world.client("p", clean=False)
    await publisher.send(p.Publish("t", b"x", 2, packet_id=7))
    assert await publisher.next() == p.Pubrec(7)
    await crash(world)
    publisher = await world.client("p", clean=False)
    await publisher.send(p.Publish("t", b"x", 2, dup=True, packet_id=7))
    assert await publisher.next() == p.Pubrec(7)
    again = await world.client("s", clean=False)
    assert len([one for one in await again.until_pong() if isinstance(one, p.Publish)]) == 1
    world.store.queue_gate.shut()
    await publisher.send(p.Pubrel(7))
    assert await publisher.until_pong() == []
    world.store.queue_gate.open()
    assert await publisher.next() == p.Pubcomp(7)
    await crash(world)
    publisher = await world.client("p", clean=False)
    await publisher.send(p.Publish("t", b"another", 2, packet_id=7))
    assert await publisher.next() == p.Pubrec(7)
    assert len(world.store.messages) == 2


async def test_what_is_acknowledged_leaves_nothing_on_disk(world, until):
    await world.open(stored=True)
    client = await world.client("s", clean=False)
    await client.subscribe(("t", 2))
    publisher = await world.client("p", clean=False)
    await publisher.publish("t", b"one", 1)
    await publisher.publish("t", b"two", 2)
    await client.publishes(1)
    two = await client.expect(p.Publish)
    await client.send(p.Pubrec(two.packet_id))
    await client.expect(p.Pubrel)
    await client.send(p.Pubcomp(two.packet_id))
    await until(lambda: not (world.store.deliveries or world.store.messages or world.store.incoming))


async def test_what_is_acknowledged_before_anybody_waits_for_the_disk_never_goes_there(world):
    await world.open(stored=True, save_delay=3600.0)
    client = await world.client("s", clean=False)
    await client.subscribe(("t", 1))
    world.broker.publish("t", b"x", 1)
    await client.publishes(1)
    await client.ping()
    await world.kill()
    assert all(not group.deliveries and not group.messages for group in world.store.groups)


async def test_a_clean_stop_loses_nothing_that_nobody_waited_for(world):
    await world.open(stored=True, save_delay=3600.0)
    await sleeper(world)
    world.broker.publish("t", b"x", 1)
    await world.kill()
    await world.open(stored=True)
    again = await world.client("s", clean=False)
    assert [one.payload for one in await again.publishes(1)] == [b"x"]


async def test_a_disk_that_fails_delays_the_acknowledgement_and_nothing_is_lost_or_doubled(world, until):
    await world.open(stored=True)
    await sleeper(world)
    away = await world.client("other", clean=False)
    await away.subscribe(("t", 1))
    publisher = await world.client("p")
    world.store.queue_gate.broken = True
    await publisher.send(p.Publish("t", b"x", 1, packet_id=1))
    await until(lambda: world.broker.metrics.saved_groups >= 3)
    await away.publishes(1)  # meanwhile somebody acknowledges it
    assert await publisher.until_pong() == []
    world.store.queue_gate.broken = False
    assert await publisher.next() == p.Puback(1)
    await until(lambda: [key[0] for key in world.store.deliveries] == ["s"])
    assert len(world.store.messages) == 1


async def test_what_the_disk_cannot_keep_up_with_is_bounded_and_refused(world):
    await world.open(stored=True, unsaved_limit=3)
    await sleeper(world)
    publisher = await world.client("p", level=5)
    world.store.queue_gate.shut()
    await publisher.send(p.Publish("t", b"first", 1, packet_id=1))
    await publisher.ping()  # that one is being written, and the next ones gather
    for packet_id in range(2, 6):
        await publisher.send(p.Publish("t", b"x", 1, packet_id=packet_id))
        await publisher.ping()
    world.store.queue_gate.open()
    answers = [await publisher.expect(p.Puback) for _ in range(5)]
    assert [one.reason for one in answers] == [0, 0, 0, 0, Reason.QUOTA_EXCEEDED]
    assert world.broker.metrics.dropped_unsaved == 1
    assert len(world.store.deliveries) == 4


async def test_a_session_that_ends_takes_its_messages_along(world, until):
    await world.open(stored=True)
    await sleeper(world)
    await sleeper(world, "other")
    await (await world.client("p")).publish("t", b"x", 1)
    await (await world.client("s")).disconnect()
    await until(lambda: [key[0] for key in world.store.deliveries] == ["other"])
    assert not (await world.client("s", clean=False)).present
    assert len(world.store.messages) == 1
    await (await world.client("other")).disconnect()
    await until(lambda: not world.store.messages)


async def test_what_belongs_to_no_session_on_disk_is_swept_away(world, until):
    await world.open(stored=True)
    await sleeper(world)
    await (await world.client("p", clean=False)).publish("t", b"x", 2)
    await (await world.client("q", clean=False)).send(p.Publish("t", b"y", 2, packet_id=1))
    await until(lambda: world.store.incoming and len(world.store.deliveries) == 2)
    await world.kill()
    world.store.sessions.clear()
    await world.open(stored=True)
    await until(lambda: not (world.store.deliveries or world.store.messages or world.store.incoming))


async def test_the_bound_of_a_queue_counts_on_disk_too(world, until):
    await world.open(stored=True, queue_messages=3)
    await sleeper(world)
    publisher = await world.client("p")
    for number in range(8):
        await publisher.publish("t", b"%d" % number, 1)
    await until(lambda: len(world.store.deliveries) == 3)
    await crash(world)
    again = await world.client("s", clean=False)
    assert [one.payload for one in await again.publishes(3)] == [b"5", b"6", b"7"]


async def test_all_sessions_together_hold_a_bounded_number_of_bytes(world):
    await world.open(queue_bytes_total=10_000)
    await sleeper(world, "one")
    await sleeper(world, "two")
    publisher = await world.client("p")
    for _ in range(10):
        await publisher.publish("t", b"x" * 1000, 1)
    metrics = world.broker.metrics
    assert metrics.queued_bytes <= 10_000
    assert metrics.dropped_queue_full == 20 - metrics.queued_bytes // (1000 + 1 + 64)


async def test_properties_and_what_a_subscription_said_survive(world):
    await world.open(stored=True)
    client = await world.client("s", level=5, properties=Properties(session_expiry_interval=1000))
    said = Properties(subscription_identifiers=(9,))
    options = p.subscription_options(1, retain_as_published=True)
    await client.send(p.Subscribe(1, (("t", options),), said))
    assert (await client.expect(p.Suback)).codes == b"\x01"
    await client.disconnect()
    publisher = await world.client("p", level=5)
    about = Properties(content_type="text/plain", user_properties=(("a", "1"), ("a", "2")))
    for retain in (True, False):
        await publisher.send(p.Publish("t", b"x", 1, retain, packet_id=1, properties=about))
        assert await publisher.expect(p.Puback) == p.Puback(1)
    await crash(world)
    again = await world.client("s", level=5, clean=False, properties=Properties(session_expiry_interval=1000))
    assert again.present
    for retain in (True, False):
        (one,) = await again.publishes(1)
        assert one.retain is retain
        assert one.properties == Properties(
            content_type="text/plain",
            user_properties=(("a", "1"), ("a", "2")),
            subscription_identifiers=(9,),
        )
    publisher = await world.client("p", level=5)
    await publisher.publish("t", b"new", 1)
    assert (await again.publishes(1))[0].properties.subscription_identifiers == (9,)


@pytest.mark.parametrize("expiry", [0, 1000])
async def test_the_expiry_of_a_session_survives(world, until, expiry):
    await world.open(stored=True)
    said = Properties(session_expiry_interval=1)
    await (await world.client("short", level=5, properties=said)).disconnect()
    said = Properties(session_expiry_interval=expiry)
    client = await world.client("s", level=5, properties=Properties(session_expiry_interval=1000))
    await client.disconnect()
    await world.client("s", level=5, clean=False, properties=said)
    await crash(world)
    assert ("s" in world.broker._hub.sessions) == bool(expiry)
    await until(lambda: "short" not in world.store.sessions)
    assert ("s" in world.store.sessions) == bool(expiry)


async def test_what_was_sent_before_it_was_on_disk_comes_again_with_dup(world, until):
    await world.open(stored=True)
    client = await world.client("s", clean=False)
    await client.subscribe(("t", 1))
    world.store.queue_gate.shut()
    await (await world.client("p")).send(p.Publish("t", b"x", 1, packet_id=1))
    (one,) = await client.publishes(1, ack=False)
    world.store.queue_gate.open()
    await until(lambda: world.store.deliveries)
    await crash(world)
    again = await world.client("s", clean=False)
    assert await again.expect(p.Publish) == p.Publish("t", b"x", 1, dup=True, packet_id=one.packet_id)


async def test_what_is_being_written_for_a_session_that_ends_does_not_stay(world, until):
    await world.open(stored=True)
    await sleeper(world)
    publisher = await world.client("p")
    world.store.queue_gate.shut()
    await publisher.send(p.Publish("t", b"x", 1, packet_id=1))
    await until(lambda: world.store.queue_gate.waiting)
    anew = await world.client("s")
    assert not anew.present
    world.store.queue_gate.open()
    assert await publisher.next() == p.Puback(1)
    await until(lambda: not (world.store.deliveries or world.store.messages))
