"""When a worker looks for what waits, and what it takes of what it saw."""

import pytest

from bridge.push.busy import Busy, Full, Limits
from bridge.push.jobs import Lane, Waiting
from bridge.push.lookout import LOOK_S, Lookout
from pabal.ids import DeviceId, UserId

DRY_S = 0.25
NOTHING = Full(frozenset(), frozenset())
SLOW = Full(frozenset(), frozenset({"slow.example"}))
LIMITS = Limits(in_flight=10, per_service=4, per_host=2)


def waits(name: str, host: str = "") -> Waiting:
    return Waiting(Lane(UserId(name), DeviceId("d")), "webpush", host)


def lanes(*names: str) -> list[Lane]:
    return [Lane(UserId(name), DeviceId("d")) for name in names]


@pytest.fixture
def lookout():
    return Lookout(DRY_S)


def idle() -> Busy:
    return Busy(LIMITS, [])


def test_at_first_there_is_nothing_to_take_and_a_look_is_needed(lookout):
    assert lookout.choose(idle(), 10, 0.0) == []
    assert lookout.needs_look(NOTHING, 0.0)


def test_what_was_seen_is_taken_in_its_order_each_once_and_no_more_than_asked_for(lookout):
    lookout.saw([waits("a"), waits("b"), waits("a"), waits("c")], NOTHING, 5.0)
    assert lookout.choose(idle(), 2, 5.0) == lanes("a", "b")
    assert lookout.choose(idle(), 2, 5.0) == lanes("c")
    assert lookout.choose(idle(), 2, 5.0) == []


def test_a_lane_for_which_there_is_no_room_keeps_nobody_back_and_is_taken_later(lookout):
    lookout.saw([waits(name, "slow.example") for name in "abc"] + [waits("d", "quick.example")], NOTHING, 5.0)
    busy = Busy(LIMITS, [("webpush", "slow.example")])
    assert lookout.choose(busy, 10, 5.0) == lanes("a", "d")
    assert busy.full() == SLOW  # what was chosen counts
    assert lookout.choose(busy, 10, 5.0) == []
    assert lookout.choose(idle(), 10, 5.0) == lanes("b", "c")


def test_what_was_seen_is_good_for_two_seconds(lookout):
    lookout.saw([waits("a"), waits("b")], NOTHING, 5.0)
    assert lookout.choose(idle(), 1, 5.0 + LOOK_S - 0.01) == lanes("a")
    assert lookout.choose(idle(), 1, 5.0 + LOOK_S) == []
    assert lookout.choose(idle(), 1, 5.0) == []


def test_where_others_are_at_it_all_that_was_seen_is_let_go(lookout):
    lookout.saw([waits("a"), waits("b")], NOTHING, 5.0)
    lookout.choose(idle(), 1, 5.0)
    lookout.forget_lanes()
    assert lookout.choose(idle(), 10, 5.0) == []
    assert lookout.needs_look(NOTHING, 5.0)


def test_a_later_look_takes_the_place_of_the_one_before(lookout):
    lookout.saw([waits("a")], NOTHING, 5.0)
    lookout.saw([waits("b")], NOTHING, 6.5)
    assert lookout.choose(idle(), 10, 5.0 + LOOK_S) == lanes("b")


def test_where_nothing_was_found_beside_what_is_full_no_look_is_needed_for_a_while(lookout):
    lookout.saw([], SLOW, 5.0)
    assert not lookout.needs_look(SLOW, 5.0 + DRY_S - 0.01)
    assert lookout.needs_look(SLOW, 5.0 + DRY_S)


@pytest.mark.parametrize(
    "full", [NOTHING, Full(frozenset({"webpush"}), frozenset()), Full(SLOW.hosts, frozenset())]
)
def test_with_room_for_others_than_then_a_look_is_needed_at_once(lookout, full):
    lookout.saw([], SLOW, 5.0)
    assert lookout.needs_look(full, 5.0)


def test_something_new_needs_a_look_at_once(lookout):
    lookout.saw([], SLOW, 5.0)
    lookout.look_again()
    assert lookout.needs_look(SLOW, 5.0)


@pytest.mark.parametrize(("found", "full"), [([], NOTHING), ([waits("a")], SLOW)])
def test_a_look_that_found_something_or_kept_nothing_out_forbids_no_other(lookout, found, full):
    lookout.saw(found, full, 5.0)
    assert lookout.needs_look(full, 5.0)
