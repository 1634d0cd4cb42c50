"""The inbox: in order, without a hole, nothing twice on a connection, and nothing queued in memory."""

import pytest
from broker_client import RawClient

from bridge.ports import StoredSession
from broker.mqtt import packets as p
from broker.mqtt.properties import Properties

INBOX = "pabal/v1/inbox/alice"


def seqs(packets):
    return [int(one.payload) for one in packets]


def some(first, last):
    return [b"%d" % seq for seq in range(first, last + 1)]


async def following(world, name="alice:phone", qos=1, **fields) -> RawClient:
    client = await world.device(name, **fields)
    assert await client.subscribe((INBOX, qos)) == bytes((min(qos, 1),))
    return client


@pytest.mark.parametrize("clean", [True, False])
async def test_a_new_session_starts_at_the_head_and_follows_live(world, clean):
    await world.start()
    world.deliver("alice", *some(1, 3))
    client = await following(world, clean=clean)
    world.deliver("alice", *some(4, 5))
    world.deliver("alice", *some(6, 6))
    got = await client.publishes(3)
    assert seqs(got) == [4, 5, 6]
    assert {(one.topic, one.qos, one.retain) for one in got} == {(INBOX, 1, False)}
    assert not world.inbox.reads


async def test_what_was_delivered_already_is_not_sent_again(world):
    await world.start()
    client = await following(world)
    world.deliver("alice", *some(1, 3))
    await client.publishes(3)
    world.broker.deliver("alice", [(2, b"2"), (3, b"3")])
    assert await client.until_pong() == []


async def test_a_hole_in_what_is_delivered_is_read_from_the_inbox(world):
    await world.start()
    client = await following(world)
    world.deliver("alice", b"1")
    await client.publishes(1)
    for payload in some(2, 4):
        world.inbox.append("alice", payload)
    world.deliver("alice", b"5")
    assert seqs(await client.publishes(4)) == [2, 3, 4, 5]
    world.deliver("alice", b"6")
    assert seqs(await client.publishes(1)) == [6]
    assert len(world.inbox.reads) == 1


async def test_two_devices_get_the_same_and_each_at_its_own_pace(world):
    await world.start(window=4)
    phone = await following(world, "alice:phone")
    tablet = await following(world, "alice:tablet", clean=False)
    world.deliver("alice", *some(1, 30))
    assert seqs(await phone.publishes(30)) == list(range(1, 31))
    assert seqs(await tablet.publishes(30)) == list(range(1, 31))


@pytest.mark.parametrize("clean", [True, False])
async def test_the_window_is_never_exceeded_and_the_rest_comes_from_the_inbox(world, clean):
    await world.start(window=8)
    client = await following(world, clean=clean)
    world.deliver("alice", *some(1, 100))
    first = await client.publishes(8, ack=False)
    assert seqs(first) == list(range(1, 9))
    assert await client.until_pong() == []
    world.deliver("alice", *some(101, 110))
    assert await client.until_pong() == []
    assert world.broker._hub.sessions["alice:phone"].queue is None
    await client.send(*(p.Puback(one.packet_id) for one in first))
    assert seqs(await client.publishes(102)) == list(range(9, 111))
    world.deliver("alice", b"111")
    assert seqs(await client.publishes(1)) == [111]
    assert max(limit for _, _, limit in world.inbox.reads) <= 8


async def test_updates_during_a_catch_up_are_neither_lost_nor_doubled(world, until):
    await world.start(window=4)
    client = await following(world)
    world.inbox.gate.shut()
    world.deliver("alice", *some(1, 10))
    first = await client.publishes(4)
    await until(lambda: world.inbox.gate.waiting)
    world.deliver("alice", *some(11, 14))
    world.inbox.gate.open()
    assert seqs(first + await client.publishes(10)) == list(range(1, 15))
    world.deliver("alice", b"15")
    assert seqs(await client.publishes(1)) == [15]


async def test_what_a_session_that_is_not_kept_acknowledges_is_told_and_moves_no_cursor(world):
    await world.start()
    world.deliver("alice", *some(1, 3))
    client = await following(world, clean=True)
    world.deliver("alice", *some(4, 6))
    one, two, three = await client.publishes(3, ack=False)
    for packet in (two, one, three):
        await client.send(p.Puback(packet.packet_id))
    assert await client.until_pong() == []
    assert world.store.arrivals == [("alice", 5), ("alice", 6)]
    assert not world.store.cursors


