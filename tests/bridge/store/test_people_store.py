"""What people ask of the database: nothing more for those who have chosen and blocked nothing."""

import pytest
from sqlalchemy import event, insert, update

from bridge.commands import check_send
from bridge.people_commands import check_block, check_contact, check_report
from bridge.ports import Source
from bridge.store import meta
from bridge.store.engine import open_engine
from bridge.store.lease import NullLease
from bridge.store.relay_store import Batch, RelayStore
from bridge.store.tables import account, block
from bridge.store.writer import Writer
from pabal.ids import DeviceId, UserId
from pabal.messages import BlockAdd, ContactRequest, Report, Send

D = DeviceId("d")


@pytest.fixture
def store(url):
    engine = open_engine(url)
    begun = meta.begin(engine, lambda _now: None, lambda: "e")
    yield RelayStore(Writer(engine, NullLease(), begun.batch), epoch="e", clock_ms=lambda: 1000)
    engine.dispose()


@pytest.fixture
def people(engine):
    """A crowd: user u0 … u199."""
    users = [f"u{number}" for number in range(200)]
    with engine.begin() as connection:
        rows = [{"user_id": user, "state": "active", "admin": False, "created_ts": 0} for user in users]
        connection.execute(insert(account), rows)
    return users


@pytest.fixture
def statements(store):
    seen: list[str] = []

    def note(_connection, _cursor, statement, *_rest) -> None:
        if not statement.startswith("BEGIN"):
            seen.append(statement)

    event.listen(store._writer.engine, "before_cursor_execute", note)
    return seen


def source(user: str) -> Source:
    return Source(UserId(user), D)


def sends(people: list[str], first: str) -> Batch:
    return Batch(
        [check_send(source("alice"), Send(id=f"{first}{user}", to=user, text="x")) for user in people]
    )


def accepted(committed) -> list[bool]:
    return [isinstance(outcome, bytes) for outcome in committed.outcomes]


@pytest.mark.parametrize("size", [1, 100, 200])
def test_blocks_and_privacy_cost_one_statement_and_only_where_there_are_any(
    store, statements, engine, people, size
):
    assert accepted(store.commit(sends(people[:size], "a"))) == [True] * size
    plain = len(statements)
    assert plain == 10
    statements.clear()
    with engine.begin() as connection:
        connection.execute(insert(block).values(user_id=people[0], blocked_id="alice", ts=1))
        chosen = update(account).where(account.c.user_id == people[-1])
        connection.execute(chosen.values(privacy='{"write":"contacts"}'))
    refused = {people[0], people[-1]}
    committed = store.commit(sends(people[:size], "b"))
    assert accepted(committed) == [user not in refused for user in people[:size]]
    # A batch of which nothing is left writes nothing either.
    assert len(statements) == (plain + 1 if size > 1 else 5)


@pytest.mark.parametrize("size", [1, 10, 100])
def test_contacts_blocks_and_reports_take_as_many_statements_whatever_their_number(
    store, statements, people, size
):
    some = people[:size]
    asked = [check_contact(source(user), ContactRequest(id="c", user="alice")) for user in some]
    assert accepted(store.commit(Batch(asked))) == [True] * size
    numbers = [len(statements)]
    statements.clear()
    blocked = [check_block(source(user), BlockAdd(id="b", user="alice")) for user in some]
    assert accepted(store.commit(Batch(blocked))) == [True] * size
    numbers.append(len(statements))
    statements.clear()
    reported = [check_report(source(user), Report(id="r", user="alice", reason="x")) for user in some]
    assert accepted(store.commit(Batch(reported))) == [True] * size
    numbers.append(len(statements))
    assert numbers == [8, 9, 6]
