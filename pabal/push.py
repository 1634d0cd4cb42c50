"""What people choose about pushes. Pure."""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

Preview = Literal["full", "sender", "none"]
Lang = Literal["ko", "en"]
TIME_PATTERN = r"^([01][0-9]|2[0-3]):[0-5][0-9]$(?!\n)"
TimeOfDay = Annotated[str, Meta(pattern=TIME_PATTERN)]
MAX_ZONE = 64
ZoneName = Annotated[str, Meta(min_length=1, max_length=MAX_ZONE)]


class QuietHours(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Every day from this time on and up to that one, in this time zone (a name of IANA's); over midnight where `from`
    is the later one, and all day where both are the same. `mentions`: who is named is told all the same.
    """

    from_: TimeOfDay = field(name="from")
    to: TimeOfDay
    tz: ZoneName
    mentions: bool = False

    def covers(self, minute: int) -> bool:
        """Whether they hold at that minute of the day (0 to 1439), by the clock of their time zone."""
        begin, end = _minute(self.from_), _minute(self.to)
        if begin < end:
            return begin <= minute < end
        return minute >= begin or minute < end


def _minute(time: TimeOfDay) -> int:
    return int(time[:2]) * 60 + int(time[3:])
