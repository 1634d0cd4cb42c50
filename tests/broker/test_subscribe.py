"""SUBSCRIBE, UNSUBSCRIBE, and rights that change while subscriptions stand."""

import pytest
from broker_fakes import FakeDirectory

from broker import subscribing
from broker.mqtt import packets as p
from broker.mqtt.reasons import Reason
from pabal.ids import UserId

INBOX = "pabal/v1/inbox/alice"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("pabal/v1/down/alice/phone", 2),
        (INBOX, 1),
        ("pabal/v1/live/alice", 2),
        ("pabal/v1/down/alice/tablet", 0x80),
        ("pabal/v1/inbox/bob", 0x80),
        ("pabal/v1/live/bob", 0x80),
        ("pabal/v1/up/alice/phone", 0x80),
        ("pabal/v1/presence/bob", 0x80),
        ("pabal/v1/inbox/+", 0x80),
        ("pabal/v1/#", 0x80),
        ("#", 0x80),
        ("$SYS/#", 0x80),
        ("a/#/b", 0x80),
        ("a+", 0x80),
    ],
)
async def test_a_device_gets_its_own_and_nothing_else(world, name, code):
    await world.start()
    client = await world.device("alice:phone")
    assert await client.subscribe((name, 2)) == bytes((code,))


async def test_each_filter_has_its_own_code_in_order(world):
    await world.start()
    client = await world.device("alice:phone")
    wanted = (("x", 0), ("pabal/v1/live/alice", 0), ("#", 1), ("pabal/v1/down/alice/phone", 1))
    assert await client.subscribe(*wanted) == b"\x80\x00\x80\x01"


async def test_unsubscribed_is_not_told_and_unsubscribing_what_was_not_held_is_fine(world):
    await world.open()
    client = await world.client("c")
    await client.subscribe(("a/#", 1), ("b", 0))
    await client.unsubscribe("a/#", "b", "c")
    await client.send(p.Publish("a/x", b""), p.Publish("b", b""))
    assert await client.until_pong() == []
    assert not world.broker.subscriptions


async def test_a_new_subscription_replaces_the_qos_and_sends_what_is_retained_again(world):
    await world.open()
    client = await world.client("c")
    await client.publish("t", b"kept", 1, retain=True)
    await client.subscribe(("t", 1))
    assert [one.qos for one in await client.publishes(1)] == [1]
    await client.subscribe(("t", 0))
    assert [one.qos for one in await client.publishes(1)] == [0]
    await client.send(p.Publish("t", b"x", 1, packet_id=9))
    got = await client.until_pong()
    assert p.Publish("t", b"x") in got


async def test_the_retained_messages_of_filters_that_others_hold_stay_theirs(world):
    await world.open()
    client = await world.client("c")
    await client.publish("t", b"kept", 1, retain=True)
    holder = await world.client("h")
    await holder.subscribe(("t", 0))
    await holder.publishes(1)
    assert await (await world.client("new")).until_pong() == []
    resumed = await world.client("h2", clean=False)
    assert await resumed.until_pong() == []


async def test_a_subscription_that_cannot_be_stored_closes_the_connection_and_does_not_stand(world):
    await world.start()
    client = await world.device("alice:phone", clean=False)
    world.store.gate.broken = True
    await client.send(p.Subscribe(9, (("pabal/v1/live/alice", 0), (INBOX, 1))))
    # Not SUBACK 0x80, which says that it is not allowed.
    assert await client.closed() == []
    assert world.store.sessions["alice:phone"].subscriptions == {}
    world.store.gate.broken = False
    client = await world.device("alice:phone", clean=False)
    world.broker.publish("pabal/v1/live/alice", b"x", 0)
    world.deliver("alice", b"u1")
    assert await client.until_pong() == []
    assert await client.subscribe((INBOX, 1)) == b"\x01"
    world.deliver("alice", b"u2")
    assert [one.payload for one in await client.publishes(1)] == [b"u2"]


async def test_an_unsubscribe_that_cannot_be_stored_closes_the_connection(world):
    await world.start()
    client = await world.device("alice:phone", clean=False)
    await client.subscribe((INBOX, 1))
    world.store.gate.broken = True
    await client.send(p.Unsubscribe(9, (INBOX,)))
    assert await client.closed() == []
    assert world.store.sessions["alice:phone"].subscriptions == {INBOX: 1}


async def test_rows_hold_the_subscriptions_before_they_are_confirmed(world, until):
    await world.start()
    client = await world.device("alice:phone", clean=False)
    world.store.gate.shut()
    await client.send(p.Subscribe(1, ((INBOX, 1), ("pabal/v1/live/alice", 0))))
    await until(lambda: world.store.gate.waiting)
    with pytest.raises(TimeoutError):
        await client.next(0.05)
    world.store.gate.open()
    await client.expect(p.Suback)
    assert world.store.sessions["alice:phone"].subscriptions == {INBOX: 1, "pabal/v1/live/alice": 0}
    await client.unsubscribe(INBOX)
    row = world.store.sessions["alice:phone"]
    assert (row.subscriptions, row.position) == ({"pabal/v1/live/alice": 0}, None)


