"""Sessions that outlive connections, and brokers."""

from dataclasses import replace

import pytest

from broker.mqtt import packets as p
from pabal import errors

DOWN = "pabal/v1/down/alice/phone"


async def test_a_persistent_session_is_present_again_also_after_a_restart(world):
    await world.start()
    first = await world.device("alice:phone", clean=False)
    assert not first.present
    await first.subscribe((DOWN, 1))
    await first.disconnect()
    assert (await world.device("alice:phone", clean=False)).present
    await world.kill()
    await world.start()
    again = await world.device("alice:phone", clean=False)
    assert again.present
    world.broker.publish(DOWN, b"x", 1)
    assert [one.payload for one in await again.publishes(1)] == [b"x"]


async def test_a_clean_session_leaves_nothing_behind(world):
    await world.start()
    first = await world.device("alice:phone")
    await first.subscribe((DOWN, 1))
    await first.disconnect()
    assert not (await world.device("alice:phone", clean=False)).present
    assert not world.broker.subscriptions


async def test_qos_1_and_2_wait_for_who_is_away_and_qos_0_does_not(world):
    await world.open()
    sleeper = await world.client("s", clean=False)
    await sleeper.subscribe(("t", 2))
    await sleeper.disconnect()
    publisher = await world.client("p")
    for qos in (0, 1, 2):
        await publisher.publish("t", b"%d" % qos, qos)
    again = await world.client("s", clean=False)
    got = await again.publishes(2)
    assert [(one.payload, one.qos, one.retain, one.dup) for one in got] == [
        (b"1", 1, False, False),
        (b"2", 2, False, False),
    ]


async def test_what_was_in_flight_goes_out_again_with_dup_and_in_order(world):
    await world.open()
    first = await world.client("s", clean=False)
    await first.subscribe(("t", 2))
    publisher = await world.client("p")
    await publisher.publish("t", b"a", 1)
    await publisher.publish("t", b"b", 2)
    await publisher.publish("t", b"c", 2)
    one, two, three = await first.publishes(3, ack=False)
    await first.send(p.Pubrec(two.packet_id))
    assert await first.next() == p.Pubrel(two.packet_id)
    first.cut()
    again = await world.client("s", clean=False)
    assert [await again.next() for _ in range(3)] == [
        p.Publish("t", b"a", 1, dup=True, packet_id=one.packet_id),
        p.Pubrel(two.packet_id),
        p.Publish("t", b"c", 2, dup=True, packet_id=three.packet_id),
    ]
    await again.send(p.Puback(one.packet_id), p.Pubcomp(two.packet_id), p.Pubrec(three.packet_id))
    assert await again.next() == p.Pubrel(three.packet_id)
    await again.send(p.Pubcomp(three.packet_id))
    await again.ping()
    assert not world.broker._hub.sessions["s"].inflight


async def test_acknowledgements_of_the_wrong_kind_or_of_nothing_are_ignored(world):
    await world.open()
    client = await world.client("s")
    await client.subscribe(("t", 2))
    await (await world.client("p")).publish("t", b"a", 2)
    (one,) = await client.publishes(1, ack=False)
    await client.send(p.Puback(one.packet_id), p.Puback(999), p.Pubcomp(999), p.Pubcomp(one.packet_id))
    await client.ping()
    assert len(world.broker._hub.sessions["s"].inflight) == 1
    await client.send(p.Pubrec(999))
    assert await client.next() == p.Pubrel(999)


async def test_the_queue_of_who_is_away_is_bounded_and_the_oldest_go_first(world):
    await world.open(queue_messages=10)
    sleeper = await world.client("s", clean=False)
    await sleeper.subscribe(("t", 1))
    await sleeper.disconnect()
    publisher = await world.client("p")
    for number in range(25):
        await publisher.publish("t", b"%d" % number, 1)
    assert world.broker.metrics.dropped_queue_full == 15
    again = await world.client("s", clean=False)
    assert [int(one.payload) for one in await again.publishes(10)] == list(range(15, 25))
    await again.ping()


