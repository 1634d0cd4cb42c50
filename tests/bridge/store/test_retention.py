"""Old updates are forgotten in short steps, and `min_seq` moves with them."""

import pytest
from sqlalchemy import event, text

from bridge.commands import check_send
from bridge.ports import Source
from bridge.reads import Reads
from bridge.store import meta, retention
from bridge.store.lease import NullLease
from bridge.store.read_store import ReadStore
from bridge.store.relay_store import Batch, RelayStore
from bridge.store.retention import DAY_MS, Retention
from bridge.store.writer import Writer
from pabal.ids import DeviceId, UserId
from pabal.messages import Send

ALICE, BOB, D = UserId("alice"), UserId("bob"), DeviceId("d")


class Clock:
    def __init__(self) -> None:
        self.ms = 100 * DAY_MS

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def open_store(engine, clock):
    def make(**kept: int) -> RelayStore:
        begun = meta.begin(engine, lambda _now: None, lambda: "e")
        writer = Writer(engine, NullLease(), begun.batch)
        return RelayStore(writer, epoch="e", clock_ms=clock, retention=Retention(**kept))

    return make


def send(store, count, to="bob"):
    store.commit(Batch([check_send(Source(ALICE, D), Send(to=to, text="x")) for _ in range(count)]))


def trimmed(store) -> int:
    steps = 0
    while store.trim():
        steps += 1
        assert steps < 1000
    return steps


def kept(engine, user):
    """`(min_seq, head, seqs)`, the seqs dense."""
    with engine.connect() as connection:
        found = connection.execute(
            text("SELECT min_seq, head FROM inbox_head WHERE user_id = :u"), {"u": user}
        ).one()
        seqs = connection.execute(
            text("SELECT seq FROM inbox WHERE user_id = :u ORDER BY seq"), {"u": user}
        ).scalars()
        found = (*found, list(seqs))
    assert found[2] == list(range(found[0], found[1] + 1))
    return found[0], found[1]


def test_no_more_updates_are_kept_than_is_said(open_store, engine):
    store = open_store(updates=10)
    send(store, 10)
    trimmed(store)
    assert kept(engine, "bob") == (1, 10)
    send(store, 7)
    assert trimmed(store) >= 1
    assert kept(engine, "bob") == (8, 17)
    assert kept(engine, "alice") == (8, 17)
    send(store, 1)
    trimmed(store)
    assert kept(engine, "bob") == (9, 18)


def test_with_nothing_to_forget_nothing_is_written(open_store):
    store = open_store(updates=10)
    send(store, 5)
    trimmed(store)
    before = store.last_batch
    assert not store.trim()
    assert store.last_batch == before


def test_updates_of_too_many_days_ago_are_forgotten_from_the_start_on(open_store, engine, clock):
    store = open_store(days=30)
    send(store, 3)
    clock.ms += 10 * DAY_MS
    send(store, 2)
    clock.ms += 25 * DAY_MS
    later = open_store(days=30)
    trimmed(later)
    assert kept(engine, "bob") == (4, 5)
    clock.ms += 25 * DAY_MS
    trimmed(open_store(days=30))
    assert kept(engine, "bob") == (6, 5), "of an inbox nothing may be kept, its numbers go on"
    send(store := open_store(days=30), 1)
    trimmed(store)
    assert kept(engine, "bob") == (6, 6)


def test_a_clock_that_jumped_back_does_not_take_younger_updates_with_it(open_store, engine, clock):
    store = open_store(days=30)
    send(store, 1)
    clock.ms -= 90 * DAY_MS
    send(store, 1)
    clock.ms += 90 * DAY_MS
    trimmed(open_store(days=30))
    assert kept(engine, "bob") == (1, 2)


def test_a_step_is_bounded_and_the_next_goes_on(open_store, engine, monkeypatch):
    monkeypatch.setattr(retention, "ROWS_A_STEP", 7)
    store = open_store(updates=5)
    send(store, 40)
    deleted = []

    @event.listens_for(engine, "after_cursor_execute")
    def _count(_connection, cursor, statement, *_rest):
        if statement.startswith("DELETE FROM inbox"):
            deleted.append(cursor.rowcount)

    assert trimmed(store) >= 10
    assert max(deleted) <= 7
    assert kept(engine, "bob") == kept(engine, "alice") == (36, 40)


def test_all_inboxes_are_looked_through_page_by_page(open_store, engine, clock, monkeypatch):
    monkeypatch.setattr(retention, "PAGE", 1)
    store = open_store(days=30)
    send(store, 1)
    send(store, 1, to="carol")
    clock.ms += 31 * DAY_MS
    trimmed(open_store(days=30))
    assert [kept(engine, user) for user in ("alice", "bob", "carol")] == [(3, 2), (2, 1), (2, 1)]


def test_a_device_behind_what_is_kept_starts_over_and_one_within_goes_on(open_store, engine):
    store = open_store(updates=10)
    send(store, 17)
    trimmed(store)
    reads = Reads(ReadStore(engine), "e")
    assert b'"reset":true' in reads.sync(BOB, 6, "e", 100)
    assert b'"reset"' not in reads.sync(BOB, 7, "e", 100)


def test_a_small_excess_of_a_large_inbox_is_left_for_later(open_store, engine):
    store = open_store(updates=200)
    send(store, 202)
    trimmed(store)
    assert kept(engine, "bob") == (1, 202)
    send(store, 1)
    trimmed(store)
    assert kept(engine, "bob") == (4, 203)
