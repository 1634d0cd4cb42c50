"""The client's memory: the outbox, the positions in the inbox and in large groups, and what came in and was not
yet handed over.

One SQLite file, one process at a time. Every method returns after its transaction is on disk
(WAL, synchronous=FULL), so a killed client loses nothing that it was told is kept. `taken` alone is only with the
system by then.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pabal.ids import ConvId, DeviceId, RequestId, UserId
from pabal_client.effects import Entry, Take
from pabal_client.errors import StoreError, StoreInUse
from pabal_client.updates import Update

SCHEMA_VERSION = 2
_SCHEMA = """
CREATE TABLE state (
  only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
  user TEXT NOT NULL, device TEXT NOT NULL,
  epoch TEXT, cursor INTEGER NOT NULL, connections INTEGER NOT NULL
);
CREATE TABLE outbox (
  place INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, lane TEXT, payload BLOB NOT NULL
);
CREATE TABLE received (
  place INTEGER PRIMARY KEY AUTOINCREMENT,
  seq INTEGER NOT NULL, epoch TEXT NOT NULL, type TEXT NOT NULL, payload BLOB NOT NULL
);
"""
# Of version 2. What came from a room is in `received` with a seq of 0.
_ROOMS = "CREATE TABLE room (conv TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID"


@dataclass(frozen=True, slots=True)
class Received:
    """An update that waits for the application. `place` is its number in this file."""

    place: int
    update: Update


class Store:
    """Opened for one device of one user; another's file is refused. Its methods may be called by any thread,
    and raise StoreError where the file fails them.

    Args:
        path: the file; it and its folder are made if missing, readable by the owner alone.
        wait: seconds to wait for another process to let go of the file.

    Raises: StoreInUse if another process has it; StoreError if it cannot be used, with the reason.
    """

    def __init__(self, path: Path, user: UserId, device: DeviceId, *, wait: float = 0.0) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._db = _open(path, wait)
        try:
            self._prepare(user, device)
        except sqlite3.Error as error:
            self._db.close()
            raise _explain(path, error) from error
        except StoreError:
            self._db.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file. Closing twice is no error."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        """The database, for one transaction. Raises: StoreError where it fails, such as on a full disk."""
        with self._lock:
            try:
                with self._db as db:
                    yield db
            except sqlite3.Error as error:
                raise _explain(self.path, error) from error

    def _prepare(self, user: UserId, device: DeviceId) -> None:
        db = self._db
        # Held until the file is closed, also when the process is killed: one process at a time.
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        with db:
            db.execute("BEGIN IMMEDIATE")
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version > SCHEMA_VERSION:
                raise StoreError(f"{self.path} was written by a newer version of this client")
            if version == 0:
                for statement in _SCHEMA.split(";"):
                    db.execute(statement)
                db.execute("INSERT INTO state VALUES (1, ?, ?, NULL, 0, 0)", (user, device))
            if version < SCHEMA_VERSION:
                db.execute(_ROOMS)
                db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            owner = db.execute("SELECT user, device FROM state").fetchone()
            if owner != (user, device):
                raise StoreError(f"{self.path} belongs to {owner[0]}/{owner[1]}, not to {user}/{device}")

    def next_connection(self) -> int:
        """The number of the connection that is about to be made: 1, 2, 3 … over the life of the file."""
        with self._using() as db:
            db.execute("UPDATE state SET connections = connections + 1")
            (n,) = db.execute("SELECT connections FROM state").fetchone()
            return int(n)

    def position(self) -> tuple[str | None, int]:
        """The epoch (None before the first sync) and the cursor."""
        with self._using() as db:
            epoch, cursor = db.execute("SELECT epoch, cursor FROM state").fetchone()
            return epoch, cursor

    def rooms(self) -> dict[ConvId, int]:
        """The large groups that are followed, each with the message_id up to which everything was received."""
        with self._using() as db:
            return {
                ConvId(conv): position for conv, position in db.execute("SELECT conv, position FROM room")
            }

    def keep(self, entry: Entry) -> None:
        """Put it into the outbox, behind the others; an id that is there already stays where it is."""
        with self._using() as db:
            db.execute(
                "INSERT OR IGNORE INTO outbox (id, lane, payload) VALUES (?, ?, ?)",
                (entry.id, entry.lane, entry.payload),
            )

    def outbox(self) -> list[Entry]:
        """What waits for its answer, oldest first."""
        with self._using() as db:
            rows = db.execute("SELECT id, payload, lane FROM outbox ORDER BY place").fetchall()
        return [Entry(RequestId(id_), payload, lane, durable=True) for id_, payload, lane in rows]

    def note(self, takes: Sequence[Take], settled: Sequence[RequestId] = ()) -> None:
        """Keep these updates for the application, move the positions, and forget the requests that were answered
        for good: all or nothing.
        """
        rows = [(u.seq or 0, u.epoch, u.type, u.payload) for take in takes for u in take.updates]
        rooms = {mark.conv: mark.position for take in takes for mark in take.rooms}
        with self._using() as db:
            db.execute("BEGIN IMMEDIATE")
            db.executemany("DELETE FROM outbox WHERE id = ?", [(request_id,) for request_id in settled])
            db.executemany("INSERT INTO received (seq, epoch, type, payload) VALUES (?, ?, ?, ?)", rows)
            db.executemany(
                "INSERT OR REPLACE INTO room VALUES (?, ?)",
                [(conv, position) for conv, position in rooms.items() if position is not None],
            )
            db.executemany(
                "DELETE FROM room WHERE conv = ?",
                [(conv,) for conv, position in rooms.items() if position is None],
            )
            for take in takes[-1:]:
                db.execute("UPDATE state SET epoch = ?, cursor = ?", (take.epoch, take.cursor))

    def waiting(self, limit: int = 100) -> list[Received]:
        """The oldest updates that the application has not taken yet."""
        with self._using() as db:
            rows = db.execute(
                "SELECT place, seq, epoch, type, payload FROM received ORDER BY place LIMIT ?", (limit,)
            ).fetchall()
        return [
            Received(place, Update(seq or None, epoch, type_, payload))
            for place, seq, epoch, type_, payload in rows
        ]

    def backlog(self) -> int:
        """How many updates wait for the application."""
        with self._using() as db:
            (count,) = db.execute("SELECT count(*) FROM received").fetchone()
            return int(count)

    def taken(self, place: int) -> None:
        """The application is done with everything up to this one.

        A killed process remembers it; a power cut may forget the last few, which are then handed over again.
        Waiting for the disk after each of 10,000 updates took half a minute on a busy one.
        """
        with self._using() as db:
            db.execute("PRAGMA synchronous = NORMAL")
            try:
                db.execute("DELETE FROM received WHERE place <= ?", (place,))
            finally:
                db.execute("PRAGMA synchronous = FULL")


def _open(path: Path, wait: float) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Made by us first, so that SQLite's own files beside it get the same narrow mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        return sqlite3.connect(path, timeout=wait, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"cannot open {path}: {error}") from error


def _explain(path: Path, error: sqlite3.Error) -> StoreError:
    if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
        return StoreInUse(f"{path} is in use by another process")
    return StoreError(f"cannot use {path}: {error}")
