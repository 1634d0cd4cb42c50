"""Numbers that count: gaps, duplicates, cursors and acknowledged prefixes.

An inbox is numbered 1, 2, 3 … without a hole, so whoever follows it knows from the number alone whether an
update is the next one, an old one, or proof that something in between is missing.
"""

from bisect import bisect_right, insort
from collections import deque
from enum import Enum


class Arrival(Enum):
    NEXT = "next"
    DUPLICATE = "duplicate"
    GAP = "gap"


def classify(cursor: int, seq: int) -> Arrival:
    """How an update with `seq` meets a device that has everything up to `cursor`."""
    if seq <= cursor:
        return Arrival.DUPLICATE
    return Arrival.NEXT if seq == cursor + 1 else Arrival.GAP


class AckedPrefix:
    """The longest prefix of what was sent that has been acknowledged.

    Updates are sent in rising order and acknowledged in any; the position is the highest seq up to which
    nothing is outstanding. Memory is bounded by what was sent since the oldest that is outstanding, whatever
    is acknowledged.
    """

    __slots__ = ("_sent", "_waiting", "position")

    def __init__(self, position: int) -> None:
        self.position = position
        self._sent: deque[int] = deque()
        self._waiting: set[int] = set()

    @property
    def outstanding(self) -> int:
        """How many of those sent are not acknowledged yet."""
        return len(self._waiting)

    def sent(self, seq: int) -> None:
        """`seq` went out; it is above all that went out before."""
        self._sent.append(seq)
        self._waiting.add(seq)

    def acked(self, seq: int) -> bool:
        """`seq` was acknowledged; twice, or never sent, changes nothing. Returns whether the position moved."""
        sent, waiting = self._sent, self._waiting
        waiting.discard(seq)
        before = self.position
        while sent and sent[0] not in waiting:
            self.position = sent.popleft()
        return self.position != before


class Reorder:
    """Puts a numbered stream back in order, within a bound.

    `push` returns what can be handed on now, in order; what is ahead waits. With more than `limit` waiting
    the furthest are let go: a sync brings them again.
    """

    __slots__ = ("_ahead", "_keys", "_limit", "cursor")

    def __init__(self, cursor: int, *, limit: int = 1000) -> None:
        self.cursor = cursor
        self._ahead: dict[int, object] = {}
        self._keys: list[int] = []
        self._limit = limit

    @property
    def gap(self) -> tuple[int, int] | None:
        """The first missing range, both ends included; None while nothing is known to be missing."""
        return (self.cursor + 1, self._keys[0] - 1) if self._keys else None

    def push(self, seq: int, item: object) -> list[object]:
        arrival = classify(self.cursor, seq)
        if arrival is Arrival.NEXT:
            self.cursor = seq
            return [item, *self._release()]
        if arrival is Arrival.GAP:
            self._hold(seq, item)
        return []

    def _hold(self, seq: int, item: object) -> None:
        if seq in self._ahead:
            return
        self._ahead[seq] = item
        insort(self._keys, seq)
        if len(self._keys) > self._limit:
            del self._ahead[self._keys.pop()]

    def _release(self) -> list[object]:
        ready: list[object] = []
        for seq in self._keys:
            if seq != self.cursor + 1:
                break
            self.cursor = seq
            ready.append(self._ahead.pop(seq))
        del self._keys[: len(ready)]
        return ready

    def advance(self, cursor: int) -> list[object]:
        """Everything up to `cursor` came another way, or never will. Returns what can be handed on behind it."""
        if cursor > self.cursor:
            self.cursor = cursor
            settled = bisect_right(self._keys, cursor)
            for key in self._keys[:settled]:
                del self._ahead[key]
            del self._keys[:settled]
        return self._release()

    def reset(self, cursor: int) -> None:
        """Start over from a snapshot: what waited is of the past or will come by sync."""
        self.cursor = cursor
        self._ahead.clear()
        self._keys.clear()
