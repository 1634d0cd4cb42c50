"""SQLAlchemy engines with the settings that the guarantee rests on.

SQLite: WAL with synchronous=FULL, so that a commit survives a power cut; transactions that write begin
IMMEDIATE, so that they wait for the lock at their start (10 s at most) and never fail half-way.

PostgreSQL: every statement, lock and pause has a bound, so that a database that hangs ends as a failure; a
`synchronous_commit = off` of the cluster is not taken over, because `accepted` means on disk.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from bridge.store import turnstile as turnstiles
from bridge.store.unusable import UnusableDatabase

BUSY_TIMEOUT_S = 10
POOL_TIMEOUT_S = 10
LOCK_TIMEOUT_S = 5
STATEMENT_TIMEOUT_S = 10
IDLE_TIMEOUT_S = 10
OLDEST_POSTGRESQL = 14

_POSTGRESQL = "postgresql+psycopg"
# The connection is noticed to be dead within some ten seconds, also where nobody says so.
_CONNECT: Final[dict[str, Any]] = {
    "application_name": "pabal",
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
# Whatever is asked is asked by key, and planned anew each time: a plan that was made while a table was small reads
# whole conversations, and would be kept while they grow (the look-up of 256 known requests went up to 69 ms; planned
# anew it changes to the right index after a few thousand rows and takes 0.7 ms).
_BY_KEY: Final = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_custom_plan",
}
_DURABLE = (
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
)


def normal_url(given: str) -> str:
    """The database URL as it is used: `postgresql://` and `postgres://` mean psycopg 3.

    Raises: ValueError unless it is SQLite with a file or PostgreSQL with a name; never echoes the URL.
    """
    try:
        url = make_url(given)
    except ArgumentError as error:
        raise ValueError("no database URL") from error
    if url.drivername == "sqlite":
        if not url.database or url.database == ":memory:":
            raise ValueError("no file")
        return given
    if url.drivername in {"postgres", "postgresql", _POSTGRESQL}:
        if not url.database:
            raise ValueError("no name of a database")
        return url.set(drivername=_POSTGRESQL).render_as_string(hide_password=False)
    raise ValueError("not SQLite and not PostgreSQL")


def is_sqlite(url: str) -> bool:
    return url.startswith("sqlite:")


def shown(url: str) -> str:
    """A database's URL for people and logs: with its password hidden and without options."""
    parsed = make_url(url)
    return parsed.set(query={}).render_as_string()


def sqlite_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'pabal.sqlite3'}"


def open_engine(
    url: str,
    *,
    read_only: bool = False,
    pool_size: int = 5,
    gives_way: bool = False,
    bounded: bool = True,
    idle_s: int = IDLE_TIMEOUT_S,
) -> Engine:
    """An engine for the committer or the accounts (`read_only` False), or for readers.

    With `gives_way`, the committer's, each transaction first lets in who waits at the turnstile. On PostgreSQL,
    `bounded` False lets statements take as long as they need (migrations, checks), and `idle_s`
    is how long a transaction may pause.

    Raises: sqlalchemy.exc.ArgumentError for a malformed URL; UnusableDatabase if the driver is not installed.
    Nothing is connected yet.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return _open_postgresql(
            parsed, read_only=read_only, pool_size=pool_size, bounded=bounded, idle_s=idle_s
        )
    engine = create_engine(
        parsed,
        pool_size=pool_size,
        max_overflow=pool_size,
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def _on_connect(connection: sqlite3.Connection, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        if read_only:
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    turnstile = turnstiles.of(parsed) if gives_way else None

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Any) -> None:
        if turnstile is not None:
            turnstile.passed()
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


@contextmanager
def opened(url: str) -> Iterator[Engine]:
    """An engine for a look at a database. Raises: as `open_engine`."""
    engine = open_engine(url, read_only=True, pool_size=1)
    try:
        yield engine
    finally:
        engine.dispose()


def _open_postgresql(url: URL, *, read_only: bool, pool_size: int, bounded: bool, idle_s: int) -> Engine:
    try:
        engine = create_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,  # the cluster's connections are counted, and shared with others
            pool_timeout=POOL_TIMEOUT_S,
            pool_pre_ping=read_only or pool_size > 1,
            connect_args={key: value for key, value in _CONNECT.items() if key not in url.query},
            # All look-ups of a snapshot see one moment; writers lock what they read.
            isolation_level="REPEATABLE READ" if read_only else "READ COMMITTED",
        )
    except ImportError as error:
        raise UnusableDatabase(
            "PostgreSQL needs the package psycopg, which is not installed", "pip install 'pabal[postgres]'"
        ) from error
    settings = {"idle_in_transaction_session_timeout": f"{idle_s}s"}
    if bounded:
        settings["lock_timeout"] = f"{LOCK_TIMEOUT_S}s"
        settings["statement_timeout"] = f"{STATEMENT_TIMEOUT_S}s"
        settings.update(_BY_KEY)
    if read_only:
        settings["default_transaction_read_only"] = "on"
    given = "".join(f"SET {name} = '{value}';" for name, value in settings.items())

    # Before SQLAlchemy asks anything itself, as it takes no answer of a database that it does not expect.
    @event.listens_for(engine, "connect", insert=True)
    def _on_connect(connection: Any, _record: Any) -> None:
        version = connection.info.server_version
        if version < OLDEST_POSTGRESQL * 10_000:
            connection.close()
            raise UnusableDatabase(
                f"this is PostgreSQL {version // 10_000}, and {OLDEST_POSTGRESQL} or newer is needed",
                "upgrade it, or use another",
            )
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            connection.close()
            raise UnusableDatabase(
                f"this database is in {encoding}, and UTF8 is needed",
                "make it anew: CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8'",
            )
        connection.autocommit = True
        connection.execute(given + _DURABLE)
        connection.autocommit = False

    return engine
