"""Last wills: published on every end but a DISCONNECT, through the rules, once."""

import pytest
from stopped_timers import StoppedTimers

from broker.mqtt import packets as p

WILL = p.Will("w", b"gone", 1)


async def watcher(world):
    client = await world.client("watcher")
    await client.subscribe(("w", 1))
    return client


async def test_a_disconnect_takes_the_will_back(world, until):
    await world.open()
    watch = await watcher(world)
    client = await world.client("c", will=WILL)
    await client.disconnect()
    await until(lambda: world.broker.metrics.connections == 1)
    assert await watch.until_pong() == []


async def cut(_world, client):
    client.cut()


async def malformed(_world, client):
    await client.raw(b"\xf0\x00")


async def second_connect(_world, client):
    await client.send(p.Connect("c"))


async def silence(_world, _client):
    pass


async def half_close(_world, client):
    client.writer.write_eof()


@pytest.mark.parametrize("end", [cut, malformed, second_connect, silence, half_close])
async def test_every_other_end_publishes_it(world, end):
    await world.open()
    watch = await watcher(world)
    client = await world.client("c", will=WILL, keep_alive=1 if end is silence else 0)
    await end(world, client)
    assert [(one.payload, one.qos, one.retain) for one in await watch.publishes(1)] == [(b"gone", 1, False)]
    assert await watch.until_pong() == []
    assert world.broker.metrics.wills == 1


async def test_a_retained_will_is_retained_and_stored(world, until):
    await world.open(stored=True)
    client = await world.client("c", will=p.Will("w", b"gone", 1, retain=True))
    client.cut()
    await until(lambda: world.store.retained)
    assert world.store.retained["w"].payload == b"gone"
    late = await watcher(world)
    assert [one.retain for one in await late.publishes(1)] == [True]


async def test_a_will_that_cannot_be_stored_is_still_published(world):
    await world.open(stored=True)
    watch = await watcher(world)
    client = await world.client("c", will=p.Will("w", b"gone", 1, retain=True))
    world.store.gate.broken = True
    client.cut()
    assert [one.payload for one in await watch.publishes(1)] == [b"gone"]


async def test_the_will_of_a_later_connection_replaces_the_earlier(world):
    await world.open()
    watch = await watcher(world)
    await (await world.client("c", clean=False, will=WILL)).disconnect()
    again = await world.client("c", clean=False)
    again.cut()
    assert await watch.until_pong() == []


async def test_a_will_on_the_request_topic_is_a_request(world, until):
    await world.start()
    client = await world.device("alice:phone", will=p.Will("pabal/v1/up/alice/phone", b'{"to":"bob"}', 1))
    client.cut()
    await until(lambda: world.inbound.submitted)
    assert world.inbound.payloads() == [b'{"to":"bob"}']


async def test_a_shutdown_publishes_no_wills(world):
    await world.open(stored=True)
    await world.client("c", will=p.Will("w", b"gone", 1, retain=True))
    await world.kill()
    assert not world.store.retained


async def test_pings_keep_a_connection_with_a_keep_alive(world):
    broker = await world.open()
    # Of the time that passes here: a machine that stands still for a moment does not make who pings a silent one.
    timers, wheel = StoppedTimers(), broker._hub.wheel
    timers.now = wheel.now
    wheel.stop()
    wheel._loop = timers
    wheel.start()
    client = await world.client("c", keep_alive=1)
    quiet = await world.client("quiet", keep_alive=1)
    for _ in range(6):
        await client.ping()
        timers.advance(0.5)
    await client.ping()
    assert await quiet.closed() == []
    assert world.broker.metrics.timeouts == 1
