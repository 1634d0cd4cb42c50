import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pabal_client import backoff
from pabal_client.uuid7 import uuid7


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_an_id_is_a_version_7_uuid_that_holds_its_time(ms, random):
    parsed = uuid.UUID(uuid7(ms, random))
    assert parsed.version == 7
    assert parsed.variant == uuid.RFC_4122
    assert parsed.int >> 80 == ms


def test_the_example_of_the_standard_comes_out():
    # RFC 9562, appendix A.6: rand_a 0xCC3, rand_b 0x18C4DC0C0C07398F.
    random = ((0xCC3 << 62) | 0x18C4DC0C0C07398F).to_bytes(10, "big")
    bits = int.from_bytes(random, "big")
    assert bits >> 62 == 0xCC3
    assert uuid7(0x017F22E279B0, random) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


def test_later_ids_sort_behind_earlier_ones():
    assert uuid7(1, b"\xff" * 10) < uuid7(2, b"\0" * 10)


def test_waits_double_from_one_second_to_sixty():
    assert [backoff.delay(attempt, 0.5) for attempt in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert backoff.delay(100_000, 0.5) == 60


@pytest.mark.parametrize("chance", [0.0, 0.25, 1.0])
def test_jitter_stays_within_a_fifth_and_under_the_longest_wait(chance):
    for attempt in range(10):
        base = min(2**attempt, 60)
        assert 0.79 * base <= backoff.delay(attempt, chance) <= min(1.21 * base, 60)


def test_reconnecting_is_spread_from_a_fifth_of_the_wait_to_all_of_it():
    assert backoff.reconnect_delay(3, 0.0) == pytest.approx(1.6)
    assert backoff.reconnect_delay(3, 1.0) == pytest.approx(8.0)
