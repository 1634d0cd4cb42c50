import json

import pytest
from room_talk import CONV, ROOM, bob_says
from session_bench import Bench

from pabal_client import rooms


def test_a_group_that_becomes_large_is_subscribed_and_its_entries_come_by_the_room(small):
    small.arrive(bob_says(small))
    assert small.subscribes == []
    small.arrive(small.server.join(CONV, "dave"))
    (subscribe,) = small.subscribes
    assert subscribe.filters == ((ROOM, 0),)
    small.answer()
    assert ROOM in small.listening
    for _ in range(2):
        small.arrive(bob_says(small))
    assert small.of(CONV) == [1, 2, 3, 4, 5, 6]
    assert small.marks == {CONV: 6}
    newest = small.taken[-1]
    assert (newest.seq, newest.epoch, newest.message().text) == (None, "e1", "hi")


def test_a_group_that_is_made_large_or_joined_when_large_is_followed_from_there(online):
    online.arrive(online.server.create_group(CONV, "bob", "alice", "carol", limit=2))
    online.answer()
    online.arrive(bob_says(online))
    assert online.of(CONV) == [1, 2]
    other = "gbbbbbbbbbbbb"
    online.server.create_group(other, "bob", "carol", "dave", limit=2)
    bob_says(online, conv=other)
    online.arrive(online.server.join(other, "alice"))
    online.answer()
    online.arrive(bob_says(online, conv=other))
    assert online.of(other) == [3, 4]
    assert online.marks == {CONV: 2, other: 4}


def test_an_entry_is_taken_once_and_in_order_however_it_comes(large):
    one, two = bob_says(large), bob_says(large)
    for out in (two, one, one, two):
        large.arrive(out)
    assert large.of(CONV)[-2:] == [4, 5]
    both = [payload for _, payload in bob_says(large) + bob_says(large)]
    large.hear(ROOM, b"[" + b",".join(both) + b"]")
    assert large.of(CONV)[-2:] == [6, 7]
    large.wait(1)
    assert large.ops() == []


def test_a_gap_is_fetched_from_history_after_a_short_wait(large):
    bob_says(large)
    large.arrive(bob_says(large))
    assert large.of(CONV)[-1] == 3
    assert large.ops() == []
    large.wait(0.3)
    assert json.loads(large.sent[0].payload).items() >= {"op": "history", "after": 3, "limit": 200}.items()
    large.arrive(bob_says(large))
    large.answer()
    assert large.of(CONV)[-3:] == [4, 5, 6]
    large.wait(2)
    large.answer()
    assert large.of(CONV)[-3:] == [4, 5, 6]


def test_what_had_waited_behind_the_gap_is_not_fetched_again(large):
    large.server.page_limit = 1
    bob_says(large)
    for _ in range(2):
        large.arrive(bob_says(large))
    large.wait(0.3)
    large.answer()
    large.wait(2)
    assert large.of(CONV)[-3:] == [4, 5, 6]
    assert [request["op"] for request in large.server.seen].count("history") == 1


def test_what_history_brings_looks_like_what_the_room_brings(large):
    room = [payload for out in (bob_says(large), large.server.join(CONV, "erin")) for _, payload in out[:1]]
    large.arrive(bob_says(large))
    large.wait(0.3)
    large.answer()
    fetched = [update.fields() for update in large.taken[-3:-1]]
    assert [{k: v for k, v in one.items() if k != "id"} for one in fetched] == [
        json.loads(one) for one in room
    ]
    assert [update.type for update in large.taken[-3:-1]] == ["message", "member"]


def test_history_is_read_page_by_page_and_one_page_at_a_time(large):
    large.server.page_limit = 3
    for _ in range(8):
        bob_says(large)
    large.arrive(bob_says(large))
    large.wait(0.3)
    assert large.ops() == ["history"]
    large.answer()
    assert large.of(CONV)[-9:] == list(range(4, 13))
    assert sum(request.get("op") == "history" for request in large.server.seen) == 3


def test_a_client_that_comes_back_learns_from_the_sync_how_far_the_rooms_are(large):
    large.session.disconnected()
    for _ in range(3):
        bob_says(large)
    again = Bench(large.server, epoch="e1", cursor=3, rooms={CONV: 3})
    again.connect()
    assert [subscribe.filters for subscribe in again.subscribes] == [((ROOM, 0),)]
    again.answer()
    again.wait(0.3)
    again.answer()
    assert again.of(CONV) == [4, 5, 6]
    assert again.marks == {CONV: 6}


