"""The one clock of the command line, and how it writes times."""

import time
from datetime import UTC, datetime


def now_s() -> float:
    """Seconds since 1970 UTC."""
    return time.time()


def parts(ms: int) -> tuple[int, int, int, int, int, int]:
    """Year, month, day, hour, minute and second of it, in UTC."""
    when = datetime.fromtimestamp(ms / 1000, UTC)
    return when.year, when.month, when.day, when.hour, when.minute, when.second


def shown(ms: int) -> str:
    """A time of the database (milliseconds since 1970) for people."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
