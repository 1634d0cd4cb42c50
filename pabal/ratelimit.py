"""How often is too often: token buckets, with the time as an argument."""

from collections import OrderedDict
from collections.abc import Hashable


class RateLimiter:
    """One token bucket per key: `burst` at once, `rate_per_s` in the long run. Not thread-safe.

    A key that was never seen, or not for as long as its bucket takes to fill, has a full bucket. At most
    `max_keys` are remembered; beyond that the one not asked about for the longest time is forgotten, so that
    strangers who make up keys cost bounded memory.
    """

    __slots__ = ("_buckets", "_burst", "_max_keys", "_rate")

    def __init__(self, rate_per_s: float, burst: int, max_keys: int = 100_000) -> None:
        """Raises: ValueError unless the rate is above 0 and both numbers are at least 1."""
        if rate_per_s <= 0 or burst < 1 or max_keys < 1:
            raise ValueError("a rate above 0, and a burst and a number of keys of at least 1")
        self._rate = rate_per_s
        self._burst = float(burst)
        self._max_keys = max_keys
        # Key -> (tokens left, when that was), the one asked about last at the end.
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, key: Hashable, now: float, cost: int = 1) -> float:
        """Take `cost` tokens at `now` (seconds of any clock that does not go back).

        Returns 0.0 if they were there, else the seconds after which they will be; then nothing was taken.
        A cost above the burst is granted to a full bucket and leaves a debt, so it is never refused for ever.
        """
        left = self._left(key, now)
        missing = min(float(cost), self._burst) - left
        if missing > 0:
            self._keep(key, left, now)
            return missing / self._rate
        self._keep(key, left - cost, now)
        return 0.0

    def give_back(self, key: Hashable, now: float, cost: int = 1) -> None:
        """Undo a `take` that should not count, such as a login that turned out to be good."""
        self._keep(key, min(self._burst, self._left(key, now) + cost), now)

    def __len__(self) -> int:
        return len(self._buckets)

    def _left(self, key: Hashable, now: float) -> float:
        known = self._buckets.get(key)
        if known is None:
            return self._burst
        tokens, since = known
        return min(self._burst, tokens + max(0.0, now - since) * self._rate)

    def _keep(self, key: Hashable, tokens: float, now: float) -> None:
        self._buckets[key] = (tokens, now)
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._max_keys:
            self._buckets.popitem(last=False)
