"""The Retry-After of an HTTP answer: seconds, or a date (RFC 9110, section 10.2.3)."""

import calendar
import re
from email.utils import parsedate_tz
from typing import Final

# Nobody is waited for longer; what came after it would be of no use to anybody.
LONGEST_S: Final = 7 * 24 * 3600.0
_SECONDS: Final = re.compile(r"[0-9]{1,12}\Z")


def seconds(value: str | None, now_s: float) -> float | None:
    """How long to wait, from 0 to LONGEST_S. Returns None if nothing is said, or nothing that can be read.

    `now_s` is in seconds since 1970.
    """
    if value is None:
        return None
    text = value.strip()
    if _SECONDS.match(text):
        return min(float(text), LONGEST_S)
    moment = _moment(text)
    return None if moment is None else min(max(moment - now_s, 0.0), LONGEST_S)


def _moment(text: str) -> float | None:
    parts = parsedate_tz(text)
    if parts is None:
        return None
    try:
        return calendar.timegm(parts[:9]) - (parts[9] or 0)
    except (ValueError, OverflowError):
        return None
