"""What it costs to write down who is online: a fixed number of statements, whatever the number of users."""

import pytest
from sqlalchemy import event, select

from bridge.commands import SavePresence
from bridge.store import meta
from bridge.store.engine import open_engine
from bridge.store.lease import NullLease
from bridge.store.read_store import ReadStore
from bridge.store.relay_store import Batch, RelayStore
from bridge.store.tables import device
from bridge.store.writer import Writer
from pabal.ids import DeviceId, UserId

ONLINE, AWAY = '{"state":"online"}', '{"state":"away"}'


@pytest.fixture
def store(url):
    engine = open_engine(url)
    begun = meta.begin(engine, lambda _now: None, lambda: "e")
    yield RelayStore(Writer(engine, NullLease(), begun.batch), epoch="e", clock_ms=lambda: 1000)
    engine.dispose()


@pytest.fixture
def statements(store):
    seen: list[str] = []

    def note(_connection, _cursor, statement, *_rest) -> None:
        if "retained" in statement or "device" in statement:
            seen.append(statement)

    event.listen(store._writer.engine, "before_cursor_execute", note)
    return seen


@pytest.mark.parametrize("size", [1, 500])
def test_any_number_of_users_and_devices_are_three_statements(store, statements, size):
    shown = [(UserId(f"a{n}"), ONLINE) for n in range(size)] + [(UserId(f"b{n}"), "") for n in range(size)]
    seen = [(UserId(f"a{n}"), DeviceId("d"), n) for n in range(size)]
    store.commit(Batch([SavePresence(shown, seen)]))
    assert len(statements) == 3


def test_what_need_not_be_written_is_no_statement(store, statements):
    store.commit(Batch([SavePresence([(UserId("alice"), AWAY)], [])]))
    store.commit(Batch([SavePresence([(UserId("alice"), "")], [])]))
    store.commit(Batch([SavePresence([], [(UserId("alice"), DeviceId("d"), 5)])]))
    store.commit(Batch([]))
    assert len(statements) == 3


def test_the_newest_word_stands_and_a_time_never_goes_back(store, engine):
    alice, bob, d = UserId("alice"), UserId("bob"), DeviceId("d")
    store.commit(Batch([SavePresence([(bob, ONLINE), (alice, ONLINE)], [(alice, d, 9), (bob, d, 7)])]))
    store.commit(Batch([SavePresence([(alice, AWAY), (bob, "")], [(alice, d, 8), (bob, d, 8)])]))
    with ReadStore(engine).snapshot() as snapshot:
        assert snapshot.shown() == [(alice, AWAY.encode())]
        assert snapshot.last_seen([alice, bob, UserId("carol")]) == {alice: 9, bob: 8}
    with engine.connect() as connection:
        seen = connection.execute(select(device.c.user_id, device.c.seen_ts).order_by(device.c.user_id)).all()
    assert seen == [("alice", 9), ("bob", 8), ("carol", None)]
