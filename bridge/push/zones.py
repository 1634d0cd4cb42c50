"""What time it is for people: time zones by IANA's names, as the machine knows them."""

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from pabal.errors import BadRequest
from pabal.push import QuietHours

_KEPT = 512


@lru_cache(maxsize=_KEPT)
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # no such zone, or no name of one
        return None


def check_hours(hours: QuietHours, *, field: str = "quiet") -> QuietHours:
    """Raises: BadRequest if there is no such time zone."""
    if _zone(hours.tz) is None:
        raise BadRequest(f"no time zone {hours.tz!r}; one such as Asia/Seoul", field=f"{field}.tz")
    return hours


def minute_of_day(zone: str, now_ms: int) -> int:
    """From 0 to 1439, by the clock there. A zone that is not known any longer counts as UTC."""
    there = datetime.fromtimestamp(now_ms / 1000, _zone(zone) or UTC)
    return there.hour * 60 + there.minute
