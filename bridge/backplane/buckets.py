"""How often is too often, asked from several threads: the port, its twin within this process, and the one over Redis."""

import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

from bridge.backplane import names
from bridge.backplane.link import Asking, Away
from pabal.ratelimit import RateLimiter


class Buckets(Protocol):
    """One token bucket for each key, as `pabal.ratelimit.RateLimiter`. Thread-safe; neither method raises."""

    def take(self, key: str) -> float:
        """Take one. Returns 0.0, or the seconds after which there will be one; then none was taken."""
        ...

    def give_back(self, key: str) -> None:
        """Undo a `take` that should not count."""
        ...


class Counting(Protocol):
    def __call__(self, kind: str, rate_per_s: float, burst: int) -> Buckets:
        """Those of one kind of thing that is counted. Of one name and installation they are the same ones."""
        ...


class LocalBuckets:
    """In this process alone."""

    def __init__(self, rate_per_s: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._guard = threading.Lock()
        self._limiter = RateLimiter(rate_per_s, burst)

    def take(self, key: str) -> float:
        with self._guard:
            return self._limiter.take(key, self._clock())

    def give_back(self, key: str) -> None:
        with self._guard:
            self._limiter.give_back(key, self._clock())


def counting_here(clock: Callable[[], float] = time.monotonic) -> Counting:
    """`Counting` without Redis."""

    def buckets(kind: str, rate_per_s: float, burst: int) -> Buckets:  # noqa: ARG001 -- here each has its own
        return LocalBuckets(rate_per_s, burst, clock)

    return buckets


# A bucket is one number: when it will be full (microseconds of Redis's own clock, so that all processes agree). The key
# goes when it is. KEYS[1]; ARGV: microseconds for one token, microseconds for all of them.
_TAKE: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local one, all = tonumber(ARGV[1]), tonumber(ARGV[2])
local full = tonumber(redis.call('GET', KEYS[1]) or 0)
if full < now then full = now elseif full > now + all then full = now + all end
full = full + one
if full - now > all then return full - now - all end
redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
return 0
"""
_GIVE_BACK: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local full = tonumber(redis.call('GET', KEYS[1]) or 0) - tonumber(ARGV[1])
if full <= now then redis.call('DEL', KEYS[1]) return 0 end
redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
return 0
"""


class SharedBuckets:
    """Of all processes that use this Redis, and never more than this process alone would let through.

    Each is taken here first, then there: what is refused here costs no call, a Redis that was emptied forgives nobody
    what this process has seen, and while Redis is away this process goes on by its own count.
    """

    def __init__(
        self, link: Asking, kind: str, rate_per_s: float, burst: int, *, own: LocalBuckets | None = None
    ) -> None:
        self._link = link
        self._kind = kind
        self._one_us = round(1_000_000 / rate_per_s)
        self._all_us = self._one_us * burst
        self._own = own or LocalBuckets(rate_per_s, burst)

    def take(self, key: str) -> float:
        wait_s = self._own.take(key)
        if wait_s > 0:
            return wait_s
        try:
            wait_us = self._link.ask(
                "EVAL", _TAKE, 1, names.bucket(self._kind, key), self._one_us, self._all_us
            )
        except Away:
            return 0.0
        if not isinstance(wait_us, int) or wait_us <= 0:
            return 0.0
        self._own.give_back(key)
        return wait_us / 1_000_000

    def give_back(self, key: str) -> None:
        self._own.give_back(key)
        try:
            self._link.ask("EVAL", _GIVE_BACK, 1, names.bucket(self._kind, key), self._one_us)
        except Away:
            return
