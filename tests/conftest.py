"""What tests of several floors share."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from postgres import Postgres, running

# Enough examples to find a mistake, quick enough to be run always; how quick is not what is tested. The same ones
# each time: a change is judged by what it changed. Others are tried with `--hypothesis-profile=search`.
settings.register_profile(
    "pabal",
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("search", settings.get_profile("pabal"), derandomize=False, max_examples=3000)
settings.load_profile("pabal")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL, started when the first test asks for it."""
    with running() as started:
        yield started
