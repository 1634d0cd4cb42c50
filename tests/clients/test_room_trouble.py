"""Rooms of which the answers are refusals, nonsense, or none."""

import json

from room_talk import CONV, ROOM, bob_says
from session_bench import INBOX

from pabal_client import effects as e


def test_a_subscription_that_is_refused_is_asked_about_and_tried_again(large):
    large.session.disconnected()
    in_room, large.server.in_room = large.server.in_room, lambda *_: False
    large.connect()
    large.answer_subscription()
    large.server.in_room = in_room  # the database had not answered, and does again
    bob_says(large)
    large.answer()
    large.wait(1)
    large.answer()
    assert large.of(CONV)[-1] == 4
    assert large.subscribes == []
    large.wait(75)
    large.answer()
    large.arrive(bob_says(large))
    assert large.of(CONV)[-1] == 5


def test_a_refused_subscription_of_who_is_no_member_ends_it(large):
    large.session.disconnected()
    box = large.server.inbox["alice"]
    large.server.part(CONV, "alice")
    del box[3:]  # as if the inbox had never told
    large.connect()
    large.answer()
    large.wait(1)
    large.answer()
    assert large.marks == {CONV: None}
    assert large.session.rooms.positions() == {}


def test_a_subscription_without_an_answer_ends_the_connection(small):
    small.arrive(small.server.join(CONV, "dave"))
    small.wait(31)
    assert e.Disconnect("the server did not answer the subscription", final=False) in small.effects


def test_an_answer_that_makes_no_sense_is_asked_for_ever_more_slowly(large):
    large.server.do_history = lambda *_: {"head": "x"}
    bob_says(large)
    large.arrive(bob_says(large))
    times = []
    for _ in range(100):
        large.wait(0.5)
        times += [large.now] * large.ops().count("history")
        large.answer()
    assert 3 <= len(times) <= 9
    del large.server.do_history
    large.wait(61)
    large.answer()
    assert large.of(CONV)[-1] == 5


def test_another_refusal_of_history_is_not_the_end_of_a_room(large):
    large.server.refuse["history"] = [{"error": "conflict", "detail": "?"}]
    bob_says(large)
    large.arrive(bob_says(large))
    large.wait(0.3)
    large.answer()
    assert large.of(CONV)[-1] == 3
    large.wait(2)
    large.answer()
    assert large.of(CONV)[-1] == 5


def test_numbers_that_history_does_not_show_are_not_waited_for(large):
    for _ in range(4):
        bob_says(large)
    whole = large.server.do_history

    def some(*request):
        page = whole(*request)
        return {**page, "items": [item for item in page["items"] if item["message_id"] not in {4, 6, 7}]}

    large.server.do_history = some
    large.arrive(bob_says(large))
    large.wait(0.3)
    large.answer()
    assert large.of(CONV)[-2:] == [5, 8]
    large.arrive(bob_says(large))
    large.wait(100)
    assert large.of(CONV)[-1] == 9
    assert "history" not in large.ops()


def test_a_broken_link_leaves_no_question_about_a_room_behind(large):
    bob_says(large)
    large.arrive(bob_says(large))
    large.wait(0.3)
    assert large.ops() == ["history"]
    large.session.disconnected()
    assert len(large.session.outbox) == 0
    assert large.session.deadline() is None


def test_an_inbox_that_is_refused_ends_the_rooms_too(large):
    large.session.disconnected()
    large.server.refuse["sync"] = [{"error": "forbidden", "detail": "no"}]
    large.connect()
    large.sent = [one for one in large.sent if b"sync" in one.payload]
    large.answer()
    bob_says(large)
    large.hear(ROOM, bob_says(large)[0][1])
    large.wait(200)
    assert large.of(CONV)[-1] == 3
    assert large.ops() == []


def test_junk_in_a_room_is_let_go(large):
    for junk in (b"", b"[", b"{", b'{"message_id":"x"}', b"[[]]", b'{"type":"message"}'):
        large.hear(ROOM, junk)
    large.hear(INBOX, b'{"seq":4,"epoch":"e1","type":"member"}')
    large.arrive(bob_says(large))
    assert large.of(CONV)[-1] == 4


def test_an_entry_of_an_unknown_type_is_handed_on(large):
    large.hear(ROOM, json.dumps({"type": "poll", "conv": CONV, "message_id": 4}).encode())
    assert (large.taken[-1].type, large.of(CONV)[-1]) == ("poll", 4)