async def test_at_qos_0_nothing_says_that_anything_arrived(world):
    await world.start()
    client = await following(world, qos=0)
    world.deliver("alice", *some(1, 3))
    await client.publishes(3)
    assert world.store.arrivals == []


async def test_acknowledgements_move_the_position_by_their_longest_prefix(world):
    await world.start()
    client = await following(world, clean=False)
    world.deliver("alice", *some(1, 4))
    one, two, three, four = await client.publishes(4, ack=False)
    moved = []
    for packet in (two, one, four, three):
        await client.send(p.Puback(packet.packet_id))
        await client.ping()
        moved.append(world.store.sessions["alice:phone"].position)
    assert moved == [0, 2, 2, 4]
    assert world.store.cursors == {("alice", "phone"): 4}


async def test_a_clean_session_moves_no_cursor(world):
    await world.start()
    client = await following(world)
    world.deliver("alice", *some(1, 4))
    await client.publishes(4)
    await client.ping()
    assert not world.store.cursors


async def test_what_came_while_away_is_delivered_on_return_in_order(world):
    await world.start()
    client = await following(world, clean=False)
    world.deliver("alice", *some(1, 2))
    await client.publishes(2)
    await client.ping()
    await client.disconnect()
    world.deliver("alice", *some(3, 200))
    again = await world.device("alice:phone", clean=False)
    assert again.present
    assert seqs(await again.publishes(198)) == list(range(3, 201))
    world.deliver("alice", b"201")
    assert seqs(await again.publishes(1)) == [201]


async def test_what_was_not_acknowledged_comes_again_after_the_broker_was_killed(world):
    await world.start()
    client = await following(world, clean=False)
    world.deliver("alice", *some(1, 6))
    got = await client.publishes(6, ack=False)
    for packet in (got[0], got[1], got[4]):
        await client.send(p.Puback(packet.packet_id))
    await client.ping()
    await world.kill()
    await world.start()
    world.deliver("alice", b"7")
    again = await world.device("alice:phone", clean=False)
    assert again.present
    fresh = await again.publishes(5)
    assert seqs(fresh) == [3, 4, 5, 6, 7]
    assert not any(one.dup for one in fresh)


@pytest.mark.parametrize("level", [p.LEVEL_311, p.LEVEL_5])
async def test_without_a_restart_it_comes_again_as_the_same_packets(world, level):
    await world.start()
    lasts = {"properties": Properties(session_expiry_interval=1000)} if level == p.LEVEL_5 else {}
    client = await following(world, level=level, clean=False, **lasts)
    world.deliver("alice", *some(1, 4))
    one, two, three, four = await client.publishes(4, ack=False)
    for packet in (one, three):
        await client.send(p.Puback(packet.packet_id))
    await client.ping()
    client.cut()
    again = await world.device("alice:phone", level=level, clean=False, **lasts)
    got = await again.publishes(3)
    assert seqs(got) == [2, 3, 4]
    assert [(one.dup, one.packet_id) for one in (got[0], got[2])] == [
        (True, two.packet_id),
        (True, four.packet_id),
    ]
    # It had been acknowledged, only not up to there: another packet.
    assert not got[1].dup
    world.deliver("alice", b"5")
    (five,) = await again.publishes(1)
    assert (seqs([five]), five.dup) == ([5], False)


async def test_what_did_not_go_out_on_a_short_connection_is_the_same_packet_on_the_next(world, until):
    await world.start()
    client = await following(world, clean=False)
    world.deliver("alice", *some(1, 3))
    first = await client.publishes(3, ack=False)
    client.cut()
    world.inbox.gate.shut()
    short = await world.device("alice:phone", clean=False)
    await until(lambda: world.inbox.gate.waiting)
    short.cut()
    world.inbox.gate.open()
    again = await world.device("alice:phone", clean=False)
    got = await again.publishes(3)
    assert seqs(got) == [1, 2, 3]
    assert [(one.dup, one.packet_id) for one in got] == [(True, one.packet_id) for one in first]