def test_the_switch_loses_and_doubles_nothing_for_who_was_away(small):
    small.arrive(bob_says(small))
    small.session.disconnected()
    bob_says(small)
    small.server.join(CONV, "dave")
    for _ in range(3):
        bob_says(small)
    small.server.page_limit = 2
    small.connect()
    small.answer()
    small.wait(0.5)
    small.answer()
    assert small.of(CONV) == list(range(1, 9))


def test_what_was_said_before_the_subscription_stood_is_found(small):
    small.arrive(small.server.join(CONV, "dave"))
    small.wait(2)
    assert len(small.subscribes) == 1
    bob_says(small)  # before the SUBACK: nobody is told
    small.answer()
    small.wait(0.3)
    small.answer()
    assert small.of(CONV)[-1] == 4


def test_a_lost_tail_is_found_by_the_probe_also_while_the_inbox_is_busy(large):
    bob_says(large)
    for _ in range(12):
        large.wait(5)
        large.answer()
        _, out = large.server.commit("bob", "pc", {"to": "alice", "text": "busy"})
        large.arrive(out)
    large.wait(1)
    large.answer()
    assert large.of(CONV)[-1] == 4


def test_a_room_that_fell_silent_is_subscribed_again(large):
    large.listening.clear()
    bob_says(large)
    large.wait(65)
    large.answer()
    large.wait(0.3)
    assert len(large.subscribes) == 1
    large.answer()
    large.arrive(bob_says(large))
    assert large.of(CONV)[-2:] == [4, 5]
    large.arrive(bob_says(large))
    large.wait(200)
    assert large.subscribes == []


@pytest.mark.parametrize("action", ["left", "removed"])
def test_who_leaves_or_is_removed_follows_no_longer(large, action):
    bob_says(large)
    large.arrive(bob_says(large))
    large.arrive(large.server.part(CONV, "alice", action))
    assert large.marks == {CONV: None}
    assert large.of(CONV)[-1] == 6
    large.hear(ROOM, bob_says(large)[0][1])
    large.wait(200)
    large.answer()
    assert large.of(CONV)[-1] == 6
    assert large.session.rooms.positions() == {}


def test_an_answer_from_before_the_removal_changes_nothing(large):
    bob_says(large)
    large.arrive(bob_says(large))
    large.wait(0.3)
    (publish,) = large.sent
    page = large.server.handle("alice", "phone", publish.payload)
    large.sent.clear()
    large.arrive(large.server.part(CONV, "alice"))
    large.arrive(page)
    assert large.of(CONV)[-1] == 6
    assert large.session.rooms.positions() == {}


def test_who_was_removed_while_a_page_was_asked_for_is_told_by_its_refusal(large):
    bob_says(large)
    large.arrive(bob_says(large))
    lost = large.server.part(CONV, "alice")
    large.wait(0.3)
    large.answer()
    assert large.marks == {CONV: None}
    assert large.session.rooms.positions() == {}
    large.arrive(lost)
    assert large.of(CONV)[-1] == 6


def test_who_comes_back_to_a_group_goes_on_from_the_new_join(large):
    large.arrive(large.server.part(CONV, "alice"))
    bob_says(large)
    large.arrive(large.server.join(CONV, "alice"))
    large.answer()
    large.arrive(bob_says(large))
    assert large.of(CONV)[-3:] == [4, 6, 7]
    assert large.marks == {CONV: 7}


def test_a_page_from_after_the_own_return_waits_for_the_inbox_to_tell_of_it(large):
    bob_says(large)
    large.arrive(bob_says(large))
    parted = large.server.part(CONV, "alice")
    bob_says(large)
    returned = large.server.join(CONV, "alice")
    bob_says(large)
    large.wait(0.3)
    (publish,) = large.sent
    large.sent.clear()
    large.arrive(large.server.handle("alice", "phone", publish.payload))
    assert large.of(CONV)[-1] == 3
    assert large.ops() == ["sync"]
    large.arrive(parted)
    large.arrive(returned)
    large.answer()
    large.wait(0.5)
    large.answer()
    assert large.of(CONV)[-3:] == [6, 8, 9]


