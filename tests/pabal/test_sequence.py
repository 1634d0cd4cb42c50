import pytest
from hypothesis import given
from hypothesis import strategies as st

from pabal.sequence import AckedPrefix, Arrival, Reorder, classify


@pytest.mark.parametrize(
    ("cursor", "seq", "arrival"),
    [
        (0, 1, Arrival.NEXT),
        (0, 2, Arrival.GAP),
        (0, 0, Arrival.DUPLICATE),
        (7, 8, Arrival.NEXT),
        (7, 9, Arrival.GAP),
        (7, 7, Arrival.DUPLICATE),
        (7, 1, Arrival.DUPLICATE),
    ],
)
def test_the_number_alone_says_whether_an_update_is_next_old_or_ahead(cursor, seq, arrival):
    assert classify(cursor, seq) is arrival


class NaivePrefix:
    """The definition, word for word: the highest seq up to which nothing sent is outstanding."""

    def __init__(self, position):
        self.start, self.sent, self.acked = position, [], set()

    @property
    def position(self):
        best = self.start
        for seq in self.sent:
            if seq not in self.acked:
                break
            best = seq
        return best

    @property
    def outstanding(self):
        return sum(seq not in self.acked for seq in self.sent)


steps = st.lists(
    st.tuples(st.just("send"), st.integers(1, 3)) | st.tuples(st.just("ack"), st.integers(0, 30)), max_size=60
)


@given(st.integers(0, 10), steps)
def test_the_acknowledged_prefix_is_the_naive_one_whatever_is_acknowledged_and_when(start, steps):
    prefix, naive = AckedPrefix(start), NaivePrefix(start)
    last = start
    for what, number in steps:
        before = naive.position
        if what == "send":
            last += number
            prefix.sent(last)
            naive.sent.append(last)
        else:
            moved = prefix.acked(number)
            if number in naive.sent:  # of what was never sent, an acknowledgement means nothing
                naive.acked.add(number)
            assert moved == (naive.position != before)
        assert (prefix.position, prefix.outstanding) == (naive.position, naive.outstanding)


@given(st.permutations(range(1, 21)))
def test_when_all_is_acknowledged_in_any_order_the_position_is_the_last(order):
    prefix = AckedPrefix(0)
    for seq in range(1, 21):
        prefix.sent(seq)
    moves = [prefix.acked(seq) for seq in order]
    assert (prefix.position, prefix.outstanding) == (20, 0)
    assert moves[-1]
    assert moves[: order.index(1)] == [False] * order.index(1)


def test_acknowledging_what_was_never_sent_costs_no_memory_and_counts_for_nothing_later():
    prefix = AckedPrefix(0)
    prefix.sent(1)
    for seq in range(2, 1000):
        assert not prefix.acked(seq)
    assert prefix.outstanding == 1
    assert sum(len(getattr(prefix, slot)) for slot in ("_sent", "_waiting")) == 2
    prefix.sent(2)
    assert prefix.acked(1)
    assert prefix.position == 1


class NaiveReorder:
    """Keeps everything that is ahead in one dict, and looks for what fits after every push."""

    def __init__(self, cursor, limit):
        self.cursor, self.limit, self.ahead = cursor, limit, {}

    def push(self, seq, item):
        if seq > self.cursor:
            self.ahead.setdefault(seq, item)
        ready = []
        while self.cursor + 1 in self.ahead:
            self.cursor += 1
            ready.append(self.ahead.pop(self.cursor))
        while len(self.ahead) > self.limit:
            del self.ahead[max(self.ahead)]
        return ready

    @property
    def gap(self):
        return (self.cursor + 1, min(self.ahead) - 1) if self.ahead else None


@given(st.integers(0, 3), st.integers(0, 6), st.lists(st.integers(0, 25), max_size=80))
def test_a_stream_is_put_in_order_as_the_naive_model_does(cursor, limit, seqs):
    stream, naive = Reorder(cursor, limit=limit), NaiveReorder(cursor, limit)
    for turn, seq in enumerate(seqs):
        assert stream.push(seq, (seq, turn)) == naive.push(seq, (seq, turn))
        assert (stream.cursor, stream.gap) == (naive.cursor, naive.gap)
        assert len(stream._ahead) == len(stream._keys) <= limit


@given(st.permutations(range(1, 31)))
def test_each_update_is_handed_on_once_and_in_order(order):
    stream = Reorder(0)
    handed = [item for seq in [*order, *order] for item in stream.push(seq, seq)]
    assert handed == list(range(1, 31))
    assert stream.gap is None


def test_by_default_a_thousand_wait_and_of_more_the_furthest_is_let_go():
    stream = Reorder(0)
    for seq in range(2, 1002):
        stream.push(seq, seq)
    assert stream.push(1002, "one too many") == []
    assert stream.gap == (1, 1)
    assert stream.push(1, 1) == list(range(1, 1002))
    assert stream.cursor == 1001


def test_of_two_copies_that_are_ahead_the_first_is_kept():
    stream = Reorder(0)
    stream.push(2, "first")
    stream.push(2, "second")
    assert stream.push(1, "one") == ["one", "first"]


def test_after_a_snapshot_nothing_that_waited_is_handed_on():
    stream = Reorder(0)
    stream.push(3, "old")
    stream.push(12, "old too")
    stream.reset(10)
    assert (stream.cursor, stream.gap) == (10, None)
    assert stream.push(11, "new") == ["new"]
    assert stream.push(3, "late") == []
    assert stream.push(12, "again") == ["again"]


def test_what_came_another_way_makes_room_for_what_waited_behind_it():
    stream = Reorder(0)
    for seq in (3, 5, 6, 9):
        stream.push(seq, seq)
    assert stream.advance(4) == [5, 6]
    assert (stream.cursor, stream.gap) == (6, (7, 8))
    assert stream.push(3, "late") == []
    assert stream.push(7, 7) == [7]


def test_to_advance_to_where_one_is_or_was_changes_nothing():
    stream = Reorder(4)
    stream.push(6, 6)
    assert stream.advance(3) == stream.advance(4) == []
    assert (stream.cursor, stream.gap) == (4, (5, 5))
    assert stream.advance(5) == [6]
