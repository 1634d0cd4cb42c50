"""What one transaction costs: a fixed number of statements, whatever the size of the batch."""

import pytest
from msgspec.structs import replace
from sqlalchemy import event, text

from bridge.commands import (
    AckCommand,
    MarkDelivered,
    ReadCommand,
    check_group_create,
    check_member_change,
    check_send,
)
from bridge.ports import Source
from bridge.store import meta
from bridge.store.dialect import rows
from bridge.store.engine import open_engine
from bridge.store.lease import NullLease
from bridge.store.relay_store import Batch, RelayStore
from bridge.store.writer import Writer
from pabal.ids import ConvId, DeviceId, UserId
from pabal.messages import GroupAdd, GroupCreate, GroupRemove, Send

ALICE, BOB, D = UserId("alice"), UserId("bob"), DeviceId("d")


@pytest.fixture
def store(url):
    engine = open_engine(url)
    begun = meta.begin(engine, lambda _now: None, lambda: "e")
    writer = Writer(engine, NullLease(), begun.batch)
    yield RelayStore(writer, epoch="e", clock_ms=lambda: 1000)
    engine.dispose()


@pytest.fixture
def statements(store):
    seen: list[str] = []

    def note(_connection, _cursor, statement, *_rest) -> None:
        if not statement.startswith("BEGIN"):  # SQLite's begin goes through a cursor, PostgreSQL's does not
            seen.append(statement)

    event.listen(store._writer.engine, "before_cursor_execute", note)
    return seen


def sends(count: int, first: int = 0) -> list:
    return [
        check_send(Source(ALICE, D), Send(id=f"{n}", to="bob" if n % 2 else "carol", text="x"))
        for n in range(first, first + count)
    ]


@pytest.mark.parametrize("size", [1, 10, 256])
def test_a_batch_of_sends_takes_ten_statements_whatever_its_size(store, statements, size):
    committed = store.commit(Batch(sends(size)))
    assert len(committed.outcomes) == size
    assert len(statements) == 10


def test_the_statements_are_the_same_to_the_letter_from_batch_to_batch(store, statements):
    store.commit(Batch(sends(2)))
    first = list(statements)
    statements.clear()
    store.commit(Batch(sends(200, 2)))
    assert statements == first


def test_a_later_batch_also_clears_the_outbox_with_one_more(store, statements):
    first = store.commit(Batch(sends(1)))
    statements.clear()
    store.commit(Batch(sends(1, 1), published_upto=first.batch_id))
    assert len(statements) == 11


def test_reads_and_acks_add_a_fixed_number(store, statements):
    store.commit(Batch(sends(20)))
    statements.clear()
    conv = ConvId("alice~bob")
    store.commit(
        Batch([ReadCommand(BOB, D, f"r{n}", conv, n) for n in range(1, 6)] + [AckCommand(BOB, D, "a", 5)])
    )
    assert len(statements) == 10


# Of a group that is small with two members and large with three: sends, all of them mentioning somebody.
@pytest.fixture(params=["small", "large"])
def group(request, store):
    store._small_limit = 2
    members = ["bob", "carol"] if request.param == "large" else ["bob"]
    create = check_group_create(Source(ALICE, D), GroupCreate(id="g", name="Riders", members=members))
    store.commit(Batch([create]))
    return create.conv, request.param


def to_group(conv, count: int, first: int = 0) -> list:
    return [
        check_send(Source(ALICE, D), Send(id=f"{n}", conv=conv, text="x", mentions=["bob"]))
        for n in range(first, first + count)
    ]


@pytest.mark.parametrize("size", [1, 10, 256])
def test_a_batch_to_a_group_takes_as_many_statements_whatever_its_size(store, statements, group, size):
    conv, mode = group
    statements.clear()
    store.commit(Batch(to_group(conv, 1)))
    first = list(statements)
    statements.clear()
    committed = store.commit(Batch(to_group(conv, size, 1)))
    assert [b'"ok":true' in outcome for outcome in committed.outcomes] == [True] * size
    assert len(committed.rooms) == (size if mode == "large" else 0)
    assert len(committed.deliveries[BOB]) == size
    assert statements == first
    # One of them is for those who are mentioned.
    assert len(statements) == 12


