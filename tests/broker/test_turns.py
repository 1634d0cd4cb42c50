"""Connections take turns: however much one of them pipelines, the others are handled in between."""

from collections import Counter
from collections.abc import Callable

from broker_fakes import FakeInbound

from broker.mqtt import packets as p
from broker.mqtt.codec import encode
from broker.turns import BUDGET, FREE, Turns, cost_of

UP = "pabal/v1/up/alice/phone"


class Loop:
    """Holds what is to be called until the test lets a turn go by."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], None]] = []

    def call_soon(self, call: Callable[[], None]) -> None:
        self.soon.append(call)

    def turn(self) -> None:
        calls, self.soon = self.soon, []
        for call in calls:
            call()


class Worker:
    """Wants so many pieces of work done, each of that cost."""

    def __init__(self, turns: Turns, pieces: int, cost: int) -> None:
        self.turns, self.pieces, self.cost = turns, pieces, cost
        self.done: list[int] = []

    def take_turn(self) -> None:
        self.turns.begin()
        while self.pieces and self.turns.take(self, self.cost):
            self.pieces -= 1
            self.done.append(self.turns.number)


class TestTurns:
    def test_a_turn_has_a_budget_and_the_next_begins_with_who_waits(self):
        loop = Loop()
        turns = Turns(loop.call_soon)
        worker = Worker(turns, 6, BUDGET // 2)
        worker.take_turn()
        assert worker.done == [0, 0]
        while loop.soon:
            loop.turn()
        assert worker.done == [0, 0, 1, 1, 2, 2]

    def test_one_piece_is_done_however_large(self):
        loop = Loop()
        turns = Turns(loop.call_soon)
        worker = Worker(turns, 3, 10 * BUDGET)
        worker.take_turn()
        while loop.soon:
            loop.turn()
        assert worker.done == [0, 1, 2]

    def test_those_who_wait_are_served_in_order(self):
        loop = Loop()
        turns = Turns(loop.call_soon)
        workers = [Worker(turns, 2, BUDGET) for _ in range(3)]
        for worker in workers:
            worker.take_turn()
        while loop.soon:
            loop.turn()
        assert [worker.done for worker in workers] == [[0, 1], [2, 4], [3, 5]]

    def test_who_needs_little_shares_a_turn(self):
        loop = Loop()
        turns = Turns(loop.call_soon)
        workers = [Worker(turns, 2, BUDGET), Worker(turns, 1, 10), Worker(turns, 1, 10)]
        for worker in workers:
            worker.take_turn()
        loop.turn()
        assert [worker.done for worker in workers[1:]] == [[], []]
        loop.turn()
        assert [worker.done for worker in workers] == [[0, 1], [2], [2]]

    def test_nothing_is_called_while_nobody_works(self):
        loop = Loop()
        turns = Turns(loop.call_soon)
        turns.begin()
        turns.begin()
        assert len(loop.soon) == 1
        loop.turn()
        assert loop.soon == []


def test_a_packet_costs_what_it_makes_us_do():
    assert cost_of(p.Publish("t", bytes(1000))) > 1000
    many = p.Subscribe(1, tuple((str(n), 0) for n in range(100)))
    assert cost_of(many) > 50 * cost_of(p.Pingreq()) > 0
    assert cost_of(p.Unsubscribe(1, ("a", "b"))) > cost_of(p.Unsubscribe(1, ("a",)))


class Diary(FakeInbound):
    """Notes in which turn of the loop each packet was taken."""

    def __init__(self, world) -> None:
        super().__init__()
        self.world = world
        self.turns: Counter[int] = Counter()

    def _take(self, source, payload, form, ticket) -> None:
        self.turns[self.world.broker._hub.turns.number] += 1
        super()._take(source, payload, form, ticket)


async def test_large_packets_in_one_write_are_handled_in_as_many_turns(world):
    world.inbound = diary = Diary(world)
    await world.start()
    phone = await world.device("alice:phone")
    await phone.raw(b"".join(encode(p.Publish(UP, bytes(60_000), 1, packet_id=n)) for n in range(1, 41)))
    assert [(await phone.expect(p.Puback)).packet_id for _ in range(40)] == list(range(1, 41))
    assert sum(diary.turns.values()) == 40
    assert max(diary.turns.values()) <= 2


async def test_another_client_is_answered_in_between(world):
    world.inbound = diary = Diary(world)
    await world.start(unsettled_limit=10_000)
    phone, other = await world.device("alice:phone"), await world.device("bob:phone")
    phone.writer.write(b"".join(encode(p.Publish(UP, bytes(60_000), 0)) for _ in range(200)))
    seen = []
    while len(diary.submitted) < 200:
        await other.ping()
        seen.append(len(diary.submitted))
    assert len([count for count in seen if 0 < count < 200]) > 5
    assert [payload for payload in diary.payloads() if len(payload) != 60_000] == []


async def test_many_small_packets_in_one_write_are_handled_in_several_turns_and_in_order(world):
    world.inbound = diary = Diary(world)
    await world.start()
    phone = await world.device("alice:phone")
    await phone.raw(b"".join(encode(p.Publish(UP, b"%d" % n, 0)) for n in range(5000)))
    await phone.ping()
    assert diary.payloads() == [b"%d" % n for n in range(5000)]
    assert max(diary.turns.values()) <= (BUDGET + FREE) // 64 + 1


async def test_pings_by_the_thousand_are_each_answered(world):
    await world.open()
    client = await world.client("c")
    await client.raw(encode(p.Pingreq()) * 100_000)
    for _ in range(100_000):
        await client.expect(p.Pingresp)


async def test_what_waits_for_its_turn_is_gone_with_its_connection(world, until):
    world.inbound = diary = Diary(world)
    await world.start()
    phone, other = await world.device("alice:phone"), await world.device("bob:phone")
    late = encode(p.Publish(UP, bytes(60_000), 0)) * 100
    await phone.raw(late + b"\xf0\x00" + late)
    await phone.closed()
    assert len(diary.submitted) == 100
    await other.ping()
    await until(lambda: not world.broker._hub.turns._waiting)
