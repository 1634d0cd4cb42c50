"""What people choose about pushes, and the cutting of texts that are too long for a push service. Pure."""

import unicodedata
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

Preview = Literal["full", "sender", "none"]
Lang = Literal["ko", "en"]
TimeOfDay = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$(?!\n)")]
MAX_ZONE = 64
ZoneName = Annotated[str, Meta(min_length=1, max_length=MAX_ZONE)]

ELLIPSIS = "…"
# What people see as one character may be made of any number of them; no more than so many are kept together.
MAX_CLUSTER = 32

_JOINER = "\u200d"
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_REGIONS = range(0x1F1E6, 0x1F200)
_TAGS = range(0xE0020, 0xE0080)
# Hangul that is written in its parts: a vowel or a final consonant belongs to what stands before it.
_JAMO = range(0x1160, 0x1200)


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


def shortened(text: str, max_bytes: int) -> str:
    """As much of the beginning as fits into so many bytes of UTF-8, with an ellipsis where anything is missing (and where
    there is room for one). Never ends within a character, nor within what people see as one: a letter with its
    accents, a flag, a family of four.
    """
    whole = text.encode(errors="replace")
    if len(whole) <= max_bytes:
        return whole.decode()
    mark = ELLIPSIS.encode()
    if max_bytes < len(mark):
        mark = b""
    kept = whole[: max(0, max_bytes - len(mark))].decode(errors="ignore")
    end = _boundary(whole.decode(), len(kept))
    return kept[:end].rstrip() + mark.decode()


def _boundary(text: str, end: int) -> int:
    """The last place not after `end` at which a text may be cut; `end` itself, if there is none near."""
    for place in range(end, max(0, end - MAX_CLUSTER), -1):
        if not _belongs(text, place):
            return place
    return 0 if end < MAX_CLUSTER else end


def _belongs(text: str, place: int) -> bool:
    """Whether the character at `place` is seen as one with that before it."""
    before, after = text[place - 1], text[place]
    code = ord(after)
    if _JOINER in {before, after} or unicodedata.category(after) in {"Mn", "Mc", "Me"}:
        return True
    if code in _SKIN_TONES or code in _TAGS or code in _JAMO:
        return True
    return code in _REGIONS and _regions_before(text, place) % 2 == 1


def _regions_before(text: str, place: int) -> int:
    """Flags are pairs of these letters."""
    count = 0
    while count < place and ord(text[place - count - 1]) in _REGIONS:
        count += 1
    return count