@pytest.mark.parametrize("size", [1, 10, 256])
def test_messages_that_mention_nobody_cost_nothing_for_those_who_could_be(store, statements, group, size):
    conv, _mode = group
    statements.clear()
    store.commit(Batch([replace(command, mentions=()) for command in to_group(conv, size)]))
    assert not [statement for statement in statements if "mention" in statement]


@pytest.mark.parametrize("size", [1, 100])
def test_marks_of_what_was_delivered_take_two_statements_whatever_their_number(store, statements, size):
    store.commit(Batch(sends(size)))
    statements.clear()
    marks = [("alice~bob", "bob", n) for n in range(1, size)]
    store.commit(Batch([MarkDelivered(marks, [("bob", n) for n in range(1, size + 1)])]))
    written = [statement for statement in statements if "delivered" in statement]
    assert len(written) == (2 if marks else 1)
    assert len(statements) == len(written) + 1


@pytest.mark.parametrize("size", [1, 10, 100])
def test_groups_are_made_and_changed_with_as_many_statements_whatever_their_number(store, statements, size):
    source = Source(ALICE, D)
    creates = [
        check_group_create(source, GroupCreate(id=f"g{n}", name="x", members=["bob"])) for n in range(size)
    ]
    assert all(b'"ok":true' in outcome for outcome in store.commit(Batch(creates)).outcomes)
    assert len(statements) == 10
    for request, number in ((GroupAdd, 13), (GroupRemove, 12)):
        statements.clear()
        changes = [
            check_member_change(source, request(id=f"{request.__name__}", conv=one.conv, user="carol"))
            for one in creates
        ]
        assert all(b'"ok":true' in outcome for outcome in store.commit(Batch(changes)).outcomes)
        assert len(statements) == number


def test_a_batch_that_fails_leaves_nothing(store):
    store.commit(Batch(sends(1)))

    def explode(*_args: object) -> None:
        raise RuntimeError("power cut")

    event.listen(store._writer.engine, "commit", explode)
    with pytest.raises(RuntimeError):
        store.commit(Batch(sends(5, 1)))
    event.remove(store._writer.engine, "commit", explode)
    again = store.commit(Batch(sends(5, 1)))
    assert [b'"dup":false' in outcome for outcome in again.outcomes] == [True] * 5
    assert [seq for seq, _payload in again.deliveries[ALICE]] == [2, 3, 4, 5, 6]


def test_deliveries_are_dense_per_inbox_and_batches_are_numbered(store):
    one, two = store.commit(Batch(sends(4))), store.commit(Batch(sends(4, 4)))
    assert two.batch_id == one.batch_id + 1
    assert [seq for seq, _p in one.deliveries[ALICE] + two.deliveries[ALICE]] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [seq for seq, _p in one.deliveries[BOB] + two.deliveries[BOB]] == [1, 2, 3, 4]


def test_known_requests_are_found_by_their_own_key_however_the_table_has_grown(store, engine):
    """PostgreSQL kept a plan from when the table was small, that read whole conversations."""
    for first in range(0, 8000, 200):
        store.commit(Batch(sends(200, first)))
    explain = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN "
    looked_up = text(explain + store._sql.load_known_direct.text)
    keys = rows([["alice~bob", "alice", "d", "7"]])
    with store._writer.engine.connect() as connection:
        for _ in range(7):  # PostgreSQL would go over to a plan for all at the sixth
            plan = str(connection.execute(looked_up, {"keys": keys}).all())
    assert "uq_direct_message" in plan or "AND device=? AND id=?" in plan


def subscribe(store, user: UserId) -> None:
    with store._writer.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO push_subscription (user_id, device_id, service, target, preview, lang, subscribed_ts)"
                f" VALUES ('{user}', 'd', 'stdout', '{{}}', 'full', 'ko', 0)"
            )
        )
    store._pushes.load(store._writer.engine)


@pytest.mark.parametrize("size", [1, 10, 256])
def test_pushes_cost_one_statement_for_a_batch_and_none_where_nobody_is_told(store, statements, size):
    subscribe(store, UserId("dave"))
    statements.clear()
    store.commit(Batch(sends(size)))
    assert len(statements) == 10
    subscribe(store, BOB)
    statements.clear()
    committed = store.commit(Batch(sends(size, size)))
    assert len(statements) == 11
    assert committed.is_pushed
    with store._writer.engine.connect() as connection:
        made = connection.execute(text("SELECT count(*) FROM push_job")).scalar_one()
    assert made == len(committed.deliveries[BOB])
