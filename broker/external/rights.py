"""Whose requests are taken that come through another broker: its login is its own affair, our accounts are ours.

The topic says which device it is, and the broker's rules see to it that no other publishes there. Whether that device
may still do something is looked up here, so that a logout or a deletion holds although the broker knows nothing of it.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from bridge.ports import Login, Source
from pabal.errors import Unauthorized, Unavailable
from pabal.ids import DeviceId, UserId

# An end that is written down anywhere is told within a second; this is for those that time alone brings.
GOOD_FOR_S: Final = 60.0
MOST_KNOWN: Final = 50_000

_NOTHING: Final[frozenset[str]] = frozenset()
Then = Callable[[Source | None], None]
_Key = tuple[UserId, DeviceId]


class Standing(Protocol):
    """What is asked of the accounts."""

    async def standing(self, user: UserId, device: DeviceId) -> Login:
        """Raises: errors.Unauthorized if no login or secret of this device is good any more; errors.Unavailable."""
        ...

    async def devices_of(self, user: UserId) -> list[DeviceId]:
        """Raises: errors.Unavailable."""
        ...


class Rights:
    """Remembers what each device may do. What one device sends stays in its order."""

    def __init__(self, accounts: Standing, *, good_for_s: float = GOOD_FOR_S, most: int = MOST_KNOWN) -> None:
        self._accounts = accounts
        self._good_for_s = good_for_s
        self._most = most
        self._known: dict[_Key, tuple[Source, float]] = {}
        self._asked: dict[_Key, list[Then]] = {}
        self._doubted: set[_Key] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._known)

    def ask(self, user: UserId, device: DeviceId, then: Then) -> None:
        """`then` is called with the device and its rights, at once where they are known: with none at all if it may
        do nothing any more, and with None if the database does not answer.
        """
        key = user, device
        waiting = self._asked.get(key)
        if waiting is not None:
            waiting.append(then)
            return
        loop = asyncio.get_running_loop()
        known = self._known.get(key)
        if known is not None and loop.time() < known[1]:
            then(known[0])
            return
        self._asked[key] = [then]
        task = loop.create_task(self._look_up(key))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def doubt(self, user: UserId, device: DeviceId | None) -> None:
        """Something has changed about this device (None: all of the user's)."""
        if device is not None:
            self._known.pop((user, device), None)
            self._doubted.add((user, device))
        else:
            for key in [key for key in self._known if key[0] == user]:
                del self._known[key]
            self._doubted.update(key for key in self._asked if key[0] == user)
        self._doubted &= self._asked.keys()

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _look_up(self, key: _Key) -> None:
        source: Source | None = None
        try:
            login = await self._accounts.standing(*key)
            source = Source(*key, login.allow)
        except Unauthorized:
            source = Source(*key, _NOTHING)
        except Unavailable:
            pass
        finally:
            waiting = self._asked.pop(key)
            if source is not None and key not in self._doubted:
                self._remember(key, source)
            self._doubted.discard(key)
        for then in waiting:
            then(source)

    def _remember(self, key: _Key, source: Source) -> None:
        if len(self._known) >= self._most:
            del self._known[next(iter(self._known))]
        self._known.pop(key, None)
        self._known[key] = source, asyncio.get_running_loop().time() + self._good_for_s
