"""Time that stands still until a test moves it: what `bridge.presence.Timers` asks for."""

import heapq
import itertools
from collections.abc import Callable


class _Handle:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class StoppedTimers:
    def __init__(self) -> None:
        self.now = 1000.0
        self._calls: list[tuple[float, int, _Handle]] = []
        self._places = itertools.count()

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None], /) -> _Handle:
        handle = _Handle(callback)
        heapq.heappush(self._calls, (when, next(self._places), handle))
        return handle

    def advance(self, seconds: float) -> None:
        """Everything that is due until then is called, each at its time."""
        end = self.now + seconds
        while self._calls and self._calls[0][0] <= end:
            when, _, handle = heapq.heappop(self._calls)
            self.now = max(self.now, when)
            if handle.callback is not None:
                handle.callback()
        self.now = end

    @property
    def waiting(self) -> int:
        """Calls that are to come."""
        return sum(handle.callback is not None for _, _, handle in self._calls)
