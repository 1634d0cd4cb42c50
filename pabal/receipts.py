"""How far members have come in a conversation, and how often others are told: watermarks, coalesced.

`delivered` and `read` only rise, and `read` implies `delivered`. Of each key (a member of a conversation) others
are told at most once in `every_s`; what moves meanwhile is told at the end of it, so nothing is left untold.
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

# What moved: either, or both. `NOTHING` is for keys of which only the moment counts.
NOTHING: Final = 0
DELIVERED: Final = 1
READ: Final = 2
# In a small group of up to so many members everybody is told of what was delivered to whom; in a greater one, where
# that would be a message for each pair of members, those who wrote one of the newest so many entries.
DELIVERED_TO_ALL: Final = 20


class Coalescer(Generic[K]):
    """Keys that something moved for, each handed out at most once in `every_s` seconds. Not thread-safe.

    The values themselves are looked up when a key is handed out, so that they are the newest. At most `max_keys`
    wait; beyond that the one that waited longest is given up (whoever missed it finds it in the history).
    """

    __slots__ = ("_every", "_held", "_max_keys", "_ready", "_told", "given_up")

    def __init__(self, every_s: float = 1.0, max_keys: int = 100_000) -> None:
        """Raises: ValueError unless the time is not negative and there is room for a key."""
        if every_s < 0 or max_keys < 1:
            raise ValueError("a time that is not negative, and room for at least one key")
        self._every = every_s
        self._max_keys = max_keys
        self._ready: dict[K, int] = {}
        # Handed out a moment ago, and moved since.
        self._held: dict[K, int] = {}
        # Key -> when it was told, the longest ago first.
        self._told: OrderedDict[K, float] = OrderedDict()
        self.given_up = 0

    def __len__(self) -> int:
        """How many keys wait."""
        return len(self._ready) + len(self._held)

    def note(self, key: K, what: int = NOTHING) -> None:
        """Something moved for this key."""
        waiting = self._held if key in self._told else self._ready
        before = waiting.get(key)
        waiting[key] = what if before is None else before | what
        if before is None and len(self) > self._max_keys:
            longest = self._ready or self._held
            del longest[next(iter(longest))]
            self.given_up += 1

    def due(self, now: float, limit: int) -> list[tuple[K, int]]:
        """At most `limit` keys that may be told at `now` (seconds of a clock that does not go back), and what moved
        for each of them; the longest waiting first. They count as told now, unless `told` says otherwise.
        """
        told, held = self._told, self._held
        while told and next(iter(told.values())) + self._every <= now:
            key, _when = told.popitem(last=False)
            if (what := held.pop(key, None)) is not None:
                self._ready[key] = what
        taken = [(key, self._ready[key]) for key, _place in zip(self._ready, range(limit), strict=False)]
        for key, _what in taken:
            del self._ready[key]
            self.told(key, now)
        return taken

    def told(self, key: K, now: float) -> None:
        """It was told at `now`, which is not before any other time that was given."""
        self._told[key] = now
        self._told.move_to_end(key)
