"""Clients that do not read: what they cost is bounded, and others do not notice."""

import asyncio
import gc
import socket
import tracemalloc

from broker_client import RawClient

from broker.mqtt import packets as p
from broker.mqtt.codec import encode

BIG = bytes(60_000)


async def deaf(world, client_id, **fields) -> RawClient:
    """A client whose own buffers are as small as they get, so that not reading soon tells."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect(("127.0.0.1", world.port))
    client = RawClient(*await asyncio.open_connection(sock=raw, limit=2048))
    world.clients.append(client)
    assert (await client.login(client_id, **fields)).code == 0
    ours = connection_of(world, client_id).transport.get_extra_info("socket")
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    return client


def connection_of(world, client_id):
    return world.broker._hub.sessions[client_id].connection


async def test_qos_0_is_dropped_for_who_does_not_read_and_counted(world):
    await world.open(write_buffer_bytes=64 * 1024)
    slow = await deaf(world, "slow")
    quick = await world.client("quick")
    for client in (slow, quick):
        await client.subscribe(("t", 0))
    publisher = await world.client("p")
    for number in range(200):
        await publisher.publish("t", b"%d " % number + BIG, 0)
        await quick.publishes(1)
    assert world.broker.metrics.dropped_slow_qos0 > 50
    connection = connection_of(world, "slow")
    assert connection.paused
    assert connection.transport.get_write_buffer_size() < 64 * 1024 + 2 * len(BIG) + 1000
    got = await slow.until_pong()
    numbers = [int(one.payload.split()[0]) for one in got]
    assert numbers == sorted(numbers)
    await publisher.publish("t", b"200", 0)
    assert [one.payload for one in await slow.publishes(1)] == [b"200"]


async def test_qos_1_waits_in_the_window_and_the_queue_and_arrives(world):
    await world.open(write_buffer_bytes=64 * 1024, queue_bytes=100 * len(BIG))
    slow = await deaf(world, "slow")
    await slow.subscribe(("t", 1))
    publisher = await world.client("p")
    for number in range(80):
        await publisher.publish("t", b"%d " % number + BIG, 1)
    assert connection_of(world, "slow").transport.get_write_buffer_size() < 64 * 1024 + 2 * len(BIG) + 1000
    assert world.broker.metrics.queued > 0
    got = await slow.publishes(80)
    assert [int(one.payload.split()[0]) for one in got] == list(range(80))


async def test_an_inbox_of_who_does_not_read_is_read_on_when_it_does(world, until):
    await world.start(write_buffer_bytes=64 * 1024)
    slow = await deaf(world, "alice:phone", username="alice", password=b"phone-secret")
    await slow.subscribe(("pabal/v1/inbox/alice", 1))
    for number in range(1, 61):
        world.deliver("alice", b"%d " % number + BIG)
        await asyncio.sleep(0)
    connection = connection_of(world, "alice:phone")
    await until(lambda: connection.paused)
    assert connection.transport.get_write_buffer_size() < 64 * 1024 + 2 * len(BIG) + 1000
    got = await slow.publishes(60)
    assert [int(one.payload.split()[0]) for one in got] == list(range(1, 61))


async def test_who_only_writes_is_not_read_for_ever(world, until):
    await world.open(write_buffer_bytes=2048)
    writer = await deaf(world, "w")
    pair = await world.client("other")
    writer.writer.write(encode(p.Pingreq()) * 200_000)
    await until(lambda: connection_of(world, "w").hold)
    assert connection_of(world, "w").transport.get_write_buffer_size() < 2_000_000
    await pair.ping()
    async with asyncio.timeout(120):
        for _ in range(100_000):
            await writer.expect(p.Pingresp)
    writer.cut()


async def test_a_closing_connection_that_does_not_read_is_cut_after_a_while(world, until):
    await world.open(write_buffer_bytes=64 * 1024, close_grace=0.2)
    slow = await deaf(world, "slow")
    await slow.subscribe(("t", 0))
    publisher = await world.client("p")
    for _ in range(100):
        await publisher.publish("t", BIG, 0)
    assert connection_of(world, "slow").paused
    await slow.raw(b"\xf0\x00")
    await until(lambda: world.broker.metrics.connections == 1)


async def test_a_shutdown_does_not_wait_for_who_does_not_read(world):
    await world.open(write_buffer_bytes=64 * 1024, close_grace=0.2)
    slow = await deaf(world, "slow")
    await slow.subscribe(("t", 0))
    publisher = await world.client("p")
    for _ in range(100):
        await publisher.publish("t", BIG, 0)
    assert connection_of(world, "slow").paused
    async with asyncio.timeout(60):
        await world.kill()


async def test_whoever_does_not_read_holds_no_more_than_its_bounds(world):
    """Bytes, counted by Python: ten megabytes are sent to each of two, who may hold some hundred kilobytes."""
    bounds = {"write_buffer_bytes": 64 * 1024, "queue_bytes": 128 * 1024, "window": 4}
    await world.open(**bounds)
    for client_id, qos in (("slow-0", 0), ("slow-1", 1)):
        client = await deaf(world, client_id)
        await client.subscribe(("t", qos))
    publisher = await world.client("p")
    await publisher.publish("warm/up", BIG, 1)
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(170):
            # Each its own bytes, so that what is held cannot be shared.
            await publisher.publish("t", number.to_bytes(2, "big") + BIG, 1)
        gc.collect()
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    # Each may have its write buffer (passed by one message), and the one at QoS 1 a window and a queue besides.
    allowed = 2 * (64 * 1024 + 2 * len(BIG)) + 4 * len(BIG) + 128 * 1024 + len(BIG) + 256 * 1024
    assert held < allowed < 170 * len(BIG) / 8
    assert world.broker.metrics.dropped_slow_qos0
    assert world.broker.metrics.dropped_queue_full
