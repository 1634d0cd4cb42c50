"""What is told and read of the outbox where a courier brings the updates, and not the broker itself."""

import pytest
from bridge_fakes import FakeBroker
from bridge_harness import Harness

from bridge.build import Bridge
from bridge.store.engine import open_engine
from bridge.store.tables import outbox


class FakeCourier:
    """`bridge.ports.Courier`: remembers, and has delivered nothing before a test says so."""

    def __init__(self) -> None:
        self.handed: list[tuple[int, dict]] = []

    def hand_over(self, batch, deliveries) -> None:
        self.handed.append((batch, {user: list(updates) for user, updates in deliveries.items()}))


@pytest.fixture
async def begun(url):
    bridge, broker, courier = Bridge(url), FakeBroker(), FakeCourier()
    await bridge.start(broker, courier)
    yield Harness(bridge, broker), courier
    await bridge.stop()


def kept(url) -> list[int]:
    engine = open_engine(url, read_only=True)
    with engine.connect() as connection:
        found = [row.batch_id for row in connection.execute(outbox.select().order_by(outbox.c.batch_id))]
    engine.dispose()
    return found


async def test_a_batch_is_handed_over_whole_and_kept_until_it_is_published(begun, url):
    harness, courier = begun
    for number in (1, 2):
        await harness.ask("alice", {"id": f"{number}", "to": "bob", "text": "x"})
    (first, to_whom), (second, _) = [one for one in courier.handed if one[1]]
    assert {user: [seq for seq, _ in updates] for user, updates in to_whom.items()} == {
        "alice": [1],
        "bob": [1],
    }
    assert harness.broker.inboxes == {}, "the courier brings them"
    assert kept(url) == [first, second]
    harness.bridge.relay.published(first)
    await harness.ask("alice", {"id": "3", "to": "bob", "text": "x"})
    assert first not in kept(url)
    assert second in kept(url)


async def test_what_is_not_published_is_read_in_order_and_in_pages(begun):
    harness, courier = begun
    for number in range(5):
        await harness.ask("alice", {"id": f"{number}", "to": "bob", "text": f"{number}"})
    handed = [one for one in courier.handed if one[1]]
    read = await harness.bridge.outbox.unsent(0, 3)
    read += await harness.bridge.outbox.unsent(read[-1].batch, 3)
    assert [one.batch for one in read] == [batch for batch, _ in handed]
    for one, (_, deliveries) in zip(read, handed, strict=True):
        assert {user: list(updates) for user, updates in one.deliveries} == deliveries
    assert await harness.bridge.outbox.unsent(read[-1].batch, 3) == []


async def test_what_a_crash_has_left_is_found_by_the_next_courier_and_not_published_before(begun, url):
    harness, courier = begun
    await harness.ask("alice", {"id": "1", "to": "bob", "text": "x"})
    [(batch, _)] = [one for one in courier.handed if one[1]]
    await harness.bridge.stop()
    again, broker = Bridge(url), FakeBroker()
    await again.start(broker, FakeCourier())
    assert broker.inboxes == {}
    assert [one.batch for one in await again.outbox.unsent(0, 10)] == [batch]
    await again.stop()
    assert kept(url) == [batch]
