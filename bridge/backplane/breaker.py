"""When to ask a server that does not answer again: pure, with the time and the chance as arguments."""

from typing import Final

FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 2.0
# A single failure may be a moment's: a busy machine, a server that was started again.
_TOLD_FROM: Final = 2


class Breaker:
    """After a failure nobody asks for a while, which doubles with each further one; then one asks for all.

    Not thread-safe. Times are seconds of a clock that does not go back.
    """

    __slots__ = ("_failed_at", "_failures", "_open_until", "_told")

    def __init__(self) -> None:
        self._failures = 0
        self._failed_at = float("-inf")
        self._open_until = 0.0
        self._told = False

    @property
    def is_closed(self) -> bool:
        """Whether the last answer was one."""
        return not self._failures

    def admits(self, now: float, probe_s: float) -> bool:
        """Whether to ask now. After a failure whoever is let through has `probe_s` until the next one is."""
        if not self._failures:
            return True
        if now < self._open_until:
            return False
        self._open_until = now + probe_s
        return True

    def failed(self, begun: float, now: float, chance: float) -> bool:
        """Of a call that was begun then; `chance` is from 0 to 1. Returns whether this is when people are to be told
        that it is away.
        """
        if begun <= self._failed_at:
            return False  # it was under way when another one failed, and says nothing new
        self._failed_at = now
        pause = min(FIRST_PAUSE_S * 2 ** min(self._failures, 10), LONGEST_PAUSE_S)
        self._failures += 1
        # At least half of it, and no two processes alike.
        self._open_until = now + pause * (0.5 + chance / 2)
        news = self._failures >= _TOLD_FROM and not self._told
        self._told = self._told or news
        return news

    def succeeded(self) -> bool:
        """Returns whether this is when people are to be told that it is back."""
        news, self._told = self._told, False
        self._failures = 0
        return news
