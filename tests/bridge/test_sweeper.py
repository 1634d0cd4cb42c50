"""The sweeper while the database is away: it says so once, tries again, and finds what it left."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from bridge import expiry
from bridge.expiry import Sweeper
from pabal.errors import Unavailable

SWEPT = "messages whose time is over "


class Gate:
    """The relay's, which is closed so many times first."""

    def __init__(self, relay, closed: int) -> None:
        self.relay = relay
        self.closed = closed

    async def commit(self, command):
        if self.closed:
            self.closed -= 1
            raise Unavailable("the database does not answer", retry_after=1)
        return await self.relay.commit(command)


@pytest.fixture
async def due(talk):
    """Two messages whose time is over, and nobody who sweeps."""
    await talk.harness.bridge._sweeper.stop()
    for _ in range(2):
        await talk.said("secret", expires_in=1)
    talk.clock.now += 1_000
    return talk


@pytest.fixture
def readers():
    with ThreadPoolExecutor(1) as pool:
        yield pool


async def test_a_round_that_fails_in_part_leaves_the_rest_to_the_next(due, readers):
    gate = Gate(due.harness.bridge.relay, closed=1)
    sweeper = Sweeper(due.harness.bridge._store, readers, gate)
    with pytest.raises(Unavailable):
        await sweeper.sweep()
    assert [await sweeper.sweep(), await sweeper.sweep()] == [1, 0]
    entries = [item for item in await due.history("bob") if item.get("type") == "recalled"]
    assert sorted(entry["target"] for entry in entries) == [1, 2]


async def test_an_outage_is_told_once_and_its_end_too(due, readers, monkeypatch, caplog):
    monkeypatch.setattr(expiry, "POLL_S", 0.001)
    gate = Gate(due.harness.bridge.relay, closed=6)
    sweeper = Sweeper(due.harness.bridge._store, readers, gate)

    def told():
        said = [record.message.partition(":")[0] for record in caplog.records]
        return [line.removeprefix(SWEPT) for line in said if line.startswith(SWEPT)]

    with caplog.at_level(logging.WARNING, "pabal.bridge"):
        sweeper.start()
        try:
            async with asyncio.timeout(60):
                while len(told()) < 2:
                    await asyncio.sleep(0.001)
        finally:
            await sweeper.stop()
    assert told() == ["cannot be swept", "are swept again"]
    assert [update["type"] for update in await due.synced("bob")] == ["message"] * 2 + ["recalled"] * 2