async def test_the_queue_is_bounded_in_bytes_too(world):
    await world.open(queue_bytes=10_000)
    sleeper = await world.client("s", clean=False)
    await sleeper.subscribe(("t", 1))
    await sleeper.disconnect()
    publisher = await world.client("p")
    for number in range(10):
        await publisher.publish("t", b"%d" % number * 3000, 1)
    again = await world.client("s", clean=False)
    assert [one.payload[:1] for one in await again.publishes(3)] == [b"7", b"8", b"9"]
    await again.ping()


async def test_the_window_bounds_what_is_in_flight_on_every_topic(world):
    await world.open(window=4)
    client = await world.client("s")
    await client.subscribe(("t", 1))
    publisher = await world.client("p")
    for number in range(10):
        await publisher.publish("t", b"%d" % number, 1)
    first = await client.publishes(4, ack=False)
    assert await client.until_pong() == []
    await client.send(p.Puback(first[0].packet_id))
    assert [one.payload for one in await client.publishes(1, ack=False)] == [b"4"]
    assert await client.until_pong() == []
    await client.send(*(p.Puback(one.packet_id) for one in first[1:]))
    assert [one.payload for one in await client.publishes(5)] == [b"5", b"6", b"7", b"8", b"9"]


async def test_packet_ids_in_use_are_not_given_again(world):
    await world.open()
    client = await world.client("s")
    await client.subscribe(("t", 1))
    session = world.broker._hub.sessions["s"]
    publisher = await world.client("p")
    await publisher.publish("t", b"held", 1)
    (held,) = await client.publishes(1, ack=False)
    session._last_id = 65_534
    for _ in range(2):
        await publisher.publish("t", b"x", 1)
    got = await client.publishes(2)
    assert [one.packet_id for one in got] == [65_535, held.packet_id + 1]


async def test_sessions_not_seen_for_too_long_are_forgotten(world, until):
    await world.start()
    for name in ("alice:phone", "alice:tablet"):
        await (await world.device(name, clean=False)).disconnect()
    await world.kill()
    old = world.store.sessions["alice:phone"]
    world.store.sessions["alice:phone"] = replace(old, last_seen=old.last_seen - 31 * 24 * 3600 * 1000)
    await world.start()
    await until(lambda: list(world.store.sessions) == ["alice:tablet"])
    assert not (await world.device("alice:phone", clean=False)).present
    assert (await world.device("alice:tablet", clean=False)).present


async def test_a_connection_renews_when_its_session_was_last_seen(world):
    await world.start()
    await (await world.device("alice:phone", clean=False)).disconnect()
    await world.kill()
    old = world.store.sessions["alice:phone"]
    world.store.sessions["alice:phone"] = replace(old, last_seen=old.last_seen - 20 * 24 * 3600 * 1000)
    await world.start()
    await world.device("alice:phone", clean=False)
    assert world.store.sessions["alice:phone"].last_seen >= old.last_seen


async def test_a_sweep_renews_the_sessions_that_are_connected_all_the_time(world, until):
    await world.start(sweep_interval=0.02)
    client = await world.device("alice:phone", clean=False)
    session = world.broker._hub.sessions["alice:phone"]
    now = session.stored_seen
    session.stored_seen -= 2 * 24 * 3600 * 1000
    world.store.gate.broken = True
    await until(lambda: session.last_seen > now)
    world.store.gate.broken = False
    await until(lambda: session.stored_seen >= now)
    await client.ping()


async def test_a_store_that_cannot_be_read_stops_the_start(world):
    world.store.gate.broken = True
    with pytest.raises(errors.Unavailable):
        await world.start()
    assert not world.broker.bound


async def test_retained_messages_survive_a_restart(world):
    await world.open(stored=True)
    client = await world.client("c")
    await client.publish("t", b"kept", 1, retain=True)
    await world.kill()
    await world.open(stored=True)
    late = await world.client("c")
    await late.subscribe(("#", 1))
    assert [(one.payload, one.qos, one.retain) for one in await late.publishes(1)] == [(b"kept", 1, True)]


