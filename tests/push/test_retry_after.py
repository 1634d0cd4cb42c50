"""How long a service asks to be left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from push import retry_after

NOON = 1_795_694_400.0  # Thu, 26 Nov 2026 12:00:00 GMT


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("Thu, 26 Nov 2026 12:02:00 GMT", 120),
        ("Thu, 26 Nov 2026 13:02:00 +0100", 120),
        ("Thursday, 26-Nov-26 12:00:30 GMT", 30),
        ("Thu Nov 26 12:00:30 2026", 30),
        ("Thu, 26 Nov 2026 11:00:00 GMT", 0),
    ],
)
def test_it_is_seconds_or_a_date(value, expected):
    assert retry_after.seconds(value, NOON) == expected


@pytest.mark.parametrize(
    "value", [None, "", "soon", "-5", "1.5", "1e3", "٣", "Thu, 99 Foo", "999999999999999"]
)
def test_what_cannot_be_read_says_nothing(value):
    assert retry_after.seconds(value, NOON) is None


def test_a_date_that_no_calendar_has_says_nothing():
    assert retry_after.seconds("Thu, 26 Nov 99999999999999999999 12:00:00 GMT", NOON) is None


@pytest.mark.parametrize("value", ["999999999999", "Thu, 26 Nov 2099 12:00:00 GMT"])
def test_nobody_is_waited_for_longer_than_a_week(value):
    assert retry_after.seconds(value, NOON) == retry_after.LONGEST_S


@given(st.text(max_size=40))
def test_anything_at_all_is_an_answer(value):
    waited = retry_after.seconds(value, NOON)
    assert waited is None or 0 <= waited <= retry_after.LONGEST_S