def test_many_rooms_are_subscribed_in_parts_one_after_the_other(online):
    for number in range(rooms.SUBSCRIBE_AT_ONCE + 1):
        name = (
            "gaaaaaaaaaa"
            + "abcdefghijklmnopqrstuvwxyz"[number // 26]
            + "abcdefghijklmnopqrstuvwxyz"[number % 26]
        )
        online.arrive(online.server.create_group(name, "bob", "alice", limit=1))
    online.session.disconnected()
    online.subscribes.clear()
    online.connect()
    (subscribe,) = online.subscribes
    assert len(subscribe.filters) == rooms.SUBSCRIBE_AT_ONCE
    online.answer_subscription()
    (subscribe,) = online.subscribes
    assert len(subscribe.filters) == 1


def test_no_more_rooms_are_followed_than_the_bound(online, monkeypatch):
    monkeypatch.setattr(rooms, "MAX_ROOMS", 2)
    for name in ("gaaaaaaaaaaaa", "gbbbbbbbbbbbb", "gcccccccccccc"):
        online.arrive(online.server.create_group(name, "bob", "alice", limit=1))
    assert set(online.session.rooms.positions()) == {"gaaaaaaaaaaaa", "gbbbbbbbbbbbb"}


def test_no_more_pages_are_asked_for_at_once_than_the_bound(online):
    names = ["gaaaaaaaaaaa" + letter for letter in "abcdef"]
    for name in names:
        online.arrive(online.server.create_group(name, "bob", "alice", limit=1))
    online.answer()
    online.wait(2)
    online.answer()
    for name in names:
        bob_says(online, conv=name)
        online.arrive(bob_says(online, conv=name))
    online.wait(0.5)
    assert online.ops() == ["history"] * rooms.AT_ONCE
    online.answer()
    online.wait(0.1)
    online.answer()
    assert [online.of(name)[-1] for name in names] == [3] * 6


def test_entries_far_ahead_of_a_gap_are_let_go_and_fetched(large):
    bob_says(large)
    for _ in range(300):
        large.arrive(bob_says(large))
    large.wait(0.3)
    for _ in range(3):
        large.answer()
        large.wait(0.3)
    assert large.of(CONV) == list(range(1, 305))


def test_a_paused_client_takes_nothing_of_a_room_and_catches_up_when_resumed(large):
    large.session.pause()
    for _ in range(3):
        large.arrive(bob_says(large))
    large.wait(200)
    assert large.of(CONV)[-1] == 3
    assert "history" not in large.ops()
    large.do(large.session.resume(large.now))
    large.answer()
    large.wait(0.5)
    large.answer()
    assert large.of(CONV)[-3:] == [4, 5, 6]


def test_nothing_is_taken_before_the_epoch_is_known_to_be_the_same(large):
    large.session.disconnected()
    large.connect()
    large.answer_subscription()
    large.arrive(bob_says(large))
    assert large.of(CONV)[-1] == 3
    large.answer()
    large.wait(0.5)
    large.answer()
    assert large.of(CONV)[-1] == 4


def test_another_epoch_starts_the_rooms_over_from_the_snapshot(large):
    large.arrive(bob_says(large))
    large.session.disconnected()
    large.server.restore("e2", keep=2)
    del large.server.log[CONV][3:]
    large.connect()
    large.answer()
    assert large.taken[-1].type == "snapshot"
    assert large.marks == {CONV: 3}
    large.arrive(bob_says(large))
    assert (large.taken[-1].epoch, large.of(CONV)[-1]) == ("e2", 4)


def test_a_snapshot_without_a_group_ends_it(large):
    large.session.disconnected()
    large.server.part(CONV, "alice")
    large.server.restore("e2", keep=1)
    large.connect()
    large.answer()
    assert large.marks == {CONV: None}
    assert large.subscribes == []


def test_a_group_of_which_only_the_heads_tell_is_followed_from_there(large):
    again = Bench(large.server, epoch="e1", cursor=3)
    again.connect()
    again.answer()
    assert again.marks == {CONV: 3}
    again.arrive(bob_says(large))
    assert again.of(CONV) == [4]


def test_heads_of_a_page_that_is_not_the_last_do_not_begin_a_group(small):
    small.session.disconnected()
    small.server.join(CONV, "dave")
    bob_says(small)
    small.server.page_limit = 1
    small.connect()
    small.answer()
    small.wait(0.5)
    small.answer()
    assert small.of(CONV) == [1, 2, 3, 4]


def test_a_page_from_before_the_removal_does_not_begin_the_group_again(large):
    large.do(large.session.sync_now(large.now))
    (publish,) = large.sent
    page = large.server.handle("alice", "phone", publish.payload)
    large.sent.clear()
    large.arrive(large.server.part(CONV, "alice"))
    large.arrive(page)
    large.answer()
    assert large.marks == {CONV: None}
    assert large.session.rooms.positions() == {}
