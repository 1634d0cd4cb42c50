import pytest

from pabal.push import QuietHours


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