async def test_a_kick_of_a_login_leaves_a_newer_login_of_the_device_alone(world):
    await world.start()
    world.authenticator.credential = "old"
    old = await world.device("alice:phone")
    world.authenticator.credential = "new"
    new = await world.device("alice:phone:2")
    world.authenticator.credential = None
    with_secret = await world.device("alice:phone:3")
    world.kick("alice", "phone", "replaced", "old")
    await old.closed()
    await new.ping()
    await with_secret.ping()
    world.kick("alice", "phone", "kicked")
    await new.closed()
    await with_secret.closed()


async def test_kick_tells_why_and_closes_and_the_will_is_published(world):
    await world.start()
    status = "pabal/v1/status/alice/phone"
    phone = await world.device("alice:phone", clean=False, will=p.Will(status, b"offline", 1, retain=True))
    pub = await world.device("alice:phone:pub")
    tablet = await world.device("alice:tablet")
    other = await world.device("bob:phone")
    await phone.subscribe((DOWN, 1))
    await pub.subscribe((DOWN, 0))
    world.kick("alice", "phone", "password changed")
    for client, qos in ((phone, 1), (pub, 0)):
        (told,) = await client.closed()
        assert (told.topic, told.payload, told.qos) == (
            DOWN,
            b'{"type":"kicked","reason":"password changed"}',
            qos,
        )
    await tablet.ping()
    await other.ping()
    assert world.broker.retained_messages[status].data == b"offline"
    again = await world.device("alice:phone", clean=False)
    assert again.present
    assert await again.until_pong() == []
    world.kick("alice", None)
    assert await tablet.closed() == []
    await again.closed()
    await other.ping()
    world.kick("nobody", None)


async def test_the_sessions_of_a_deleted_device_go_from_memory_and_from_disk(world, until):
    await world.start()
    phone = await world.device("alice:phone", clean=False)
    away = await world.device("alice:phone:2", clean=False)
    await away.disconnect()
    tablet = await world.device("alice:tablet", clean=False)
    bob = await world.device("bob:phone", clean=False)
    world.forget("alice", "phone")
    await phone.closed()
    await until(lambda: sorted(world.store.sessions) == ["alice:tablet", "bob:phone"])
    await tablet.ping()
    assert not (await world.device("alice:phone:2", clean=False)).present
    world.forget("alice", None)
    await tablet.closed()
    await until(lambda: list(world.store.sessions) == ["bob:phone"])
    await bob.ping()


async def test_a_session_that_cannot_be_deleted_now_is_told_and_stays(world, until, caplog):
    await world.start()
    await world.device("alice:phone", clean=False)
    world.store.gate.broken = True
    world.forget("alice", "phone")
    await until(lambda: "stays on disk" in caplog.text)
    assert list(world.store.sessions) == ["alice:phone"]


async def test_what_a_deleted_device_has_left_for_later_subscribers_goes_too(world, until):
    await world.start()
    status = "pabal/v1/status/{}/{}".format
    for user, device in (("alice", "phone"), ("alice", "tablet"), ("alice", "pen"), ("bob", "phone")):
        topic = status(user, device)
        client = await world.device(f"{user}:{device}", will=p.Will(topic, b"offline", 1, retain=True))
        await client.publish(topic, b"online", 1, retain=True)
    await world.broker.retain_message(None, "pabal/v1/presence/alice", b"{}")
    world.forget("alice", "phone")
    await until(lambda: status("alice", "phone") not in world.store.retained)
    assert sorted(world.broker.retained_messages) == [
        "pabal/v1/presence/alice",
        status("alice", "pen"),
        status("alice", "tablet"),
        status("bob", "phone"),
    ]
    world.forget("alice", None)
    await until(lambda: list(world.store.retained) == [status("bob", "phone")])
    assert list(world.broker.retained_messages) == [status("bob", "phone")]
