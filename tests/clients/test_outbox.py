from itertools import count

import pytest

from pabal_client.effects import Entry
from pabal_client.outbox import Outbox


def entry(name, lane="alice~bob"):
    return Entry(name, name.encode(), lane, durable=True)


@pytest.fixture
def outbox():
    box = Outbox("up", tokens=count(1), random=lambda: 0.5, window=4)
    box.online(0.0)
    return box


def names(published):
    return [publish.payload.decode() for publish in published]


def drain_pubacks(outbox, published):
    for publish in published:
        outbox.puback(publish.token)


def test_nothing_is_published_while_offline():
    box = Outbox("up", tokens=count(1), random=lambda: 0.5)
    box.add(entry("a"))
    assert box.pump(0.0) == []
    assert box.deadline() is None
    box.online(5.0)
    assert names(box.pump(5.0)) == ["a"]


def test_one_lane_is_sent_one_at_a_time_in_order(outbox):
    for name in "abc":
        outbox.add(entry(name))
    assert names(outbox.pump(0.0)) == ["a"]
    outbox.settle("a")
    assert names(outbox.pump(0.0)) == ["b"]
    outbox.settle("b")
    assert names(outbox.pump(0.0)) == ["c"]


def test_lanes_do_not_wait_for_each_other_but_the_window_bounds_them(outbox):
    for number in range(6):
        outbox.add(entry(f"m{number}", lane=f"lane{number}"))
    assert names(outbox.pump(0.0)) == ["m0", "m1", "m2", "m3"]
    outbox.settle("m2")
    assert names(outbox.pump(0.0)) == ["m4"]


def test_what_has_no_reply_is_sent_again_after_1_2_4_seconds_and_so_on(outbox):
    outbox.add(entry("a"))
    times = []
    now = 0.0
    published = outbox.pump(now)
    for _ in range(8):
        times.append(now)
        drain_pubacks(outbox, published)
        now = outbox.deadline()
        assert outbox.pump(now - 0.001) == []
        published = outbox.pump(now)
        assert names(published) == ["a"]
    assert times == [0, 1, 3, 7, 15, 31, 63, 123]


def test_no_copy_is_sent_while_mqtt_still_carries_the_last_one(outbox):
    outbox.add(entry("a"))
    (first,) = outbox.pump(0.0)
    assert outbox.pump(1.0) == []
    outbox.puback(first.token)
    assert names(outbox.pump(outbox.deadline())) == ["a"]


def test_a_connection_that_acknowledges_nothing_for_a_minute_is_called_stuck(outbox):
    outbox.add(entry("a"))
    outbox.pump(0.0)
    while not outbox.stuck:
        now = outbox.deadline()
        assert outbox.pump(now) == []
    assert 60 < now < 130
    outbox.offline()
    outbox.online(now)
    assert not outbox.stuck
    assert names(outbox.pump(now)) == ["a"]


def test_after_a_reconnect_everything_without_reply_is_sent_again_at_once_in_order(outbox):
    for name in "ab":
        outbox.add(entry(name))
    outbox.add(entry("c", lane="other"))
    assert names(outbox.pump(0.0)) == ["a", "c"]
    outbox.offline()
    outbox.online(0.1)
    assert names(outbox.pump(0.1)) == ["a", "c"]


def test_a_server_that_asks_for_patience_is_given_it_and_the_lane_waits(outbox):
    outbox.add(entry("a"))
    outbox.add(entry("b"))
    outbox.pump(0.0)
    assert outbox.postpone("a", 0.0, 7.0)
    assert outbox.pump(6.9) == []
    assert names(outbox.pump(7.0)) == ["a"]


def test_patience_without_a_number_is_the_backoff(outbox):
    outbox.add(entry("a"))
    outbox.pump(0.0)
    outbox.postpone("a", 10.0, None)
    assert outbox.deadline() == 12.0


def test_patience_outlives_a_reconnect_but_has_a_bound(outbox):
    outbox.add(entry("a"))
    outbox.pump(0.0)
    outbox.postpone("a", 0.0, 1e12)
    outbox.offline()
    outbox.online(1.0)
    assert outbox.pump(1.0) == []
    assert outbox.deadline() == 3600.0
    assert names(outbox.pump(3600.0)) == ["a"]


def test_a_late_call_for_patience_changes_nothing(outbox):
    outbox.add(entry("a"))
    outbox.pump(0.0)
    outbox.postpone("a", 0.0, 5.0)
    assert outbox.postpone("a", 1.0, 50.0)
    assert outbox.deadline() == 5.0
    assert not outbox.postpone("unknown", 0.0, 1.0)


def test_the_same_id_waits_only_once(outbox):
    outbox.add(entry("a"))
    outbox.add(entry("a"))
    assert len(outbox) == 1
    assert "a" in outbox
    outbox.settle("a")
    assert outbox.settle("a") is None
    assert "a" not in outbox
    assert outbox.pump(0.0) == []


def test_a_question_goes_before_the_messages_that_wait(outbox):
    for number in range(5):
        outbox.add(entry(f"m{number}", lane=f"lane{number}"))
    outbox.add(entry("question", lane=None))
    assert names(outbox.pump(0.0)) == ["question", "m0", "m1", "m2"]


def test_what_is_settled_before_its_turn_is_never_published(outbox):
    outbox.add(entry("q1", lane=None))
    outbox.add(entry("a"))
    outbox.add(entry("b"))
    outbox.settle("q1")
    outbox.settle("b")
    assert names(outbox.pump(0.0)) == ["a"]
    outbox.settle("a")
    assert outbox.pump(0.0) == []
    assert [*outbox.entries()] == []
    assert outbox.deadline() is None


def test_settling_the_first_of_a_lane_before_it_was_sent_lets_the_next_one_go(outbox):
    outbox.add(entry("a"))
    outbox.add(entry("b"))
    outbox.settle("a")
    assert names(outbox.pump(0.0)) == ["b"]


def test_what_is_added_or_settled_offline_keeps_its_order(outbox):
    outbox.offline()
    for name in "abc":
        outbox.add(entry(name))
    outbox.settle("a")
    outbox.online(1.0)
    assert names(outbox.pump(1.0)) == ["b"]


def test_a_postponed_one_frees_its_place_in_the_window(outbox):
    for number in range(5):
        outbox.add(entry(f"m{number}", lane=f"lane{number}"))
    outbox.pump(0.0)
    outbox.postpone("m0", 0.0, 10.0)
    assert names(outbox.pump(0.0)) == ["m4"]
    for number in range(1, 5):
        outbox.settle(f"m{number}")
    assert names(outbox.pump(10.0)) == ["m0"]
