"""One transaction at a time: fenced, numbered, and never run twice, whatever becomes of its COMMIT."""

import sqlite3
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from postgres_proxy import PostgresProxy
from sqlalchemy import event, text

from bridge.store import meta
from bridge.store.engine import open_engine
from bridge.store.failures import Conflicted, Disconnected, InDoubt, LeaseLost
from bridge.store.lease import NullLease
from bridge.store.writer import Writer
from pabal.errors import Unavailable

ADD = text("INSERT INTO retained (topic, payload, qos) VALUES (:topic, :payload, 0)")
COUNT = text("SELECT count(*) FROM retained")


def begun(engine) -> Writer:
    return Writer(engine, NullLease(), meta.begin(engine, lambda _now: None, lambda: "e").batch)


@pytest.fixture
def writer(engine):
    return begun(engine)


def add(name):
    def work(connection, number):
        connection.execute(ADD, {"topic": f"{name} {number}", "payload": b"x"})
        return name

    return work


def count(engine) -> int:
    with engine.connect() as connection:
        return connection.execute(COUNT).scalar_one()


@contextmanager
def commit_answers(engine, *, committed: bool):
    """The next COMMIT fails as a broken connection does, after the real one or instead of it."""
    real = engine.dialect.do_commit
    lost = (
        sqlite3.OperationalError("disk I/O error")
        if engine.dialect.name == "sqlite"
        else psycopg.OperationalError("server closed the connection unexpectedly")
    )

    def do_commit(connection):
        engine.dialect.do_commit = real
        if committed:
            real(connection)
        raise lost

    engine.dialect.do_commit = do_commit
    yield
    engine.dialect.do_commit = real


def test_numbers_rise_by_one_and_begin_anew_above_with_each_generation(engine, writer):
    first = writer.last
    writer.transact("a", add("a"))
    writer.transact("b", add("b"))
    assert writer.last == first + 2
    assert begun(engine).last == (first // meta.GENERATION + 1) * meta.GENERATION


def test_a_commit_whose_answer_is_lost_is_found_and_not_done_again(engine, writer):
    with commit_answers(engine, committed=True), pytest.raises(InDoubt):
        writer.transact("a", add("a"))
    assert writer.transact("a", add("again")) == "a"
    assert count(engine) == 1
    writer.transact("b", add("b"))
    assert count(engine) == 2


def test_a_commit_that_never_arrived_is_found_missing_and_can_be_done(engine, writer):
    with commit_answers(engine, committed=False), pytest.raises(InDoubt):
        writer.transact("a", add("a"))
    with pytest.raises(Disconnected):
        writer.transact("a", add("a"))
    assert count(engine) == 0
    assert writer.transact("a", add("a")) == "a"
    assert count(engine) == 1


def test_a_doubt_that_nobody_asks_about_again_is_settled_before_the_next(engine, writer):
    with commit_answers(engine, committed=True), pytest.raises(InDoubt):
        writer.transact("a", add("a"))
    assert writer.transact("b", add("b")) == "b"
    assert count(engine) == 2


def test_a_writer_of_an_earlier_generation_never_writes_again(engine, writer):
    later = begun(engine)
    with pytest.raises(LeaseLost):
        writer.transact("a", add("a"))
    later.transact("b", add("b"))
    with pytest.raises(LeaseLost):
        writer.transact("a", add("a"))
    assert count(engine) == 1


def test_a_doubt_ends_with_the_lease_where_another_took_over(engine, writer):
    with commit_answers(engine, committed=True), pytest.raises(InDoubt):
        writer.transact("a", add("a"))
    begun(engine)
    with pytest.raises(LeaseLost):
        writer.transact("a", add("a"))


def test_without_the_lock_nothing_is_tried(engine):
    class Lost:
        held = False

    writer = begun(engine)
    writer._lease = Lost()
    with pytest.raises(Disconnected):
        writer.transact("a", add("a"))
    assert count(engine) == 0


def test_a_work_that_fails_leaves_nothing_and_no_number_is_used(engine, writer):
    before = writer.last

    def broken(connection, number):
        add("a")(connection, number)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        writer.transact("a", broken)
    assert (count(engine), writer.last) == (0, before)
    writer.transact("a", add("a"))


# What only SQLite does


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_full_disk_is_unavailable_and_over_when_there_is_room(engine, writer):
    full = [True]

    @event.listens_for(engine, "begin")
    def _limit(connection):
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages if full[0] else 1_000_000}")

    def much(connection, _number):
        connection.execute(ADD, {"topic": "much", "payload": bytes(100_000)})

    with pytest.raises(Unavailable, match="database or disk is full"):
        writer.transact("a", much)
    assert count(engine) == 0
    full[0] = False
    writer.transact("a", much)
    assert count(engine) == 1


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_read_only_sqlite_is_unavailable_and_over_when_it_is_not(engine, writer):
    read_only = ["ON"]

    @event.listens_for(engine, "checkout")
    def _limit(connection, _record, _proxy):
        connection.execute(f"PRAGMA query_only = {read_only[0]}")

    with pytest.raises(Unavailable, match="readonly database"):
        writer.transact("a", add("a"))
    read_only[0] = "OFF"
    writer.transact("a", add("a"))


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_turnstile_that_cannot_be_opened_is_unavailable_and_over_when_it_can(url, engine):
    committing = open_engine(url, gives_way=True)
    writer = begun(committing)
    file = Path(url.removeprefix("sqlite:///"))
    turn = file.with_name(file.name + "-turn")
    turn.unlink()
    turn.mkdir()
    with pytest.raises(Unavailable, match="Is a directory"):
        writer.transact("a", add("a"))
    turn.rmdir()
    writer.transact("a", add("a"))
    assert count(engine) == 1
    committing.dispose()


