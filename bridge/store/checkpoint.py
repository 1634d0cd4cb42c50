"""SQLite's checkpoints, taken by a thread of their own so that they do not sit in a commit.

The committer's connection never checkpoints (`wal_autocheckpoint=0`). Most of the work is done PASSIVE, beside
running commits; a log that has grown all the same is restarted right after such a pass, when little is left
to copy while the writer waits. Each one is told in the log at `debug`, so that a stall can be laid beside it.
"""

import logging
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

logger = logging.getLogger("pabal.bridge")

EVERY_S = 0.5
PAGE_BYTES = 4096  # SQLite's own choice, which is not changed anywhere
PASSIVE_ABOVE_BYTES = 4 * 1024 * 1024
RESTART_ABOVE_BYTES = 64 * 1024 * 1024


class Checkpointer:
    """Owns the thread; `stop` ends it after a last pass."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._log = database.with_name(database.name + "-wal")
        self._restarted_at: int | None = None
        self._stop = threading.Event()
        self._complained = False
        self._thread = threading.Thread(target=self._run, name="checkpointer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)

    def _run(self) -> None:
        with closing(sqlite3.connect(self._database, timeout=1, isolation_level=None)) as connection:
            while not self._stop.wait(EVERY_S):
                self._pass(connection)
            try:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            except sqlite3.Error as error:
                logger.warning("the last checkpoint failed: %s", error)

    def _pass(self, connection: sqlite3.Connection) -> None:
        size = self._log.stat().st_size if self._log.exists() else 0
        if size < PASSIVE_ABOVE_BYTES:
            return
        try:
            # The file keeps the size that it once had, so what counts is how much of it is in use. That is told
            # unchanged from a restart on until somebody writes.
            pages = _checkpoint(connection, "PASSIVE")
            if pages * PAGE_BYTES > RESTART_ABOVE_BYTES and pages != self._restarted_at:
                self._restarted_at = _checkpoint(connection, "RESTART")
        except sqlite3.Error as error:
            if not self._complained:
                logger.warning(
                    "a checkpoint failed, the log stays at %d bytes: %s; trying again", size, error
                )
            self._complained = True
        else:
            if self._complained:
                logger.warning("checkpoints are made again")
            self._complained = False


def _checkpoint(connection: sqlite3.Connection, mode: str) -> int:
    """Returns how many pages the log has. Raises: sqlite3.Error."""
    began = time.perf_counter()
    _busy, pages, copied = connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
    took_ms = (time.perf_counter() - began) * 1000
    logger.debug("%s checkpoint took %.1f ms: %d of %d pages are copied", mode, took_ms, copied, pages)
    return int(pages)
