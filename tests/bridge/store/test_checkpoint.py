import sqlite3
import time
from pathlib import Path

import pytest

from bridge.store import checkpoint
from bridge.store.checkpoint import Checkpointer


@pytest.fixture
def database(tmp_path: Path):
    path = tmp_path / "pabal.sqlite3"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute("CREATE TABLE t (x BLOB)")
    yield path, connection
    connection.close()


def wait_until(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_log_that_has_grown_is_copied_into_the_database_and_begun_anew(database, monkeypatch):
    path, connection = database
    monkeypatch.setattr(checkpoint, "EVERY_S", 0.01)
    monkeypatch.setattr(checkpoint, "PASSIVE_ABOVE_BYTES", 100_000)
    monkeypatch.setattr(checkpoint, "RESTART_ABOVE_BYTES", 200_000)
    connection.execute("INSERT INTO t VALUES (zeroblob(1000000))")
    log = path.with_name(path.name + "-wal")
    grown = log.stat().st_size
    assert path.stat().st_size < 100_000
    owner = Checkpointer(path)
    owner.start()
    try:
        wait_until(lambda: path.stat().st_size > 1_000_000)
    finally:
        owner.stop()
    connection.execute("INSERT INTO t VALUES (zeroblob(10))")
    assert log.stat().st_size == grown, "the log is written from its start again, not extended"


def test_a_log_that_was_begun_anew_is_not_begun_anew_again_for_the_size_of_its_file(
    database, monkeypatch, caplog
):
    path, connection = database
    monkeypatch.setattr(checkpoint, "EVERY_S", 0.01)
    monkeypatch.setattr(checkpoint, "PASSIVE_ABOVE_BYTES", 100_000)
    monkeypatch.setattr(checkpoint, "RESTART_ABOVE_BYTES", 200_000)
    caplog.set_level("DEBUG", "pabal.bridge")

    def told(mode: str) -> int:
        return caplog.text.count(f"{mode} checkpoint took")

    connection.execute("INSERT INTO t VALUES (zeroblob(1000000))")
    owner = Checkpointer(path)
    owner.start()
    try:
        for _ in range(2):  # while nobody writes, then after somebody did
            wait_until(lambda: told("RESTART"))
            seen = told("PASSIVE")
            wait_until(lambda seen=seen: told("PASSIVE") >= seen + 5)
            connection.execute("INSERT INTO t VALUES (zeroblob(10))")
    finally:
        owner.stop()
    assert told("RESTART") == 1


def test_a_small_log_is_left_alone_until_the_end(database):
    path, connection = database
    connection.execute("INSERT INTO t VALUES (zeroblob(100000))")
    owner = Checkpointer(path)
    owner.start()
    owner.stop()
    assert path.stat().st_size > 100_000


def test_a_checkpoint_that_fails_is_logged_once_and_tried_again(database, monkeypatch, caplog):
    path, connection = database
    monkeypatch.setattr(checkpoint, "EVERY_S", 0.01)
    monkeypatch.setattr(checkpoint, "PASSIVE_ABOVE_BYTES", 0)
    connection.execute("INSERT INTO t VALUES (zeroblob(100000))")
    owner = Checkpointer(path)
    real = owner._pass
    failures = [sqlite3.OperationalError("database is locked")] * 3

    class Failing:
        def execute(self, _statement: str) -> None:
            raise failures.pop()

    monkeypatch.setattr(owner, "_pass", lambda c: real(Failing() if failures else c))
    owner.start()
    try:
        wait_until(lambda: path.stat().st_size > 100_000)
        wait_until(lambda: "checkpoints are made again" in caplog.text)
    finally:
        owner.stop()
    assert caplog.text.count("a checkpoint failed") == 1
