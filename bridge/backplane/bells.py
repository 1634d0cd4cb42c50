"""Hints that there is something to read: who has them looks at the database at once instead of a moment later.

A hint that is lost costs that moment, and one too many a look; so none is kept, and none is sent twice.
"""

import logging
import threading
from collections.abc import Callable, Collection, Iterable
from typing import Final, Protocol

from bridge.backplane import names
from bridge.backplane.address import RedisAddress
from bridge.backplane.link import Asking, Away
from pabal.ids import UserId

NEWS: Final = "news"
CHANGES: Final = "changes"
PUSH: Final = "push"
# Beyond so many names at once everybody is meant.
MAX_NAMES: Final = 10_000
_EVERYBODY: Final = "*"

logger = logging.getLogger("pabal.redis")


class Bell(Protocol):
    """Called by the relay, in the event loop. Both return at once and never raise."""

    def news(self, users: Iterable[UserId]) -> None:
        """There is more in the inboxes of these users."""
        ...

    def pushes(self) -> None:
        """There are jobs for the push worker."""
        ...


class NullBell:
    """Nobody hears it."""

    def news(self, users: Iterable[UserId]) -> None:
        pass

    def pushes(self) -> None:
        pass


NULL_BELL: Final = NullBell()


class SharedBell:
    """`Bell` over Redis: what was rung is gathered, and `run` tells it in one message for each kind."""

    def __init__(self, link: Asking, address: RedisAddress, rung: Callable[[], None]) -> None:
        """`rung` is called, by whoever rings, when there is something for `run` to do."""
        self._link = link
        self._news = names.channel(address, NEWS)
        self._push = names.channel(address, PUSH)
        self._rung = rung
        self._guard = threading.Lock()
        self._users: set[UserId] = set()
        self._pushes = False

    def news(self, users: Iterable[UserId]) -> None:
        with self._guard:
            if len(self._users) <= MAX_NAMES:
                self._users.update(users)
        self._rung()

    def pushes(self) -> None:
        self._pushes = True
        self._rung()

    def run(self) -> None:
        """What could not be told is forgotten. Raises: Away."""
        with self._guard:
            users, self._users = self._users, set()
        pushes, self._pushes = self._pushes, False
        if users:
            self._link.ask("PUBLISH", self._news, _written(users))
        if pushes:
            self._link.ask("PUBLISH", self._push, "")


class ChangeBell:
    """Tells the relay that there is something new in `change_log`; for processes that write it seldom."""

    def __init__(self, link: Asking, address: RedisAddress) -> None:
        self._link = link
        self._channel = names.channel(address, CHANGES)

    def __call__(self) -> None:
        """Waits for Redis, as long as any call does; never raises."""
        try:
            self._link.ask("PUBLISH", self._channel, "")
        except Away as away:
            logger.debug("a change was not rung: %s", away)


def read_news(payload: bytes) -> Collection[UserId] | None:
    """Whose inboxes; None: everybody's."""
    text = payload.decode("utf-8", "replace")
    return None if text == _EVERYBODY else {UserId(name) for name in text.split(" ")}


def _written(users: Collection[UserId]) -> str:
    return _EVERYBODY if len(users) > MAX_NAMES else " ".join(users)
