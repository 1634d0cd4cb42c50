"""A device knows its groups from its inbox, takes the entries of rooms in order, and finds both again in its log."""

import pytest
from faultlab.groups import Groups, reached_rooms
from faultlab.recorder import Recorder, read

CONV = "gaaaaaaaaaaaa"


class Bench:
    """A device's log, and its groups; `restart` makes them anew from the log alone."""

    def __init__(self, path):
        self.path = path
        self.seq = 0
        self.restart()

    def restart(self):
        self.recorder = Recorder(self.path)
        self.groups = Groups(self.recorder, "dan", follows=True)
        self.groups.replay(read(self.path))

    def hears(self, type_, message_id, *, seq=None, epoch="e1", **fields):
        self.seq = self.seq + 1 if seq is None else seq
        update = {
            "seq": self.seq,
            "epoch": epoch,
            "type": type_,
            "conv": CONV,
            "message_id": message_id,
            **fields,
        }
        self.recorder.note("receipt", **update)
        self.groups.take(update)

    def comes(self, message_id):
        self.groups.live(
            1, {"type": "message", "conv": CONV, "message_id": message_id, "from": "ann", "text": "a b"}
        )

    def reads(self, *numbers):
        self.groups.page(CONV, [{"message_id": n, "from": "ann", "text": "a b"} for n in numbers])

    @property
    def reached(self):
        return reached_rooms(read(self.path)).get(CONV)

    def noted(self, what):
        return [event for event in read(self.path) if event["what"] == what]


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path / "log")


@pytest.fixture
def large(bench):
    """In a group that became large with its third entry."""
    bench.hears("member", 2, action="joined", user="dan", mode="small")
    bench.hears("conversation", 3, action="mode", mode="large")
    return bench


def test_one_is_in_a_group_from_its_word_on_until_its_word(bench):
    assert bench.groups.convs() == []
    bench.hears("member", 2, action="joined", user="dan", mode="small")
    bench.hears("member", 3, action="joined", user="eve", mode="small")
    assert bench.groups.convs() == [CONV]
    assert bench.groups.rooms() == set()
    bench.hears("member", 4, action="removed", user="dan")
    assert bench.groups.convs() == []


def test_a_room_is_followed_from_the_switch_on(large):
    large.comes(4)
    large.comes(5)
    assert large.reached == 5
    assert large.groups.missing() == []


def test_what_is_missing_is_asked_for_and_taken_from_history_in_order(large):
    large.comes(4)
    large.comes(7)
    assert large.reached == 4
    assert [(r["conv"], r["after"]) for r in large.groups.missing()] == [(CONV, 4)]
    assert large.groups.missing() == [], "not again at once"
    large.reads(5, 6, 7)
    large.comes(7)
    large.reads(6, 7)
    assert large.reached == 7
    assert [event["message_id"] for event in large.noted("entry")] == [5, 6, 7]
    assert [event["taken"] for event in large.noted("room")] == [True, False, False]


def test_a_head_that_is_told_shows_what_came_to_nobody(large):
    large.groups.told({CONV: 5})
    assert [r["after"] for r in large.groups.missing()] == [3]
    large.reads(5)
    assert large.reached == 3, "a page with a hole before it brings nothing"


@pytest.mark.parametrize("killed_before", ["the follow was noted", "nothing"])
def test_after_a_restart_it_goes_on_where_its_log_ends(large, killed_before):
    if killed_before == "nothing":
        large.comes(4)
    else:
        lines = large.path.read_text().splitlines(keepends=True)
        large.path.write_text("".join(line for line in lines if '"follow"' not in line))
    reached = 4 if killed_before == "nothing" else 3
    large.restart()
    assert large.reached == reached
    large.comes(reached + 1)
    assert large.reached == reached + 1
    assert len(large.noted("follow")) == 1


def test_an_update_that_is_sent_again_sets_nothing_back(large):
    large.comes(4)
    large.hears("conversation", 3, seq=2, action="mode", mode="large")
    assert large.reached == 4
    assert len(large.noted("follow")) == 1


def test_who_comes_back_goes_on_from_there_and_subscribes_again(large):
    large.comes(4)
    before = large.groups.rooms()
    large.hears("member", 5, action="removed", user="dan")
    assert large.groups.rooms() == set()
    large.comes(6)
    large.hears("member", 9, action="joined", user="dan", mode="large")
    assert large.groups.rooms().isdisjoint(before)
    large.comes(10)
    assert large.reached == 10


def test_in_another_epoch_the_list_of_conversations_is_all_that_counts(large):
    large.comes(4)
    large.hears("member", 9, epoch="e2", seq=1, action="joined", user="dan", mode="large")
    assert large.reached == 4, "the list is on its way"
    other = "gbbbbbbbbbbbb"
    listed = [
        {"conv": other, "kind": "group", "mode": "large", "head": 6},
        {"conv": "ann~dan", "kind": "direct"},
    ]
    large.groups.start_over("e2", 1, listed)
    assert large.groups.convs() == [other]
    assert reached_rooms(read(large.path)) == {other: 6}
    large.restart()
    assert large.groups.convs() == [other]
    assert (large.groups.epoch, large.groups.seq) == ("e2", 1)
