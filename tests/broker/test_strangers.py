"""What an address may do before anybody has logged in, and what is left of a connection when it is gone."""

import pytest

from broker.doorkeeper import Doorkeeper
from broker.mqtt import packets as p
from broker.mqtt.codec import encode
from broker.settings import BrokerSettings


class TestDoorkeeper:
    def test_attempts_of_an_address_are_counted_and_come_back_with_time(self):
        door = Doorkeeper(BrokerSettings(connection_attempts_per_minute=60))
        assert [door.enter("a", 0.0) for _ in range(61)] == [True] * 60 + [False]
        assert door.enter("b", 0.0)
        assert [door.enter("a", 1.0), door.enter("a", 1.0)] == [True, False]

    def test_an_address_holds_so_many_at_a_time(self):
        door = Doorkeeper(BrokerSettings(connections_per_address=2))
        assert [door.enter("a", 0.0) for _ in range(3)] == [True, True, False]
        assert door.enter("b", 0.0)
        door.leave("a")
        assert [door.enter("a", 0.0) for _ in range(2)] == [True, False]

    def test_nothing_is_kept_of_an_address_without_connections(self):
        door = Doorkeeper(BrokerSettings(connections_per_address=2))
        for number in range(10):
            assert door.enter(str(number), 0.0)
            door.leave(str(number))
        assert door._held == {}

    def test_what_has_no_address_passes(self):
        door = Doorkeeper(BrokerSettings(connections_per_address=1, connection_attempts_per_minute=1))
        assert [door.enter("", 0.0) for _ in range(3)] == [True] * 3
        door.leave("")


@pytest.mark.parametrize("limit", ["connection_attempts_per_minute", "connections_per_address"])
async def test_one_connection_too_many_is_closed_at_once_and_counted(world, limit):
    await world.open(**{limit: 2})
    first = [await world.client("a"), await world.client("b")]
    refused = await world.raw()
    assert await refused.closed() == []
    assert world.broker.metrics.connections_refused == 1
    for client in first:
        await client.ping()


async def test_who_leaves_makes_room_for_another(world, until):
    await world.open(connections_per_address=1)
    (await world.client("a")).cut()
    await until(lambda: world.broker.metrics.connections == 0)
    await (await world.client("b")).ping()


async def test_a_first_packet_above_its_limit_is_refused_before_it_is_here(world):
    await world.open(max_connect_bytes=1000)
    stranger = await world.raw()
    await stranger.raw(encode(p.Connect("c", username="u", password=bytes(2000)))[:50])
    assert await stranger.closed() == []
    assert world.broker.metrics.dropped_oversize == 1


async def test_a_larger_packet_right_behind_the_connect_is_taken(world):
    await world.open(max_connect_bytes=1000)
    client = await world.raw()
    await client.send(
        p.Connect("c", username="u", password=bytes(500)), p.Publish("t", bytes(5000), 1, packet_id=1)
    )
    assert (await client.expect(p.Connack)).code == 0
    assert await client.expect(p.Puback) == p.Puback(1)


async def test_a_closed_connection_hangs_in_no_slot_of_the_timer(world, until):
    await world.open()
    gone = [await world.client(f"c{number}", keep_alive=60) for number in range(5)]
    wheel = world.broker._hub.wheel
    assert sum(map(len, wheel._slots)) >= 5
    for client in gone:
        client.cut()
    await until(lambda: world.broker.metrics.connections == 0)
    assert (sum(map(len, wheel._slots)), wheel._places) == (0, {})
