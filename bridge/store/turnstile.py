"""Lets the seldom writer in beside the busy one, where SQLite alone would not.

SQLite has one writer at a time, and whoever finds it taken sleeps and looks again. The committer begins its next
transaction the moment that one has ended, so under full load a login would look for seconds and never find the
lock free. Therefore whoever writes seldom (accounts, in any process) holds the turnstile while it waits and
writes, and the committer passes through it before each transaction: it lets one in, and goes on.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from sqlalchemy import URL, Engine


class Turnstile:
    """An advisory lock on a file beside the database; the file stays. Threads and processes alike."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(database.name + "-turn")

    @contextmanager
    def held(self) -> Iterator[None]:
        """The committer begins no transaction until this is over: keep it short. Those who hold it wait for
        each other. A process that dies lets go.
        """
        opened = self._open()
        try:
            fcntl.flock(opened, fcntl.LOCK_EX)
            yield
        finally:
            os.close(opened)

    def passed(self) -> None:
        """Returns when nobody holds it."""
        opened = self._open()
        try:
            fcntl.flock(opened, fcntl.LOCK_EX)
        finally:
            os.close(opened)

    def _open(self) -> int:
        # A descriptor of its own each time: that is what the lock belongs to.
        return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def of(url: URL) -> Turnstile | None:
    """That of a SQLite file; None for a database that lets several write."""
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return None
    return Turnstile(Path(url.database))


def first_in_line(engine: Engine) -> AbstractContextManager[None]:
    """Around a transaction of a seldom writer."""
    turnstile = of(engine.url)
    return nullcontext() if turnstile is None else turnstile.held()
