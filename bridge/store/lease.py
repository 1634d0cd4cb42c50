"""Who commits: one server for each database, and when it is gone the next.

On SQLite the lock file of the data folder decides before anything is opened. On PostgreSQL it is an advisory lock
of a session of its own, which PostgreSQL lets go with that session: at once when the process ends, and after
`IDLE_S` when it does not say anything any more, because it is stopped or cut off.

A lock that is lost is taken again as long as nobody has begun a new generation meanwhile (`meta.batch`): a
restart of PostgreSQL costs nothing but the time. Who finds a new generation has lost for good.
"""

import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Final, Protocol

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from bridge.store import meta
from bridge.store.engine import open_engine
from bridge.store.failures import answering, reason
from pabal.errors import Unavailable

logger = logging.getLogger("pabal.bridge")

# PostgreSQL ends a session that was silent for so long. Four signs of life must be missed for that.
IDLE_S = 4
ALIVE_EVERY_S = 1.0
AGAIN_EVERY_S = 0.25
# "pabal" in ASCII; advisory locks are counted within one database.
KEY: Final = 0x706162616C

_LOCK = text(f"SELECT pg_try_advisory_lock({KEY})")
_UNLOCK = text("SELECT pg_advisory_unlock_all()")
_ALIVE = text("SELECT 1")
# A key of 64 bits stands there in two halves.
_HOLDER = text(
    "SELECT coalesce(host(client_addr), 'this machine') FROM pg_locks JOIN pg_stat_activity USING (pid)"
    f" WHERE locktype = 'advisory' AND classid = {KEY >> 32} AND objid = {KEY & 0xFFFFFFFF} AND granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


class Lease(Protocol):
    @property
    def held(self) -> bool: ...

    def acquire(self) -> bool: ...

    def keep(self, generation: int, lost: Callable[[], None]) -> None: ...

    def release(self) -> None: ...


class NullLease:
    """For a database that nobody else can open for writing."""

    held = True

    def acquire(self) -> bool:
        return True

    def keep(self, generation: int, lost: Callable[[], None]) -> None:
        pass

    def release(self) -> None:
        pass


def holder(engine: Engine) -> str | None:
    """The address from which somebody holds the lock of this PostgreSQL; None if nobody does. Takes nothing.

    Raises: sqlalchemy's errors.
    """
    with engine.connect() as connection:
        found: str | None = connection.execute(_HOLDER).scalar()
    return found


class _TakenOver(Exception):  # noqa: N818 -- what happened
    pass


class PostgresLease:
    """Owns a connection, and from `keep` on a thread that shows life on it."""

    def __init__(self, url: str) -> None:
        self._engine = open_engine(url, pool_size=1)
        self._connection: Connection | None = None
        self._held = threading.Event()
        self._released = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def held(self) -> bool:
        return self._held.is_set()

    def acquire(self) -> bool:
        """Take the lock if it is free. Returns whether it is ours.

        Raises: errors.Unavailable if the database does not answer.
        """
        try:
            with answering():
                return self._take()
        except Unavailable:
            self._drop()
            raise

    def keep(self, generation: int, lost: Callable[[], None]) -> None:
        """Show life from here on, as the server of this generation. `lost` is called, in another thread, once,
        when another server has begun a generation.
        """
        self._thread = threading.Thread(target=self._run, args=(generation, lost), name="lease", daemon=True)
        self._thread.start()

    def release(self) -> None:
        """Let the next one in. A second call does nothing."""
        self._released.set()
        if self._thread is not None:
            self._thread.join(2 * IDLE_S)
        if self._connection is not None and not (self._thread and self._thread.is_alive()):
            with contextlib.suppress(SQLAlchemyError):
                # Closing alone would leave the lock until PostgreSQL has noticed.
                self._connection.execute(_UNLOCK)
        self._thread = None
        self._drop()
        self._engine.dispose()

    def _take(self) -> bool:
        if self._connection is None:
            connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            connection.execute(text(f"SET idle_session_timeout = '{IDLE_S}s'"))
            self._connection = connection
        if self._connection.execute(_LOCK).scalar_one():
            self._held.set()
            return True
        return False

    def _drop(self) -> None:
        self._held.clear()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()

    def _run(self, generation: int, lost: Callable[[], None]) -> None:
        while not self._released.wait(ALIVE_EVERY_S if self.held else AGAIN_EVERY_S):
            try:
                if self.held and self._connection is not None:
                    self._connection.execute(_ALIVE)
                elif self._again(generation):
                    logger.info("the lock on the database is ours again")
            except SQLAlchemyError as error:
                if self.held:
                    logger.error("the lock on the database was lost: %s", reason(error))
                self._drop()
            except _TakenOver:
                self._drop()
                lost()
                return

    def _again(self, generation: int) -> bool:
        """Raises: _TakenOver if another server has begun; SQLAlchemyError if the database does not answer."""
        taken = self._take()
        if self._connection is not None and meta.generation_of(self._connection) != generation:
            raise _TakenOver
        return taken
