"""One server for each PostgreSQL: the lock, its loss, and who comes next."""

import threading
import time

import pytest
from sqlalchemy import text

from bridge.store import lease as lease_module
from bridge.store import meta
from bridge.store.engine import open_engine
from bridge.store.lease import PostgresLease
from pabal.errors import Unavailable


@pytest.fixture
def url(postgres):
    made = postgres.fresh()
    yield made
    postgres.give_back(made)


@pytest.fixture
def open_lease(url):
    leases = []

    def make() -> PostgresLease:
        leases.append(PostgresLease(url))
        return leases[-1]

    yield make
    for made in leases:
        made.release()


@pytest.fixture
def engine(url):
    made = open_engine(url)
    yield made
    made.dispose()


def until(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def generation(engine) -> int:
    return meta.begin(engine, lambda _now: None, lambda: "e").batch // meta.GENERATION


def end_lock_session(engine) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory' AND granted"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        )


def test_one_holds_it_and_the_next_gets_it_when_the_first_lets_go(open_lease, engine):
    first, second = open_lease(), open_lease()
    assert lease_module.holder(engine) is None
    assert first.acquire()
    assert not second.acquire()
    assert (first.held, second.held) == (True, False)
    assert lease_module.holder(engine) == "this machine"
    first.release()
    assert lease_module.holder(engine) is None
    assert second.acquire()
    assert not first.held


def test_a_holder_that_shows_no_life_loses_it(open_lease, monkeypatch):
    monkeypatch.setattr(lease_module, "IDLE_S", 1)
    first, second = open_lease(), open_lease()
    assert first.acquire()
    until(second.acquire)


def test_a_holder_that_shows_life_keeps_it(open_lease, engine, monkeypatch):
    monkeypatch.setattr(lease_module, "IDLE_S", 4)
    monkeypatch.setattr(lease_module, "ALIVE_EVERY_S", 0.1)
    first, second = open_lease(), open_lease()
    assert first.acquire()
    first.keep(generation(engine), lambda: pytest.fail("nobody took it"))
    for _ in range(25):
        assert not second.acquire()
        time.sleep(0.2)  # life is shown over time; this is the time


def test_a_lock_that_is_lost_is_taken_again_while_nobody_else_began(open_lease, engine, caplog):
    caplog.set_level("INFO", "pabal.bridge")
    lost = threading.Event()
    lease = open_lease()
    assert lease.acquire()
    lease.keep(generation(engine), lost.set)
    end_lock_session(engine)
    until(lambda: "the lock on the database is ours again" in caplog.text)
    assert lease.held
    assert not lost.is_set()
    assert "the lock on the database was lost" in caplog.text


def test_a_lock_that_another_took_meanwhile_is_lost_for_good(open_lease, engine):
    lost = threading.Event()
    first, second = open_lease(), open_lease()
    assert first.acquire()
    first.keep(generation(engine), lost.set)
    generation(engine)
    end_lock_session(engine)
    assert lost.wait(60)
    until(second.acquire)
    assert not first.held


def test_a_database_that_is_gone_is_unavailable(postgres):
    url = postgres.fresh()
    lease = PostgresLease(url)
    postgres.drop(url)
    with pytest.raises(Unavailable):
        lease.acquire()
    lease.release()
