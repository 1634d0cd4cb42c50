"""How often a number was how large: what monitoring reads of things that take time."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence


class Histogram:
    """Counts by upper bounds, which rise; a last bucket takes what is above them all."""

    __slots__ = ("_counts", "bounds", "count", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self._counts = [0] * (len(self.bounds) + 1)
        self.count = 0
        self.total = 0.0

    def add(self, value: float) -> None:
        self._counts[bisect_left(self.bounds, value)] += 1
        self.count += 1
        self.total += value

    def cumulative(self) -> Iterator[tuple[float, int]]:
        """Each bound, the last one infinite, with how many were at most that."""
        up_to = 0
        for bound, count in zip((*self.bounds, float("inf")), self._counts, strict=True):
            up_to += count
            yield bound, up_to
