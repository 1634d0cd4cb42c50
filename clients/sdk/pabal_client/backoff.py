"""How long to wait before trying again: 1, 2, 4 … 60 seconds, jittered so that a crowd does not return at once."""

LONGEST = 60.0
_JITTER = 0.2


def delay(attempt: int, chance: float, *, first: float = 1.0) -> float:
    """Seconds before try number `attempt + 1`; `attempt` counts from 0, `chance` is from 0 to 1."""
    base = LONGEST if attempt > 16 else min(first * 2**attempt, LONGEST)  # noqa: PLR2004 -- far past the cap
    return jittered(base, chance)


def jittered(seconds: float, chance: float) -> float:
    """Somewhere within a fifth of `seconds`, but never above LONGEST."""
    return min(seconds * (1 - _JITTER + 2 * _JITTER * chance), LONGEST)


def reconnect_delay(attempt: int, chance: float) -> float:
    """Seconds before connecting again. Spread wider: all clients of a server lose it at the same moment."""
    return delay(attempt, 0.5) * (0.2 + 0.8 * chance)
