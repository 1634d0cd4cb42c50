"""Who is online: every way in which devices come and go, on a clock that stands still unless a test moves it."""

from itertools import pairwise

import pytest

from pabal.ids import DeviceId, UserId
from pabal.presence import BURST, LINGER_S, Change, Roster, Status

ALICE, BOB = UserId("alice"), UserId("bob")
PHONE, DESK = DeviceId("phone"), DeviceId("desk")
ONLINE, AWAY, OFFLINE = (Change(ALICE, state) for state in ("online", "away", "offline"))


class Stage:
    """Alice's devices, and what others were told, beginning at 1000 s."""

    def __init__(self) -> None:
        self.roster = Roster()
        self.now = 1000.0

    def come(self, client_id="alice:phone", device=PHONE):
        return self.roster.connected(ALICE, device, client_id, self.now)

    def go(self, client_id="alice:phone", device=PHONE, *, clean=False):
        return self.roster.disconnected(ALICE, device, client_id, self.now, clean=clean)

    def say(self, state, n=None, device=PHONE):
        return self.roster.status(ALICE, device, Status(state, n), self.now, will=False)

    def will(self, n=None, state="offline", device=PHONE):
        return self.roster.status(ALICE, device, Status(state, n), self.now, will=True)

    def wait(self, seconds):
        """What is told until then; the roster is asked at the times that it names."""
        changes = []
        end = self.now + seconds
        while (due := self.roster.next_due()) is not None and due <= end:
            assert due > self.now or not changes, "it must not ask for the same moment again"
            self.now = due
            changes += self.roster.due(due)
        self.now = end
        return changes

    @property
    def state(self):
        return self.roster.state_of(ALICE)


@pytest.fixture
def stage():
    return Stage()


def test_a_connection_is_online_and_a_clean_end_is_offline_at_once(stage):
    assert stage.state == "offline"
    assert stage.come() == ONLINE
    assert (stage.state, stage.roster.online) == ("online", 1)
    assert stage.go(clean=True) == OFFLINE
    assert (stage.state, stage.roster.online) == ("offline", 0)


def test_an_unclean_end_is_told_after_ten_seconds_and_not_before(stage):
    stage.come()
    assert stage.go() is None
    assert stage.wait(LINGER_S - 0.001) == []
    assert stage.state == "online"
    assert stage.wait(0.001) == [OFFLINE]


def test_who_is_back_in_time_never_was_away(stage):
    stage.come()
    stage.go()
    assert stage.wait(9) == []
    assert stage.come() is None
    assert stage.wait(60) == []
    assert stage.state == "online"


def test_a_takeover_says_nothing(stage):
    stage.come()
    assert [stage.go(), stage.come()] == [None, None]
    assert stage.wait(60) == []


def test_the_end_of_a_connection_that_is_not_known_says_nothing(stage):
    assert stage.go() is None
    stage.come()
    assert stage.go("alice:phone:2", clean=True) is None
    assert stage.go(device=DESK, clean=True) is None
    assert stage.state == "online"


def test_a_second_connection_with_a_suffix_keeps_the_device_here(stage):
    assert stage.come("alice:phone") == ONLINE
    assert stage.come("alice:phone:1") is None
    assert stage.go("alice:phone", clean=True) is None
    assert stage.roster.is_here(ALICE, PHONE)
    assert stage.go("alice:phone:1", clean=True) == OFFLINE
    assert not stage.roster.is_here(ALICE, PHONE)


def test_the_last_end_of_several_says_whether_it_was_clean(stage):
    stage.come("alice:phone")
    stage.come("alice:phone:1")
    stage.go("alice:phone")
    assert stage.go("alice:phone:1", clean=True) == OFFLINE
    stage.come("alice:phone")
    stage.come("alice:phone:1")
    stage.go("alice:phone", clean=True)
    assert stage.go("alice:phone:1") is None
    assert stage.wait(60) == [OFFLINE]


def test_of_two_devices_the_one_that_stays_counts(stage):
    stage.come()
    assert stage.come("alice:desk", DESK) is None
    assert stage.go(clean=True) is None
    assert stage.go("alice:desk", DESK) is None
    assert stage.wait(LINGER_S) == [OFFLINE]


