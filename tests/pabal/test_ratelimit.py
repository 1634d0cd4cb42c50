import pytest
from hypothesis import given
from hypothesis import strategies as st

from pabal.ratelimit import RateLimiter


def test_a_burst_is_allowed_and_the_next_is_told_how_long_to_wait():
    limiter = RateLimiter(rate_per_s=2, burst=3)
    assert [limiter.take("a", 10.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert limiter.take("a", 10.0) == pytest.approx(0.5)


def test_waiting_as_long_as_told_is_enough():
    limiter = RateLimiter(rate_per_s=2, burst=1)
    limiter.take("a", 0.0)
    wait = limiter.take("a", 0.1)
    assert limiter.take("a", 0.1 + wait) == 0.0


def test_keys_do_not_share_a_bucket():
    limiter = RateLimiter(rate_per_s=1, burst=1)
    limiter.take("a", 0.0)
    assert limiter.take("b", 0.0) == 0.0
    assert limiter.take("a", 0.0) > 0.0


def test_a_refusal_takes_nothing():
    limiter = RateLimiter(rate_per_s=1, burst=1)
    limiter.take("a", 0.0)
    assert limiter.take("a", 0.5) == limiter.take("a", 0.5) == pytest.approx(0.5)


def test_what_is_given_back_can_be_taken_again():
    limiter = RateLimiter(rate_per_s=1, burst=1)
    limiter.take("a", 0.0)
    limiter.give_back("a", 0.0)
    assert limiter.take("a", 0.0) == 0.0
    assert limiter.take("a", 0.0) > 0.0


def test_giving_back_never_fills_a_bucket_above_its_burst():
    limiter = RateLimiter(rate_per_s=1, burst=1)
    limiter.give_back("a", 0.0, cost=5)
    assert limiter.take("a", 0.0) == 0.0
    assert limiter.take("a", 0.0) > 0.0


def test_a_cost_above_the_burst_is_granted_once_and_leaves_a_debt():
    limiter = RateLimiter(rate_per_s=1, burst=2)
    assert limiter.take("a", 0.0, cost=5) == 0.0
    assert limiter.take("a", 0.0) == pytest.approx(4.0)


def test_a_clock_that_goes_back_gives_no_tokens():
    limiter = RateLimiter(rate_per_s=1, burst=1)
    limiter.take("a", 10.0)
    assert limiter.take("a", 5.0) == pytest.approx(1.0)


def test_beyond_the_bound_the_key_unused_for_longest_is_forgotten():
    limiter = RateLimiter(rate_per_s=1, burst=1, max_keys=2)
    for key in ("a", "b", "a", "c"):
        limiter.take(key, 0.0)
    assert len(limiter) == 2
    assert limiter.take("a", 0.0) > 0.0
    assert limiter.take("b", 0.0) == 0.0


@pytest.mark.parametrize(("rate", "burst", "keys"), [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_a_limiter_that_could_allow_nothing_is_refused(rate, burst, keys):
    with pytest.raises(ValueError, match="rate above 0"):
        RateLimiter(rate, burst, keys)


@given(st.lists(st.floats(0, 5), max_size=60), st.integers(1, 5), st.integers(1, 5))
def test_never_more_than_the_burst_and_the_rate_in_any_stretch_of_time(gaps, rate, burst):
    limiter = RateLimiter(rate, burst)
    now, granted = 0.0, []
    for gap in gaps:
        now += gap
        if limiter.take("a", now) == 0.0:
            granted.append(now)
    for first in range(len(granted)):
        for last in range(first, len(granted)):
            assert last - first + 1 <= burst + rate * (granted[last] - granted[first]) + 1e-6
