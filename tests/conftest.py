"""What tests of several floors share."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from postgres import Postgres, running
from slow_first import spread

# Workers and the hundreds of servers that are started need not compile all sources again each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# What is written to is tested, and not the disk beneath: each commit of each test would wait for it.
_MEMORY = Path("/dev/shm")
_ROOM = 4 << 30


def _is_roomy(memory: Path) -> bool:
    if not os.access(memory, os.W_OK) or os.statvfs(memory).f_flag & os.ST_NOEXEC:
        return False
    return shutil.disk_usage(memory).free >= _ROOM


if "TMPDIR" not in os.environ and _is_roomy(_MEMORY):
    os.environ["TMPDIR"] = tempfile.tempdir = str(_MEMORY)

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


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    workers = os.environ.get("PYTEST_XDIST_WORKER_COUNT")
    if workers is not None:
        items[:] = spread(items, int(workers))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL, started when the first test asks for it."""
    with running() as started:
        yield started