def test_online_on_one_device_hides_away_on_another(stage):
    stage.come()
    assert stage.say("away", 1) == AWAY
    assert stage.come("alice:desk", DESK) == ONLINE
    assert stage.go("alice:desk", DESK) is None
    assert stage.wait(LINGER_S) == [AWAY]
    assert stage.say("online", 1) == ONLINE


def test_away_stays_away_over_a_broken_link(stage):
    stage.come()
    stage.say("away", 1)
    stage.go()
    assert stage.wait(5) == []
    assert stage.come() is None
    assert stage.wait(60) == []
    assert stage.state == "away"


def test_after_being_offline_a_device_begins_anew(stage):
    stage.come()
    stage.say("away", 7)
    assert stage.go(clean=True) == OFFLINE
    assert stage.come() == ONLINE
    assert stage.say("away", 1) == AWAY


def test_who_says_offline_is_offline_though_connected_and_until_it_says_otherwise(stage):
    stage.come()
    assert stage.say("offline", 1) == OFFLINE
    assert stage.come("alice:phone:1") is None
    assert stage.say("online", 1) == ONLINE


def test_who_said_offline_does_not_linger(stage):
    stage.come()
    assert stage.say("offline", 1) == OFFLINE
    assert stage.go() is None
    assert stage.come() == ONLINE


def test_a_status_that_is_taken_back_leaves_the_connection(stage):
    stage.come()
    stage.say("away", 3)
    assert stage.say(None) == ONLINE


@pytest.mark.parametrize("state", ["online", "away", "offline", None])
def test_a_status_older_than_the_newest_is_passed_over(stage, state):
    stage.come()
    assert stage.say("away", 5) == AWAY
    assert stage.say(state, 4) is None
    assert stage.state == "away"
    assert stage.say("online", 5) == ONLINE


def test_a_status_without_a_number_is_taken_as_it_comes(stage):
    stage.come()
    stage.say("away", 5)
    assert stage.say("online") == ONLINE
    assert stage.say("away", 4) is None


def test_a_late_will_of_an_earlier_connection_changes_nothing(stage):
    stage.come("alice:phone:a")
    stage.say("online", 1)
    stage.come("alice:phone:b")
    stage.say("away", 2)
    stage.go("alice:phone:a")
    assert stage.will(1) is None
    assert stage.wait(60) == []
    assert stage.state == "away"


def test_a_will_does_not_shorten_the_wait_and_a_late_one_comes_to_nothing(stage):
    stage.come()
    stage.say("online", 1)
    stage.go()
    assert stage.will(1) is None
    assert stage.wait(9) == []
    assert stage.wait(1) == [OFFLINE]
    assert stage.will(1) is None
    assert stage.will(2, "away") is None
    assert stage.state == "offline"


def test_the_will_of_the_connection_that_stands_no_longer_leaves_the_one_that_does(stage):
    stage.come()
    stage.say("online", 1)
    stage.go()
    stage.come()
    assert stage.will(1) is None
    assert stage.wait(60) == []
    assert stage.say("away", 1) == AWAY


def test_a_will_counts_for_what_is_older(stage):
    stage.come()
    stage.will(9)
    assert stage.say("away", 8) is None
    assert stage.say("away", 9) == AWAY


# -- behind another broker nothing is known of connections


def test_status_alone_makes_a_device_that_nobody_has_seen_connect(stage):
    assert stage.say("online", 1) == ONLINE
    assert stage.say("away", 1) == AWAY
    assert stage.wait(600) == []
    assert stage.say("offline", 1) == OFFLINE


def test_offline_of_a_device_that_is_not_known_costs_nothing(stage):
    assert stage.say("offline", 1) is None
    assert stage.say(None) is None
    assert stage.will(1) is None
    assert len(stage.roster) == 0


def test_a_will_without_connections_is_told_after_the_wait_unless_the_device_says_something(stage):
    stage.say("online", 1)
    assert stage.will(1) is None
    assert stage.wait(9) == []
    assert stage.say("online", 2) is None
    assert stage.wait(60) == []
    assert stage.will(1) is None
    assert stage.wait(60) == []
    assert stage.will(2, "away") is None
    assert stage.will(2) is None
    assert stage.wait(60) == [OFFLINE]