async def test_a_packet_id_that_is_in_use_by_then_is_not_used_twice(world):
    await world.start()
    down = "pabal/v1/down/alice/phone"
    client = await following(world, clean=False)
    await client.subscribe((down, 1))
    world.deliver("alice", b"1")
    (one,) = await client.publishes(1, ack=False)
    client.cut()
    world.inbox.gate.shut()
    again = await world.device("alice:phone", clean=False)
    # As after 65,535 others.
    world.broker._hub.sessions["alice:phone"]._last_id = one.packet_id - 1
    world.broker.publish(down, b"reply", 1)
    (reply,) = await again.publishes(1, ack=False)
    assert reply.packet_id == one.packet_id
    world.inbox.gate.open()
    (fresh,) = await again.publishes(1)
    assert (seqs([fresh]), fresh.dup) == ([1], False)
    assert fresh.packet_id != one.packet_id


async def test_subscribing_again_changes_nothing(world):
    await world.start()
    client = await following(world, clean=False)
    world.deliver("alice", b"1")
    await client.publishes(1)
    assert await client.subscribe((INBOX, 1)) == b"\x01"
    world.deliver("alice", b"2")
    assert seqs(await client.publishes(1)) == [2]
    await client.disconnect()
    world.deliver("alice", b"3")
    again = await world.device("alice:phone", clean=False)
    await again.send(p.Subscribe(1, ((INBOX, 1),)))
    got = []
    while len(got) < 2:
        packet = await again.next()
        got.append(packet)
    assert [int(one.payload) for one in got if isinstance(one, p.Publish)] == [3]


async def test_what_is_delivered_while_the_position_is_written_is_not_missed(world, until):
    await world.start()
    client = await world.device("alice:phone", clean=False)
    world.store.gate.shut()
    await client.send(p.Subscribe(1, ((INBOX, 1),)))
    await until(lambda: world.store.gate.waiting)
    world.deliver("alice", b"1")
    world.store.gate.open()
    await client.expect(p.Suback)
    # The head was taken after update 1, so it is behind this session; the next one is not.
    world.deliver("alice", b"2")
    assert seqs(await client.publishes(1)) == [2]


async def test_what_is_delivered_behind_the_written_position_is_caught_up(world):
    await world.start()
    client = await world.device("alice:phone", clean=False)
    real = world.store.save_session

    async def slow(session: StoredSession, *, at_head: bool) -> int | None:
        position = await real(session, at_head=at_head)
        if at_head:
            world.deliver("alice", b"1")
        return position

    world.store.save_session = slow
    await client.send(p.Subscribe(1, ((INBOX, 1),)))
    await client.expect(p.Suback)
    assert seqs(await client.publishes(1)) == [1]
    world.deliver("alice", b"2")
    assert seqs(await client.publishes(1)) == [2]


async def test_too_old_a_position_gets_a_reset_and_goes_on_at_the_head(world):
    await world.start()
    client = await following(world, clean=False)
    world.deliver("alice", b"1")
    await client.publishes(1)
    await client.ping()
    await client.disconnect()
    world.deliver("alice", *some(2, 50))
    world.inbox.min_seq["alice"] = 40
    again = await world.device("alice:phone", clean=False)
    (reset,) = await again.publishes(1, ack=False)
    assert (reset.topic, reset.payload, reset.qos) == (INBOX, b'{"type":"reset"}', 1)
    world.deliver("alice", b"51")
    assert seqs(await again.publishes(1)) == [51]
    assert world.store.sessions["alice:phone"].position == 1
    again.cut()
    third = await world.device("alice:phone", clean=False)
    (reset,) = await third.publishes(1)
    # Told anew, as nobody can say what it would be another time.
    assert (reset.payload, reset.dup) == (b'{"type":"reset"}', False)
    await third.ping()
    assert world.store.sessions["alice:phone"].position == 51
    world.deliver("alice", b"52")
    assert seqs(await third.publishes(1)) == [52]


async def test_a_position_above_the_head_gets_a_reset_as_well(world):
    world.store.sessions["alice:phone"] = StoredSession(
        "alice:phone", "alice", "phone", {INBOX: 1}, 90, 1 << 50
    )
    for payload in some(1, 5):
        world.inbox.append("alice", payload)
    await world.start()
    client = await world.device("alice:phone", clean=False)
    assert [one.payload for one in await client.publishes(1)] == [b'{"type":"reset"}']
    await client.ping()
    assert world.store.sessions["alice:phone"].position == 5
    world.deliver("alice", b"6")
    assert seqs(await client.publishes(1)) == [6]


