"""Accounts on a database and keys in a folder, with a clock that tests set and hashing that costs nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from migrated import migrated_sqlite
from sqlalchemy import select

from bridge.accounts.keys import FILE_NAME, Keyring
from bridge.accounts.passwords import Passwords
from bridge.accounts.service import Accounts
from bridge.accounts.tokens import Tokens
from bridge.store.accounts import AccountStore
from bridge.store.tables import change_log, login_session

PASSWORD = "correct horse"
START = 1_800_000_000.0


class FakeClock:
    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class World:
    """Accounts, and a look at what they told the relay."""

    def __init__(self, accounts: Accounts, store: AccountStore, clock: FakeClock, keyring: Keyring) -> None:
        self.accounts = accounts
        self.store = store
        self.clock = clock
        self.keyring = keyring

    def kicked_credentials(self) -> list[str | None]:
        with self.store.reading() as tx:
            rows = tx._connection.execute(select(change_log).order_by(change_log.c.change_id)).all()
        return [row.credential for row in rows if row.kind == "kicked"]

    def sessions(self) -> list[str]:
        with self.store.reading() as tx:
            return list(tx._connection.execute(select(login_session.c.session_id)).scalars())

    def kicks(self) -> list[tuple[str, str | None, str]]:
        with self.store.reading() as tx:
            rows = tx._connection.execute(select(change_log).order_by(change_log.c.change_id)).all()
        return [(row.user_id, row.device_id, row.reason) for row in rows if row.kind == "kicked"]

    def gone(self) -> list[tuple[str, str | None]]:
        with self.store.reading() as tx:
            rows = tx._connection.execute(select(change_log).where(change_log.c.kind == "gone")).all()
        return [(row.user_id, row.device_id) for row in rows]


@contextmanager
def open_world(folder: Path, url: str | None = None, **options: int) -> Iterator[World]:
    """On a new SQLite file in `folder`, or on the migrated database of `url`."""
    clock = FakeClock()
    if url is None:
        url = migrated_sqlite(folder)
    store = AccountStore.open(url)
    keyring = Keyring.open(folder / FILE_NAME, now=clock())
    accounts = Accounts(store, Tokens(keyring), cheap_passwords(), clock=clock, **options)
    try:
        yield World(accounts, store, clock, keyring)
    finally:
        store.close()


def cheap_passwords(**options: int) -> Passwords:
    return Passwords(**{"memory_kib": 64, "time_cost": 1, **options})