# What only PostgreSQL does


@pytest.fixture
def postgres_only(url):
    if url.startswith("sqlite"):
        pytest.skip("SQLite has no other sessions")


@pytest.mark.usefixtures("postgres_only")
class TestPostgres:
    def test_a_session_that_is_ended_in_the_middle_is_disconnected_and_done_again(self, writer, url):
        other = open_engine(url)

        def killed(connection, number):
            add("a")(connection, number)
            pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            with other.begin() as killer:
                killer.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
            add("b")(connection, number)

        with pytest.raises(Disconnected):
            writer.transact("a", killed)
        assert writer.transact("a", add("a")) == "a"
        assert count(other) == 1
        other.dispose()

    def test_a_row_that_another_session_locks_is_unavailable_after_the_lock_timeout(
        self, engine, writer, url
    ):
        other = open_engine(url)
        with other.begin() as holder:
            holder.execute(text("SELECT * FROM meta WHERE key = 'batch' FOR UPDATE"))

            @event.listens_for(engine, "begin")
            def _impatient(connection):
                connection.exec_driver_sql("SET LOCAL lock_timeout = '50ms'")

            with pytest.raises(Unavailable, match="lock timeout"):
                writer.transact("a", add("a"))
        writer.transact("a", add("a"))
        other.dispose()

    def test_a_deadlock_is_a_conflict_and_whole_transactions_are_run_again(self, engine, writer, url):
        other = open_engine(url)
        with engine.begin() as connection:
            for topic in ("one", "two"):
                connection.execute(ADD, {"topic": topic, "payload": b"x"})
        touch = text("UPDATE retained SET qos = 1 WHERE topic = :t")
        with other.connect() as rival:
            rival.exec_driver_sql("SET deadlock_timeout = '60s'")
            rival.execute(touch, {"t": "two"})
            rival_cursor = rival.connection.cursor()

            def crossing(connection, _number):
                connection.exec_driver_sql("SET LOCAL deadlock_timeout = '50ms'")
                connection.execute(touch, {"t": "one"})
                waiting = rival_cursor.connection.pgconn
                waiting.send_query(b"UPDATE retained SET qos = 2 WHERE topic = 'one'")
                waiting.flush()
                with other.connect() as look:
                    blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                    while not look.exec_driver_sql(blocked).scalar_one():
                        pass
                connection.execute(touch, {"t": "two"})

            with pytest.raises(Conflicted):
                writer.transact("a", crossing)
            while rival_cursor.connection.pgconn.get_result() is not None:
                pass
            rival.rollback()
        assert writer.transact("a", add("a")) == "a"
        other.dispose()

    def test_a_serialization_failure_is_a_conflict_and_the_whole_transaction_is_run_again(
        self, engine, writer, url
    ):
        other = open_engine(url)
        with engine.begin() as connection:
            connection.execute(ADD, {"topic": "one", "payload": b"x"})
        touch = text("UPDATE retained SET qos = qos + 1 WHERE topic = 'one'")

        @event.listens_for(engine, "begin")
        def _stricter(connection):
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")

        def overtaken(connection, _number):
            with other.begin() as rival:
                rival.execute(touch)
            connection.execute(touch)

        with pytest.raises(Conflicted, match="could not serialize"):
            writer.transact("a", overtaken)
        assert writer.transact("a", add("a")) == "a"
        other.dispose()

    def test_a_database_turned_read_only_is_unavailable_and_over_when_it_is_not(self, engine, writer):
        read_only = ["on"]

        @event.listens_for(engine, "begin")
        def _limit(connection):
            connection.exec_driver_sql(f"SET LOCAL transaction_read_only = {read_only[0]}")

        with pytest.raises(Unavailable, match="read-only transaction"):
            writer.transact("a", add("a"))
        read_only[0] = "off"
        writer.transact("a", add("a"))

    @pytest.mark.parametrize("arrives", [True, False])
    def test_an_answer_to_commit_that_a_network_loses_is_found_out(self, postgres, url, arrives):
        proxy = PostgresProxy(postgres.folder)
        engine = open_engine(proxy.url(url.split("/")[3].split("?")[0]))
        writer = begun(engine)
        (proxy.cut_after_commit if arrives else proxy.cut_before_commit).set()
        with pytest.raises(InDoubt):
            writer.transact("a", add("a"))
        if not arrives:
            with pytest.raises(Disconnected):
                writer.transact("a", add("a"))
        assert writer.transact("a", add("a")) == "a"
        assert count(engine) == 1
        engine.dispose()
        proxy.close()
