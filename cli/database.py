"""The database of these settings, opened for commands that work straight on it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bridge.accounts.keys import Keyring
from bridge.accounts.passwords import Passwords
from bridge.accounts.service import Accounts
from bridge.accounts.tokens import Tokens
from bridge.reads import Reads
from bridge.store import maintenance, schema
from bridge.store.accounts import AccountStore
from bridge.store.engine import open_engine, opened
from bridge.store.lease import PostgresLease
from bridge.store.read_store import ReadStore
from cli import folder
from cli.errors import CliError, SettingsError
from cli.settings import DATABASE_FILE, Settings
from cli.times import now_s

_DAY_S = 24 * 3600


@contextmanager
def held(settings: Settings) -> Iterator[folder.Lock]:
    """Nobody else serves from this data folder, or from this database in another folder, in the meantime.

    Raises: SettingsError if the folder cannot be used; CliError if somebody does.
    """
    folder.prepare(settings.data)
    with folder.Lock(settings.data / folder.LOCK_FILE) as lock:
        theirs = _lock_of(settings.database_file)
        if theirs == lock.path.resolve():
            yield lock
            return
        folder.prepare(theirs.parent, setting="database_url")
        with folder.Lock(theirs):
            yield lock


def _lock_of(database: Path) -> Path:
    """The lock of a database, by whichever folder, setting or link it is reached. The one that a data folder makes
    is held with the folder itself.
    """
    file = database.resolve()
    return file.with_name(folder.LOCK_FILE if file.name == DATABASE_FILE else f"{file.name}.lock")


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """No server uses this database in the meantime.

    Raises: SettingsError if the folder cannot be used; UnusableDatabase; CliError if one does.
    """
    if settings.is_sqlite:
        with held(settings):
            yield
        return
    folder.prepare(settings.data)
    check_reachable(settings)
    lease = PostgresLease(settings.url)
    try:
        if not lease.acquire():
            raise CliError(f"a server uses {settings.database_shown}", "stop it first, and its standby")
        yield
    finally:
        lease.release()


def upgrade(settings: Settings) -> bool:
    """Make the database, or bring it to this version's schema. To be called under `held` or `alone`. Returns
    whether anything had to be done.

    Raises: SchemaError if it is from a newer version, no database at all, or the upgrade fails.
    """
    if settings.is_sqlite:
        make_private(settings)
    engine = open_engine(settings.url, bounded=False)
    try:
        return schema.upgrade(engine)
    finally:
        engine.dispose()


def make_private(settings: Settings) -> None:
    """An empty file of mode 600 becomes the database, so that not even its first moment is for all to read.

    Raises: SettingsError if it is no file or cannot be written.
    """
    file = settings.database_file
    try:
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600))
    except OSError as error:
        raise SettingsError(
            f"the database {file} cannot be written ({error.strerror}); expected a file that this user may write"
        ) from None


def look_over(settings: Settings) -> None:
    """Raises: SettingsError if SQLite's file cannot be written; UnusableDatabase if it is damaged, as far as a
    short look tells.
    """
    make_private(settings)
    with opened(settings.url) as engine:
        maintenance.look_over(engine)


def check_reachable(settings: Settings) -> None:
    """Raises: UnusableDatabase if it cannot be connected to, or what is there cannot be used."""
    with opened(settings.url) as engine:
        schema.state(engine)


def require_current(settings: Settings) -> None:
    """A database for a command that only uses it: SQLite is made where there is none yet.

    Raises: SchemaError unless its schema is this version's; UnusableDatabase if it cannot be connected to.
    """
    if settings.is_sqlite and not settings.database_file.exists():
        with held(settings):
            upgrade(settings)
    with opened(settings.url) as engine:
        schema.check_current(engine)


def require_existing(settings: Settings) -> None:
    """Raises: CliError if there is no database yet; as `require_current`."""
    if settings.is_sqlite and not settings.database_file.exists():
        raise CliError(
            f"there is no database at {settings.database_file}", "start the server once, or give --data DIR"
        )
    require_current(settings)


@contextmanager
def reads(settings: Settings) -> Iterator[Reads]:
    """Reading conversations, beside a server or without one; `require_current` has looked at the schema."""
    engine = open_engine(settings.url, read_only=True, pool_size=1)
    try:
        yield Reads(ReadStore(engine), "")
    finally:
        engine.dispose()


@contextmanager
def accounts(
    settings: Settings,
    pool_size: int = 1,
    *,
    make: bool = True,
    changed: Callable[[], None] = lambda: None,
) -> Iterator[Accounts]:
    """The accounts, on the database directly; a running server acts on a change within a second, and at once where
    `changed` tells it.

    Where there is no database yet it is made, or refused without `make`.

    Raises: SchemaError, SettingsError, KeyFileError; CliError if there is none and none is to be made.
    """
    if not make:
        require_existing(settings)
    folder.prepare(settings.data)
    require_current(settings)
    with accounts_with(keys(settings), settings, pool_size, changed=changed) as opened_accounts:
        yield opened_accounts


def keys(settings: Settings) -> Keyring:
    """The keys that sign tokens, made if there are none yet. Raises: KeyFileError."""
    return Keyring.open(settings.keys, now=now_s(), token_ttl_s=settings.access_token_seconds)


def existing_keys(settings: Settings) -> Keyring:
    """Those that the process which commits has made. Raises: KeyFileError."""
    return Keyring.existing(settings.keys, settings.access_token_seconds)


@contextmanager
def accounts_with(
    keyring: Keyring, settings: Settings, pool_size: int, *, changed: Callable[[], None] = lambda: None
) -> Iterator[Accounts]:
    """The same on a database that was looked at before; nothing is connected yet."""
    store = AccountStore.open(settings.url, pool_size=pool_size, changed=changed)
    try:
        yield Accounts(
            store,
            Tokens(keyring, ttl_s=settings.access_token_seconds),
            Passwords(),
            refresh_ttl_s=settings.refresh_token_days * _DAY_S,
        )
    finally:
        store.close()
