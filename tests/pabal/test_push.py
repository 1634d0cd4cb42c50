import pytest
from hypothesis import given
from hypothesis import strategies as st

from pabal.push import ELLIPSIS, MAX_CLUSTER, QuietHours, shortened

FAMILY = "👨\u200d👩\u200d👧\u200d👦"
KOREA, FRANCE = "🇰🇷", "🇫🇷"


def quiet(begin: str, end: str) -> QuietHours:
    return QuietHours(from_=begin, to=end, tz="Asia/Seoul")


@pytest.mark.parametrize(
    ("hours", "minute", "holds"),
    [
        (quiet("09:00", "17:30"), 539, False),
        (quiet("09:00", "17:30"), 540, True),
        (quiet("09:00", "17:30"), 1049, True),
        (quiet("09:00", "17:30"), 1050, False),
        (quiet("22:00", "07:00"), 1319, False),
        (quiet("22:00", "07:00"), 1320, True),
        (quiet("22:00", "07:00"), 0, True),
        (quiet("22:00", "07:00"), 419, True),
        (quiet("22:00", "07:00"), 420, False),
        (quiet("08:00", "08:00"), 0, True),
        (quiet("08:00", "08:00"), 480, True),
    ],
)
def test_quiet_hours_hold_from_their_beginning_to_before_their_end_and_over_midnight(hours, minute, holds):
    assert hours.covers(minute) is holds


def test_what_fits_is_left_as_it_is():
    assert shortened("안녕", 6) == "안녕"


@pytest.mark.parametrize(
    ("text", "max_bytes", "kept"),
    [
        ("hello world", 8, "hello…"),
        ("hello world", 9, "hello…"),  # and no blank before the ellipsis
        ("안녕하세요", 9, "안녕…"),
        ("안녕하세요", 10, "안녕…"),
        ("abcdef", 2, "ab"),  # no room for an ellipsis
        ("안녕하세요", 2, ""),
        ("abc", 0, ""),
    ],
)
def test_what_does_not_fit_ends_at_a_character_and_says_so(text, max_bytes, kept):
    assert shortened(text, max_bytes) == kept


@pytest.mark.parametrize(
    "cluster",
    [
        FAMILY,
        "e\u0301\u0323",  # with two accents
        "👍🏽",
        "❤\ufe0f",
        KOREA,
        "🏴\U000e0067\U000e0062\U000e007f",
        "\u1112\u1161\u11ab",  # 한, in its parts
        "நி",
    ],
)
def test_what_people_see_as_one_character_is_never_cut(cluster):
    text = "ab" + cluster + "cdefgh"
    for room in range(3, len(text.encode())):
        kept = shortened(text, room).removesuffix(ELLIPSIS)
        assert text.startswith(kept)
        assert kept in {"", "a", "ab"} or kept.startswith("ab" + cluster)


def test_flags_side_by_side_are_cut_between_two_of_them():
    text = KOREA + FRANCE + KOREA
    assert shortened(text, len(text.encode()) - 1) == KOREA + FRANCE + ELLIPSIS
    assert shortened(text, len((KOREA + FRANCE).encode()) + 1) == KOREA + ELLIPSIS


def test_a_text_that_begins_with_more_than_fits_is_left_out_whole():
    assert shortened(FAMILY, 12) == ELLIPSIS


def test_a_heap_of_accents_is_cut_after_all():
    text = "a" + "\u0301" * (2 * MAX_CLUSTER)
    kept = shortened(text, 100)
    assert len(kept.encode()) <= 100
    assert kept.startswith("a\u0301")


def test_half_a_surrogate_pair_is_replaced():
    assert shortened("a\ud800b", 3) == "a?b"


@given(st.text(), st.integers(0, 60))
def test_it_always_fits_and_is_a_beginning(text, room):
    kept = shortened(text, room)
    assert len(kept.encode()) <= room
    if len(text.encode()) > room:
        assert text.startswith(kept.removesuffix(ELLIPSIS))
    else:
        assert kept == text