async def test_a_right_that_is_lost_ends_the_standing_subscription(world, until):
    world.directory = FakeDirectory()
    friends = world.directory.friends
    friends.add("bob")
    await world.start()
    client = await world.device("alice:phone", clean=False)
    presence = "pabal/v1/presence/bob"
    assert await client.subscribe((presence, 0), ("pabal/v1/live/alice", 0)) == b"\x00\x00"
    world.broker.recheck(UserId("alice"))
    await client.ping()
    world.broker.publish(presence, b"on", 0)
    assert [one.payload for one in await client.publishes(1)] == [b"on"]
    friends.clear()
    world.broker.recheck(UserId("alice"))
    assert await client.publishes(1) == [p.Publish(presence, b'{"state":"offline"}')]
    await until(lambda: list(world.store.sessions["alice:phone"].subscriptions) == ["pabal/v1/live/alice"])
    world.broker.publish(presence, b"on", 0)
    assert await client.until_pong() == []


ROOM = "pabal/v1/room/gaaaaaaaaaaaa"


async def test_a_room_is_for_its_members_until_they_leave(world):
    world.directory = FakeDirectory()
    await world.start()
    client = await world.device("alice:phone")
    assert await client.subscribe((ROOM, 0)) == b"\x80"
    world.directory.rooms.add(("alice", "gaaaaaaaaaaaa"))
    assert await client.subscribe((ROOM, 0)) == b"\x00"
    world.broker.publish(ROOM, b"one", 0)
    assert await client.publishes(1) == [p.Publish(ROOM, b"one")]
    world.broker.revoke(UserId("alice"), ROOM)
    world.broker.publish(ROOM, b"two", 0)
    assert await client.until_pong() == []


async def test_a_room_is_not_called_forbidden_while_the_database_does_not_answer(world):
    world.directory = FakeDirectory()
    world.directory.rooms.add(("alice", "gaaaaaaaaaaaa"))
    world.directory.failing = True
    await world.start()
    client = await world.device("alice:phone")
    await client.send(p.Subscribe(1, ((ROOM, 0),)))
    assert await client.closed() == []
    newer = await world.device("alice:pad", level=5)
    assert await newer.subscribe((ROOM, 0)) == bytes((Reason.UNSPECIFIED_ERROR,))
    world.directory.failing = False
    again = await world.device("alice:phone")
    assert await again.subscribe((ROOM, 0)) == b"\x00"


async def test_what_stands_is_kept_until_the_database_tells_of_it_again(world, until, monkeypatch):
    monkeypatch.setattr(subscribing, "_RECHECK_S", 0.01)
    monkeypatch.setattr(subscribing, "_RECHECKS", 1_000_000)
    world.directory = FakeDirectory()
    rooms = world.directory.rooms
    rooms.add(("alice", "gaaaaaaaaaaaa"))
    await world.start()
    client = await world.device("alice:phone")
    await client.subscribe((ROOM, 0))
    world.directory.failing, asked = True, world.directory.asked
    world.broker.recheck(UserId("alice"))
    await until(lambda: world.directory.asked > asked)
    world.broker.publish(ROOM, b"one", 0)
    assert await client.publishes(1) == [p.Publish(ROOM, b"one")]
    rooms.clear()
    world.directory.failing = False
    await until(lambda: ROOM not in world.broker.subscriptions)


async def test_rights_that_nobody_can_tell_for_long_end_the_connection(world, monkeypatch):
    monkeypatch.setattr(subscribing, "_RECHECK_S", 0.001)
    world.directory = FakeDirectory()
    world.directory.rooms.add(("alice", "gaaaaaaaaaaaa"))
    await world.start()
    client = await world.device("alice:phone")
    await client.subscribe((ROOM, 0))
    world.directory.failing = True
    world.broker.recheck(UserId("alice"))
    assert await client.closed() == []


async def test_a_right_lost_while_away_is_gone_on_return(world):
    await world.start()
    first = await world.device("alice:phone", clean=False)
    await first.subscribe((INBOX, 1), ("pabal/v1/down/alice/phone", 1))
    await first.disconnect()
    world.authenticator.allow = frozenset(("send",))
    again = await world.device("alice:phone", clean=False)
    assert again.present
    world.deliver("alice", b"u1")
    assert await again.until_pong() == []
    assert list(world.store.sessions["alice:phone"].subscriptions) == ["pabal/v1/down/alice/phone"]
