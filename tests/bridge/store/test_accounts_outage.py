"""Account tables on a SQLite that is damaged, or whose turnstile cannot be opened: unavailable, not a bug."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bridge.store.accounts import AccountStore
from pabal.errors import Unavailable
from pabal.ids import UserId

pytestmark = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
ALICE = UserId("alice")


@pytest.fixture
def file(url) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def test_a_damaged_file_is_unavailable_to_readers_and_writers_and_over_when_it_is_whole(url, file):
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    whole = file.read_bytes()
    store = AccountStore.open(url)
    file.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(Unavailable), store.reading() as tx:
        tx.account(ALICE)
    with pytest.raises(Unavailable), store.writing() as tx:
        tx.set_admin(ALICE, True)
    store.close()
    file.write_bytes(whole)
    with store.writing() as tx:
        tx.set_admin(ALICE, True)
    with store.reading() as tx:
        account = tx.account(ALICE)
    assert account is not None
    assert account.admin
    store.close()


def test_a_turnstile_that_cannot_be_opened_is_unavailable_and_over_when_it_can(url, file):
    store = AccountStore.open(url)
    turn = file.with_name(file.name + "-turn")
    turn.unlink(missing_ok=True)
    turn.mkdir()
    with pytest.raises(Unavailable), store.writing() as tx:
        tx.set_admin(ALICE, True)
    turn.rmdir()
    with store.writing() as tx:
        tx.set_admin(ALICE, True)
    store.close()
