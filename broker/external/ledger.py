"""Which batches another broker has all of: the longest prefix counts, however its acknowledgements come."""

from collections import deque


class _Batch:
    __slots__ = ("left", "number")

    def __init__(self, number: int, left: int) -> None:
        self.number = number
        self.left = left


class Ledger:
    """Batches in their order, each with how many of its messages are not acknowledged yet.

    Attributes:
        confirmed: the broker has all of every batch up to this one.
    """

    __slots__ = ("_under_way", "confirmed")

    def __init__(self) -> None:
        self.confirmed = 0
        self._under_way: deque[_Batch] = deque()

    def __len__(self) -> int:
        return len(self._under_way)

    def begin(self, number: int, messages: int) -> "_Batch":
        """A batch, of a higher number than the one before, of so many messages. To be told of by `done`."""
        batch = _Batch(number, messages)
        self._under_way.append(batch)
        return batch

    def done(self, batch: "_Batch") -> bool:
        """One more message of it was acknowledged. Returns whether `confirmed` has moved."""
        batch.left -= 1
        return self.settle()

    def settle(self) -> bool:
        """Returns whether `confirmed` has moved; needed by itself only after a batch without messages."""
        moved = False
        while self._under_way and self._under_way[0].left <= 0:
            self.confirmed = self._under_way.popleft().number
            moved = True
        return moved

    def clear(self) -> None:
        """What is under way will not be heard of: it begins again behind `confirmed`."""
        self._under_way.clear()


Batch = _Batch
