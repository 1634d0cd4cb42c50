"""Updates to another broker: in order, none never, with the outbox as the memory."""

import asyncio

import pytest
from external_fakes import FakeOutbox, FakeWire

from broker.external import courier as module
from broker.external.courier import Courier
from broker.external.sending import Sending


class World:
    def __init__(self, *, most: int = 1000, window: int = 1000) -> None:
        self.outbox = FakeOutbox()
        self.sending = Sending(window=window, most=most)
        self.published: list[int] = []
        self.courier = Courier(self.sending, self.outbox, self.published.append, page=2)
        self.wire = FakeWire()

    def link(self) -> None:
        self.wire = FakeWire()
        self.sending.attach(self.wire, 65_535)
        self.courier.begin()

    def cut(self) -> None:
        self.sending.detach()
        self.courier.lose()

    def commit(self, number: int, updates: int = 1) -> None:
        """As the relay does: into the outbox, and then told."""
        unsent = self.outbox.add(number, updates=updates)
        self.courier.hand_over(number, dict(unsent.deliveries))

    def acknowledge(self, count: int | None = None) -> None:
        for packet_id in list(self.wire.open)[:count]:
            self.wire.open.remove(packet_id)
            self.sending.acknowledged(packet_id)

    async def keeps_up(self) -> None:
        async with asyncio.timeout(60):
            while not self.courier.keeps_up:
                await asyncio.sleep(0)


@pytest.fixture
async def world():
    made = World()
    yield made
    await made.courier.stop()


async def test_what_the_outbox_holds_at_the_start_goes_first_and_in_order(world):
    for number in (3, 5, 6, 7, 9):
        world.outbox.add(number)
    world.link()
    await world.keeps_up()
    world.commit(10)
    assert world.wire.payloads == [b"3.0", b"5.0", b"6.0", b"7.0", b"9.0", b"10.0"]


async def test_a_batch_is_published_when_the_broker_has_acknowledged_all_of_it_and_all_before(world):
    world.link()
    await world.keeps_up()
    world.commit(1, updates=2)
    world.commit(2)
    assert world.published == []
    world.acknowledge(1)
    assert world.published == []
    world.acknowledge()
    assert world.published[-1] == 2


async def test_what_was_not_acknowledged_when_the_link_broke_goes_again_in_order(world):
    world.link()
    await world.keeps_up()
    for number in (1, 2, 3):
        world.commit(number)
    world.acknowledge(1)
    world.cut()
    world.commit(4)
    assert world.published == [1]
    world.link()
    await world.keeps_up()
    assert world.wire.payloads == [b"2.0", b"3.0", b"4.0"]
    world.acknowledge()
    assert world.published[-1] == 4


async def test_what_is_committed_while_the_outbox_is_read_is_sent_once_and_in_order(world):
    world.outbox.add(1)
    told = iter([2, 3])

    def commit() -> None:
        number = next(told, None)
        if number is not None:
            world.commit(number)

    world.outbox.on_read = commit
    world.link()
    await world.keeps_up()
    assert world.wire.payloads == [b"1.0", b"2.0", b"3.0"]


async def test_what_was_read_before_it_was_told_of_is_not_sent_twice(world):
    unsent = world.outbox.add(1)
    world.link()
    await world.keeps_up()
    world.courier.hand_over(1, dict(unsent.deliveries))
    assert world.wire.payloads == [b"1.0"]


async def test_a_batch_of_which_nothing_is_kept_any_more_holds_up_nothing(world):
    world.outbox.add(1, updates=0)
    world.outbox.add(2)
    world.link()
    await world.keeps_up()
    world.acknowledge()
    assert world.published[-1] == 2


async def test_batches_without_updates_are_none_of_its_affairs(world):
    world.link()
    await world.keeps_up()
    reads = world.outbox.reads
    world.courier.hand_over(4, {})
    assert world.courier.keeps_up
    assert world.outbox.reads == reads


async def test_when_too_much_waits_the_outbox_is_the_queue():
    world = World(window=1, most=3)
    world.link()
    await world.keeps_up()
    for number in range(1, 9):
        world.commit(number)
    assert not world.courier.keeps_up
    assert world.sending.queued <= 3
    async with asyncio.timeout(60):
        while world.published[-1:] != [8]:
            world.acknowledge()
            await asyncio.sleep(0)
    assert world.wire.payloads == [b"%d.0" % number for number in range(1, 9)]
    await world.keeps_up()
    await world.courier.stop()


async def test_an_outbox_that_cannot_be_read_is_read_again(world, monkeypatch, caplog):
    monkeypatch.setattr(module, "_AGAIN_S", 0.001)
    world.outbox.add(1)
    world.outbox.away = 3
    world.link()
    await world.keeps_up()
    assert world.wire.payloads == [b"1.0"]
    assert caplog.text.count("cannot be read") == 1


async def test_a_link_that_breaks_while_the_outbox_is_read_leaves_nothing_out(world):
    for number in range(1, 7):
        world.outbox.add(number)
    world.link()
    async with asyncio.timeout(60):
        while len(world.wire.payloads) < 2:
            await asyncio.sleep(0)
    world.cut()
    world.link()
    await world.keeps_up()
    assert world.wire.payloads == [b"%d.0" % number for number in range(1, 7)]