async def test_an_oldest_update_right_behind_the_position_is_no_loss(world):
    await world.start()
    client = await following(world, clean=False)
    await client.disconnect()
    world.deliver("alice", *some(1, 5))
    world.inbox.min_seq["alice"] = 1
    again = await world.device("alice:phone", clean=False)
    assert seqs(await again.publishes(5)) == [1, 2, 3, 4, 5]


async def test_at_qos_0_only_what_is_new_is_sent_and_nothing_is_kept(world):
    await world.start()
    client = await following(world, qos=0, clean=False)
    world.deliver("alice", *some(1, 2))
    got = await client.publishes(2)
    assert {one.qos for one in got} == {0}
    assert world.store.sessions["alice:phone"].position is None
    world.broker.deliver("alice", [(1, b"1"), (2, b"2")])
    await client.disconnect()
    world.deliver("alice", b"3")
    again = await world.device("alice:phone", clean=False)
    world.deliver("alice", b"4")
    assert seqs(await again.publishes(1)) == [4]
    assert not world.inbox.reads


@pytest.mark.parametrize("clean", [True, False])
async def test_the_qos_of_the_inbox_can_be_changed_both_ways(world, clean):
    await world.start()
    client = await following(world, qos=0, clean=clean)
    world.deliver("alice", b"1")
    await client.publishes(1)
    assert await client.subscribe((INBOX, 2)) == b"\x01"
    world.deliver("alice", b"2")
    assert [(one.payload, one.qos) for one in await client.publishes(1)] == [(b"2", 1)]
    assert await client.subscribe((INBOX, 0)) == b"\x00"
    world.deliver("alice", b"3")
    assert [(one.payload, one.qos) for one in await client.publishes(1)] == [(b"3", 0)]


async def test_unsubscribed_is_unsubscribed_and_starts_anew_at_the_head(world):
    await world.start()
    client = await following(world, clean=False)
    world.deliver("alice", b"1")
    (one,) = await client.publishes(1, ack=False)
    await client.unsubscribe(INBOX)
    world.deliver("alice", b"2")
    await client.send(p.Puback(one.packet_id))
    assert await client.until_pong() == []
    await client.subscribe((INBOX, 1))
    assert world.store.sessions["alice:phone"].position == 2
    world.deliver("alice", b"3")
    assert seqs(await client.publishes(1)) == [3]


async def test_an_inbox_that_cannot_be_read_is_tried_again(world, until):
    await world.start()
    client = await following(world, clean=False)
    await client.disconnect()
    world.deliver("alice", *some(1, 3))
    world.inbox.gate.broken = True
    again = await world.device("alice:phone", clean=False)
    await until(lambda: len(world.inbox.reads) >= 3)
    assert await again.until_pong() == []
    world.inbox.gate.broken = False
    assert seqs(await again.publishes(3)) == [1, 2, 3]


async def test_a_reader_that_is_away_is_not_read_for(world, until):
    await world.start(window=2)
    client = await following(world, clean=False)
    world.inbox.gate.shut()
    world.deliver("alice", *some(1, 10))
    await client.publishes(2)
    await until(lambda: world.inbox.gate.waiting)
    client.cut()
    await until(lambda: not world.inbox.gate.waiting)
    assert not world.broker._hub._streams
    world.inbox.gate.open()
    again = await world.device("alice:phone", clean=False)
    assert seqs(await again.publishes(8))[-1] == 10


async def test_other_messages_share_the_window_and_still_arrive(world):
    await world.start(window=4)
    client = await following(world)
    down = "pabal/v1/down/alice/phone"
    await client.subscribe((down, 1))
    world.deliver("alice", *some(1, 10))
    for number in range(10):
        world.broker.publish(down, b"reply %d" % number, 1)
    got = await client.publishes(20)
    assert seqs(one for one in got if one.topic == INBOX) == list(range(1, 11))
    assert [one.payload for one in got if one.topic == down] == [b"reply %d" % n for n in range(10)]


async def test_an_inbox_is_not_a_topic_that_anybody_publishes_to(world):
    await world.start()
    client = await following(world)
    world.broker.publish(INBOX, b"not an update", 1)
    assert await client.until_pong() == []
