"""How late the event loop comes to what it was to do: the first sign of a server that has too much to do."""

import asyncio
from typing import Final

from pabal.histogram import Histogram

_BEAT_S: Final = 0.25
_BOUNDS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class Pulse:
    """A timer of its own, whose delay is what is counted.

    Attributes:
        lag: seconds.
    """

    __slots__ = ("_handle", "_loop", "lag")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._handle: asyncio.TimerHandle | None = None
        self.lag = Histogram(_BOUNDS_S)

    def start(self) -> None:
        self._next(self._loop.time())

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _next(self, now: float) -> None:
        self._handle = self._loop.call_at(now + _BEAT_S, self._beat, now + _BEAT_S)

    def _beat(self, due: float) -> None:
        now = self._loop.time()
        self.lag.add(max(0.0, now - due))
        self._next(now)
