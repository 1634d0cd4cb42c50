"""Bad input costs the one who sends it, and nobody else: a well-behaved pair chats beside each of these."""

import time
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import pytest_asyncio
from broker_client import Closed, RawClient
from hostile_input import KEPT, MAX_CONNECT, MAX_PACKET, ROWS

from broker.build import MQTT_LISTENER
from broker.mqtt import packets as p
from broker.mqtt.codec import encode
from broker.open_mode import build_open_broker
from broker.server import PabalBroker
from broker.settings import BrokerSettings

CONNECT = encode(p.Connect("bad"))


class Pair:
    """Two clients that mind their own business."""

    def __init__(self, publisher, subscriber) -> None:
        self.publisher = publisher
        self.subscriber = subscriber
        self.count = 0

    async def chat(self) -> float:
        """One message goes all the way. Returns the seconds."""
        self.count += 1
        before = time.perf_counter()
        await self.publisher.publish("good", b"%d" % self.count, 1)
        assert [one.payload for one in await self.subscriber.publishes(1)] == [b"%d" % self.count]
        return time.perf_counter() - before


async def pair_of(world) -> Pair:
    subscriber = await world.client("good-sub", keep_alive=60)
    await subscriber.subscribe(("good", 1))
    pair = Pair(await world.client("good-pub", clean=False), subscriber)
    await pair.chat()
    return pair


class Place:
    """One broker for the whole corpus, and the pair beside it."""

    def __init__(self, broker: PabalBroker, pair: Pair) -> None:
        self.broker = broker
        self.pair = pair

    async def bad(self, level: int, *, logged_in: bool) -> RawClient:
        client = await RawClient.open(self.broker.bound[MQTT_LISTENER][1])
        if logged_in:
            assert (await client.login("bad", level=level)).code == 0
        client.level = client._parser.level = level
        return client

    async def is_unmoved(self) -> None:
        """The pair goes on, on the connections that it had."""
        await self.pair.chat()
        assert self.broker.metrics.takeovers == 0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place() -> AsyncIterator[Place]:
    assert BrokerSettings().max_packet_bytes == MAX_PACKET
    assert BrokerSettings().max_connect_bytes == MAX_CONNECT
    broker = build_open_broker(mqtt="127.0.0.1:0", settings=BrokerSettings())
    await broker.start()
    port = broker.bound[MQTT_LISTENER][1]
    subscriber = await RawClient.connect(port, "good-sub")
    await subscriber.subscribe(("good", 1))
    publisher = await RawClient.connect(port, "good-pub", clean=False)
    made = Place(broker, Pair(publisher, subscriber))
    await made.pair.chat()
    yield made
    await publisher.close()
    await subscriber.close()
    await broker.shutdown()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
async def test_it_closes_that_connection_only_and_says_why(place, row):
    client = await place.bad(row.level, logged_in=row.logged_in)
    # What came before is still answered, and what comes behind is not looked at any more.
    before, behind = (encode(p.Pingreq()), encode(p.Publish("good", b"too late"), row.level))
    await client.raw((before if row.logged_in else b"") + row.raw + (b"" if row.ends else behind))
    if row.ends:
        client.writer.write_eof()
    answers = await client.closed()
    await client.close()
    if row.logged_in:
        assert answers.pop(0) == p.Pingresp()
    answers = [one for one in answers if not isinstance(one, p.Pubrec)]
    if row.reason is None:
        assert answers == []
    else:
        (last,) = answers
        assert isinstance(last, p.Disconnect if row.logged_in else p.Connack)
        assert (last.reason if row.logged_in else last.code) == row.reason
    await place.is_unmoved()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("row", KEPT.values(), ids=KEPT.keys())
async def test_it_is_refused_and_the_connection_stays(place, row):
    client = await place.bad(row.level, logged_in=True)
    await client.raw(row.raw)
    answers = [bare(one) for one in await client.until_pong()]
    await client.disconnect()
    assert answers == list(row.answers)
    await place.is_unmoved()


def bare(packet):
    """Without the text for people."""
    return type(packet)(*(getattr(packet, name) for name in packet.__struct_fields__ if name != "properties"))


def test_the_corpus_is_as_large_as_it_should_be():
    assert len(ROWS) + len(KEPT) >= 150
    assert len({(row.level, row.raw, row.ends) for row in ROWS.values()}) >= 150


async def test_a_packet_at_the_limit_is_taken(world):
    await world.open()
    pair = await pair_of(world)
    client = await world.client("c")
    await client.subscribe(("t", 1))
    payload = bytes(256 * 1024 - 4 - 3 - 2)
    await client.send(p.Publish("t", payload, 1, packet_id=1))
    got = [await client.next(), await client.next()]
    assert {type(one) for one in got} == {p.Puback, p.Publish}
    await client.send(p.Publish("t", payload + b"x", 1, packet_id=2))
    await client.closed()
    assert world.broker.metrics.dropped_oversize == 1
    await pair.chat()


async def test_a_connect_that_drips_in_is_cut_off(world):
    await world.open(connect_timeout=1)
    pair = await pair_of(world)
    slow = await world.raw()
    with suppress(Closed, ConnectionError):
        for byte in CONNECT[:-1]:
            await slow.raw(bytes((byte,)))
            with suppress(TimeoutError):
                await slow.next(0.05)
        pytest.fail(f"it was answered: {await slow.next()!r}")
    await pair.chat()
    assert world.broker.metrics.timeouts == 1


async def test_silence_before_the_connect_is_cut_off(world):
    await world.open(connect_timeout=1)
    pair = await pair_of(world)
    silent = await world.raw()
    assert await silent.closed() == []
    await pair.chat()


async def test_a_half_open_connection_ends_with_its_keep_alive(world):
    await world.open()
    pair = await pair_of(world)
    gone = await world.client("gone", keep_alive=1)
    assert await gone.closed() == []
    await pair.chat()


async def test_a_thousand_connections_that_come_and_go_leave_nothing(world, until):
    await world.open()
    pair = await pair_of(world)
    for number in range(200):
        client = await world.raw()
        if number % 2:
            await client.raw(CONNECT[: number % len(CONNECT)])
        client.cut()
    await until(lambda: world.broker.metrics.connections == 2)
    assert len(world.broker._hub.connections) == 2
    await pair.chat()


async def test_a_flood_beside_the_pair_does_not_stop_it(world):
    await world.open()
    pair = await pair_of(world)
    flooder = await world.client("flood")
    await flooder.raw(encode(p.Publish("nobody/listens", bytes(200))) * 5000)
    await pair.chat()
    await flooder.ping()
    assert world.broker.metrics.publishes_in == 5002


async def test_a_filter_of_many_levels_and_a_topic_of_many_levels_are_harmless(world):
    await world.open()
    pair = await pair_of(world)
    bad = await world.client("bad")
    assert await bad.subscribe(("+/" * 30_000 + "+", 0)) == b"\x80"
    await bad.publish("/" * 65_535, b"x", 1)
    await pair.chat()


async def test_the_pair_goes_on_while_one_login_hangs(world, credential, until):
    await world.start()
    phone = await world.device("alice:phone")
    world.authenticator.gate.shut()
    stuck = await world.raw()
    await stuck.send(p.Connect("bob:phone", **credential("bob:phone")))
    await until(lambda: world.authenticator.in_flight)
    await phone.publish("pabal/v1/up/alice/phone", b"{}", 1)
    assert world.inbound.payloads() == [b"{}"]