def test_a_status_that_is_cleared_where_connections_are_not_known_is_the_end(stage):
    stage.say("away", 1)
    assert stage.say(None) == OFFLINE


# -- a link that comes and goes


def test_a_flapping_link_is_told_a_few_times_and_then_once_a_second(stage):
    told = []
    for _ in range(100):
        told += [stage.come(), stage.go(clean=True)]
        told += stage.wait(0.1)
    told = [change for change in told if change is not None]
    assert len(told) <= BURST + 11
    assert {*told[::2], *told[1::2]} == {ONLINE, OFFLINE}
    assert all(one != other for one, other in pairwise(told))
    told = stage.wait(60)
    assert told in ([], [OFFLINE])
    assert stage.state == "offline"


def test_what_is_held_back_and_turned_back_is_never_told(stage):
    for _ in range(BURST):
        last = stage.come() if stage.state == "offline" else stage.go(clean=True)
        assert last is not None
    assert stage.state == "online"
    assert stage.go(clean=True) is None
    assert stage.come() is None
    assert stage.wait(60) == []
    assert stage.state == "online"


def test_who_is_gone_is_forgotten_once_nothing_is_held_back(stage):
    for _ in range(4):
        stage.come()
        stage.go(clean=True)
    assert len(stage.roster) == 1
    stage.wait(60)
    assert len(stage.roster) == 0
    assert stage.roster.next_due() is None


def test_a_user_who_is_new_under_the_same_name_is_not_woken_by_the_old_ones_time(stage):
    stage.come()
    stage.go()
    stage.come()
    stage.go(clean=True)
    assert stage.wait(9) == []
    assert stage.come() == ONLINE
    assert stage.wait(60) == []


# -- after a restart


def test_whoever_was_there_before_a_restart_and_does_not_come_back_is_told_to_be_gone(stage):
    stage.roster.suspect(ALICE, "away", stage.now + 25, stage.now)
    assert (stage.state, stage.roster.online) == ("away", 1)
    assert stage.wait(24.9) == []
    assert stage.wait(0.1) == [OFFLINE]
    assert (stage.state, stage.roster.online) == ("offline", 0)


def test_whoever_comes_back_as_before_is_not_told_about(stage):
    stage.roster.suspect(ALICE, "online", stage.now + 25, stage.now)
    assert stage.wait(20) == []
    assert stage.come() is None
    assert stage.wait(600) == []
    assert stage.state == "online"


@pytest.mark.parametrize("sign", ["connection", "status"])
def test_the_first_sign_of_a_device_ends_the_suspicion(stage, sign):
    stage.roster.suspect(ALICE, "away", stage.now + 25, stage.now)
    assert (stage.come() if sign == "connection" else stage.say("online", 1)) == ONLINE
    assert (stage.go(clean=True) if sign == "connection" else stage.say("offline", 1)) == OFFLINE


def test_somebody_who_was_shown_as_offline_is_simply_forgotten(stage):
    stage.roster.suspect(ALICE, "offline", stage.now + 25, stage.now)
    assert stage.wait(60) == []
    assert len(stage.roster) == 0


# -- who is reached


def test_whoever_has_a_device_here_is_reached_and_for_a_while_after_it_left_without_a_word():
    roster = Roster()
    assert not roster.is_reached(ALICE)
    roster.connected(ALICE, PHONE, "c", 0.0)
    assert roster.is_reached(ALICE)
    roster.disconnected(ALICE, PHONE, "c", 1.0, clean=False)
    assert roster.is_reached(ALICE)
    roster.due(1.0 + LINGER_S)
    assert not roster.is_reached(ALICE)


def test_whoever_says_offline_and_is_here_all_the_same_is_reached():
    roster = Roster()
    roster.connected(ALICE, PHONE, "c", 0.0)
    roster.status(ALICE, PHONE, Status("offline"), 0.0, will=False)
    assert roster.state_of(ALICE) == "offline"
    assert roster.is_reached(ALICE)


def test_whoever_only_says_so_behind_another_broker_is_reached():
    roster = Roster()
    roster.status(ALICE, PHONE, Status("away"), 0.0, will=False)
    assert roster.is_reached(ALICE)
