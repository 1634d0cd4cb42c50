"""Session cores on a bench, as several files here use them."""

import pytest
from session_bench import Bench


@pytest.fixture
def bench():
    return Bench()


@pytest.fixture
def online(bench):
    bench.connect()
    bench.answer()
    bench.wait(2)
    bench.answer()
    return bench
