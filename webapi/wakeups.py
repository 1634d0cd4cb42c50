"""Long polling: requests that wait until there is something in their user's inbox.

One thread looks at the heads of all awaited inboxes at once, and only while somebody waits. It asks the
database, so it sees what any process wrote: again and again, and at once where somebody says that there is news.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pabal.errors import Unavailable
from pabal.ids import UserId

_log = logging.getLogger("pabal.webapi")
_RETRY_AFTER_S = 5


@dataclass(slots=True, eq=False)
class _Wait:
    user: UserId
    head: int
    woken: threading.Event = field(default_factory=threading.Event)


class Wakeups:
    """At most `max_waits` at once. End it with `close`. Thread-safe."""

    def __init__(
        self,
        heads: Callable[[Collection[UserId]], dict[UserId, int]],
        *,
        max_waits: int,
        interval_s: float,
    ) -> None:
        """`heads` tells the newest seq of each inbox; users without an inbox may be left out."""
        self._heads = heads
        self._max_waits = max_waits
        self._interval_s = interval_s
        self._guard = threading.Lock()
        self._waits: set[_Wait] = set()
        self._places = 0
        self._watcher: threading.Thread | None = None
        self._closing = threading.Event()
        self._stirred = threading.Event()

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return self._places

    @contextmanager
    def place(self) -> Iterator[None]:
        """The right to wait, for as long as the block takes.

        Raises: Unavailable if as many wait as may.
        """
        with self._guard:
            if self._places >= self._max_waits:
                raise Unavailable("too many requests wait; poll with wait=0", retry_after=_RETRY_AFTER_S)
            self._places += 1
        try:
            yield
        finally:
            with self._guard:
                self._places -= 1

    def wait(self, user: UserId, head: int, deadline: float) -> bool:
        """Whether the head of this inbox became another one than `head` before `deadline` (monotonic).

        Returns False at once when the process stops. Inside a `place` only.
        """
        waiting = _Wait(user, head)
        with self._guard:
            self._waits.add(waiting)
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._watch, name="pabal-wakeups")
                self._watcher.start()
        try:
            woken = waiting.woken.wait(max(0.0, deadline - time.monotonic()))
        finally:
            with self._guard:
                self._waits.discard(waiting)
        return woken and not self._closing.is_set()

    def news(self, users: Collection[UserId] | None) -> None:
        """There is said to be more in the inboxes of these users (None: of anybody). Costs a look where one of them
        waits, and nothing else.
        """
        with self._guard:
            if any(users is None or waiting.user in users for waiting in self._waits):
                self._stirred.set()

    def stop_waiting(self) -> None:
        """Everybody who waits is answered soon; may be called in a signal handler."""
        self._closing.set()
        self._stirred.set()

    def close(self) -> None:
        """Stop waiting, and wait for the watcher to end."""
        self.stop_waiting()
        with self._guard:
            watcher = self._watcher
        if watcher is not None:
            watcher.join()

    def _watch(self) -> None:
        try:
            while waits := self._to_watch():
                self._wake(waits)
                self._stirred.wait(self._interval_s)
        except BaseException:
            with self._guard:
                self._watcher = None  # the next one who waits starts another
            raise

    def _to_watch(self) -> list[_Wait]:
        """Empty when the watcher is to end; that is settled under the guard, so that nobody relies on it."""
        with self._guard:
            self._stirred.clear()
            if self._closing.is_set():
                for waiting in self._waits:
                    waiting.woken.set()
            if not self._waits or self._closing.is_set():
                self._watcher = None
                return []
            return list(self._waits)

    def _wake(self, waits: list[_Wait]) -> None:
        try:
            heads = self._heads({waiting.user for waiting in waits})
        except Unavailable as error:
            _log.warning("cannot look for news: %s", error)  # they wait on, until their own time is over
            return
        for waiting in waits:
            if heads.get(waiting.user, 0) != waiting.head:
                waiting.woken.set()
