"""How often others are told, and what everybody may choose to share."""

from itertools import pairwise

import pytest

from pabal import privacy
from pabal.privacy import Privacy
from pabal.receipts import DELIVERED, NOTHING, READ, Coalescer


def test_what_moved_is_handed_out_at_once_and_then_at_the_end_of_each_second():
    coalescer: Coalescer[str] = Coalescer()
    coalescer.note("a", READ)
    assert coalescer.due(10.0, 5) == [("a", READ)]
    coalescer.note("a", READ)
    assert coalescer.due(10.99, 5) == []
    assert len(coalescer) == 1
    assert coalescer.due(11.0, 5) == [("a", READ)]
    assert coalescer.due(99.0, 5) == []
    assert len(coalescer) == 0


def test_both_that_moved_within_a_second_are_handed_out_together():
    coalescer: Coalescer[str] = Coalescer()
    coalescer.note("a", DELIVERED)
    coalescer.note("a", READ)
    assert coalescer.due(0.0, 5) == [("a", DELIVERED | READ)]
    for what in (READ, NOTHING, DELIVERED):
        coalescer.note("a", what)
    assert coalescer.due(1.0, 5) == [("a", DELIVERED | READ)]


def test_nothing_is_lost_at_the_end_however_often_it_moves():
    coalescer: Coalescer[str] = Coalescer()
    value, told = 0, []
    for step in range(1000):
        now = step * 0.01
        if now < 5:
            value += 1
            coalescer.note("a", READ)
        if coalescer.due(now, 1):
            told.append((now, value))
    assert told[-1] == (told[-1][0], value)
    assert len(told) == 6
    assert all(later - earlier >= 1 for (earlier, _), (later, _) in pairwise(told))


def test_each_key_has_a_second_of_its_own():
    coalescer: Coalescer[str] = Coalescer()
    coalescer.note("a")
    assert coalescer.due(0.0, 5) == [("a", NOTHING)]
    coalescer.note("b")
    coalescer.note("a")
    assert coalescer.due(0.5, 5) == [("b", NOTHING)]
    coalescer.note("b")
    assert coalescer.due(1.0, 5) == [("a", NOTHING)]
    assert coalescer.due(1.5, 5) == [("b", NOTHING)]


def test_at_most_so_many_are_handed_out_and_the_longest_waiting_first():
    coalescer: Coalescer[int] = Coalescer()
    for key in range(5):
        coalescer.note(key)
    assert [key for key, _ in coalescer.due(0.0, 2)] == [0, 1]
    coalescer.note(0)
    assert [key for key, _ in coalescer.due(0.0, 2)] == [2, 3]
    assert [key for key, _ in coalescer.due(0.0, 2)] == [4]
    assert [key for key, _ in coalescer.due(1.0, 2)] == [0]


def test_the_second_begins_when_it_was_really_told():
    coalescer: Coalescer[str] = Coalescer()
    coalescer.note("a")
    coalescer.note("b")
    coalescer.due(0.0, 5)
    coalescer.told("a", 0.7)
    coalescer.note("a")
    coalescer.note("b")
    assert coalescer.due(1.0, 5) == [("b", NOTHING)]
    assert coalescer.due(1.7, 5) == [("a", NOTHING)]


def test_what_waits_is_bounded_and_what_is_given_up_is_counted():
    coalescer: Coalescer[str] = Coalescer(max_keys=2)
    for key in "abc":
        coalescer.note(key)
    assert (len(coalescer), coalescer.given_up) == (2, 1)
    assert [key for key, _ in coalescer.due(0.0, 5)] == ["b", "c"]
    for key in "bc":
        coalescer.note(key)
    coalescer.note("c")
    assert (len(coalescer), coalescer.given_up) == (2, 1)
    assert [key for key, _ in coalescer.due(1.0, 1)] == ["b"]
    coalescer.note("b")
    coalescer.told("d", 1.0)
    coalescer.note("d")
    assert (len(coalescer), coalescer.given_up) == (2, 2)


def test_of_those_that_were_told_just_now_the_longest_waiting_is_given_up_too():
    coalescer: Coalescer[str] = Coalescer(max_keys=1)
    for key in "ab":
        coalescer.told(key, 0.0)
        coalescer.note(key)
    assert (coalescer.due(1.0, 5), coalescer.given_up) == ([("b", NOTHING)], 1)


def test_what_was_told_and_did_not_move_again_is_forgotten():
    coalescer: Coalescer[int] = Coalescer()
    for key in range(100):
        coalescer.note(key)
    coalescer.due(0.0, 100)
    coalescer.due(1.0, 0)
    assert not coalescer._told


@pytest.mark.parametrize("wrong", [{"every_s": -1}, {"max_keys": 0}])
def test_a_negative_time_and_no_room_at_all_are_refused(wrong):
    with pytest.raises(ValueError, match="room for at least one"):
        Coalescer(**wrong)


def test_everybody_shares_how_far_one_has_read_until_one_says_otherwise():
    assert privacy.parse(None).read_receipts
    kept = privacy.dump(Privacy(read_receipts=False))
    assert privacy.parse(kept) == Privacy(read_receipts=False)
    assert privacy.parse(privacy.dump(Privacy())) == Privacy()
