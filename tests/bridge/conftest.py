"""A migrated database with a few people in it, and a bridge over it with a broker that only remembers."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from bridge_fakes import FakeBroker
from bridge_harness import Harness, populate
from message_talk import Clock, Talk
from migrated import migrated_sqlite
from sqlalchemy import Engine

from bridge.build import Bridge
from bridge.store.engine import open_engine


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path: Path) -> Iterator[str]:
    """A migrated database with people in it; every test that asks for it runs on both kinds."""
    if request.param == "sqlite":
        yield migrated_sqlite(tmp_path, populate)
        return
    postgres = request.getfixturevalue("postgres")
    address = postgres.fresh(postgres.template("populated", populate))
    yield address
    postgres.give_back(address)


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """For a test to look behind the scenes."""
    made = open_engine(url)
    yield made
    made.dispose()


@pytest.fixture
async def harness(url: str) -> AsyncIterator[Harness]:
    bridge, broker = Bridge(url), FakeBroker()
    await bridge.start(broker)
    yield Harness(bridge, broker)
    await bridge.stop()


@pytest.fixture
async def talk(url: str) -> AsyncIterator[Talk]:
    """A bridge whose clock stands, where groups are large from three members on."""
    clock = Clock()
    bridge, broker = Bridge(url, small_limit=2, faults=clock), FakeBroker()
    await bridge.start(broker)
    yield Talk(Harness(bridge, broker), clock)
    await bridge.stop()
