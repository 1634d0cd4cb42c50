"""Texts cut to what fits, without cutting a character in two.

A character here is what a person takes for one: a letter with its marks, an emoji with its skin or family, a flag, a
Korean syllable written in its parts. Only the few rules of Unicode that make a difference are kept (UAX #29).
"""

import unicodedata
from typing import Final

ELLIPSIS: Final = "…"
# Marks on a character: without space of their own, spacing, enclosing.
_MARKS: Final = frozenset({"Mn", "Mc", "Me"})
_JOINER: Final = "\N{ZERO WIDTH JOINER}"
_SKINS: Final = range(0x1F3FB, 0x1F400)
_FLAG_LETTERS: Final = range(0x1F1E6, 0x1F200)
_TAGS: Final = range(0xE0020, 0xE0080)
_LEADING_CONSONANTS: Final = range(0x1100, 0x1160)
_VOWELS_AND_FINALS: Final = range(0x1160, 0x1200)
_SYLLABLES: Final = range(0xAC00, 0xD7A4)
# What JSON writes in two bytes; other control characters take six.
_SHORT_ESCAPES: Final = frozenset('"\\\b\f\n\r\t')


def json_bytes(text: str) -> int:
    """Bytes that the text takes in JSON written as UTF-8, without the quotes."""
    return sum(map(_cost, text))


def shortened(text: str, room: int) -> str:
    """The text, or its longest beginning that takes at most `room` bytes in JSON with an ellipsis after it.

    Nothing at all where not even the ellipsis has room.
    """
    if json_bytes(text) <= room:
        return text
    left = room - json_bytes(ELLIPSIS)
    if left < 0:
        return ""
    end = 0
    while (left := left - _cost(text[end])) >= 0:
        end += 1
    while end and not _may_cut(text, end):
        end -= 1
    return text[:end].rstrip() + ELLIPSIS


def _cost(char: str) -> int:
    code = ord(char)
    if code < 0x80:  # noqa: PLR2004 -- where UTF-8 begins to take two bytes, and so on
        return 2 if char in _SHORT_ESCAPES else 6 if code < 0x20 else 1  # noqa: PLR2004
    return 2 if code < 0x800 else 3 if code < 0x10000 else 4  # noqa: PLR2004


def _may_cut(text: str, at: int) -> bool:
    """Whether a character ends before `at`, which is inside of the text."""
    before, after = text[at - 1], text[at]
    code, last = ord(after), ord(before)
    if _JOINER in (after, before) or unicodedata.category(after) in _MARKS or code in _SKINS or code in _TAGS:
        return False
    if code in _VOWELS_AND_FINALS or (code in _LEADING_CONSONANTS and last in _LEADING_CONSONANTS):
        return not (last in _LEADING_CONSONANTS or last in _VOWELS_AND_FINALS or last in _SYLLABLES)
    if code in _FLAG_LETTERS and last in _FLAG_LETTERS:
        return _flag_letters_before(text, at) % 2 == 0
    return (before, after) != ("\r", "\n")


def _flag_letters_before(text: str, at: int) -> int:
    count = 0
    while count < at and ord(text[at - 1 - count]) in _FLAG_LETTERS:
        count += 1
    return count
