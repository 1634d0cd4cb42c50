"""One timer for all deadlines: connections hang in slots, and a slot is looked at when its time has come."""

import asyncio
from typing import Final, Protocol

_SLOTS: Final = 1024


class Timed(Protocol):
    """What can hang in the wheel; hashable."""

    def overdue(self, now: float) -> float | None:
        """Called at (or a tick after) the time asked for. Returns the next time to be called, or None."""
        ...


class Wheel:
    """Deadlines in seconds of the loop's clock, kept to a tick.

    A keep-alive is pushed back by every packet. Nothing is moved then: when the slot comes up, the
    connection says when to look again. So a packet costs one attribute.

    Attributes:
        now: the loop's clock as of the last tick; read by whoever needs no better.
    """

    __slots__ = ("_handle", "_loop", "_next", "_places", "_slots", "_tick", "now")

    def __init__(self, loop: asyncio.AbstractEventLoop, tick: float) -> None:
        self._loop = loop
        self._tick = tick
        self._slots: list[dict[Timed, None]] = [{} for _ in range(_SLOTS)]
        # The slots that each of them hangs in, so that it can be taken out.
        self._places: dict[Timed, set[int]] = {}
        self._handle: asyncio.TimerHandle | None = None
        self._next = 0
        self.now = loop.time()

    def start(self) -> None:
        self.now = self._loop.time()
        self._next = int(self.now / self._tick) + 1
        self._handle = self._loop.call_at(self._next * self._tick, self._turn)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        for slot in self._slots:
            slot.clear()
        self._places.clear()

    def at(self, when: float, timed: Timed) -> None:
        """`timed` may hang in several slots; it is asked at each."""
        place = max(int(when / self._tick) + 1, self._next)
        # What is further away than one turn is asked early and says so.
        place = min(place, self._next + _SLOTS - 1)
        self._slots[place % _SLOTS][timed] = None
        self._places.setdefault(timed, set()).add(place % _SLOTS)

    def forget(self, timed: Timed) -> None:
        """It is not asked again; nothing refers to it any longer."""
        for place in self._places.pop(timed, ()):
            self._slots[place].pop(timed, None)

    def _turn(self) -> None:
        self.now = now = self._loop.time()
        while self._next * self._tick <= now:
            place = self._next % _SLOTS
            slot = self._slots[place]
            self._next += 1
            if slot:
                due = list(slot)
                slot.clear()
                for timed in due:
                    places = self._places[timed]
                    places.discard(place)
                    if not places:
                        del self._places[timed]
                for timed in due:
                    again = timed.overdue(now)
                    if again is not None:
                        self.at(again, timed)
        self._handle = self._loop.call_at(self._next * self._tick, self._turn)
