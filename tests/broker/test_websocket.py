"""MQTT over WebSocket: the same stream of bytes in frames."""

import asyncio

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, NegotiationError
from websockets.typing import Subprotocol

from broker.build import WS_LISTENER
from broker.mqtt import packets as p
from broker.mqtt.codec import encode
from broker.mqtt.parser import Parser, TopicMemory

CONNECT = encode(p.Connect("web"))


@pytest.fixture
async def listening(world):
    await world.open(ws="127.0.0.1:0")
    return world


def url(world, path="/mqtt"):
    return f"ws://127.0.0.1:{world.broker.bound[WS_LISTENER][1]}{path}"


def opened(world, path="/mqtt", protocol="mqtt"):
    return connect(url(world, path), subprotocols=[Subprotocol(protocol)], compression=None, max_size=None)


async def packets(websocket: ClientConnection, count: int) -> list:
    parser, found = Parser(1 << 20, TopicMemory()), []
    while len(found) < count:
        found += parser.feed(await websocket.recv())
    return found


async def test_frames_carry_packets_both_ways(listening):
    async with opened(listening) as websocket:
        assert websocket.subprotocol == "mqtt"
        await websocket.send(CONNECT)
        await websocket.send(encode(p.Subscribe(1, (("t", 1),))))
        await websocket.send(encode(p.Publish("t", b"x", 1, packet_id=1)))
        got = await packets(websocket, 4)
        assert got[:2] == [p.Connack(session_present=False, code=0), p.Suback(1, b"\x01")]
        assert {type(one) for one in got[2:]} == {p.Puback, p.Publish}


async def test_frames_may_split_and_join_packets_and_be_empty(listening):
    stream = (
        CONNECT + encode(p.Subscribe(1, (("t", 0),))) + encode(p.Publish("t", b"x")) + encode(p.Pingreq())
    )
    async with opened(listening) as websocket:
        for byte in stream[:20]:
            await websocket.send(bytes((byte,)))
            await websocket.send(b"")
        await websocket.send(stream[20:] + encode(p.Pingreq()))
        got = await packets(websocket, 5)
        assert got[-2:] == [p.Pingresp(), p.Pingresp()]
        assert p.Publish("t", b"x") in got


async def test_other_paths_are_not_found(listening):
    with pytest.raises(InvalidStatus) as refused:
        await opened(listening, "/other")
    assert refused.value.response.status_code == 404
    async with opened(listening, "/mqtt?token=1"):
        pass


async def test_another_subprotocol_is_refused(listening):
    with pytest.raises((InvalidStatus, NegotiationError)):
        await opened(listening, protocol="chat")


async def test_a_text_frame_ends_the_connection(listening):
    async with opened(listening) as websocket:
        await websocket.send("MQTT is binary")
        with pytest.raises(ConnectionClosed):
            await websocket.recv()
        assert websocket.close_code == 1003


async def test_a_frame_that_is_too_large_ends_the_connection(listening):
    other = await listening.client("beside")
    async with opened(listening) as websocket:
        await websocket.send(CONNECT)
        await packets(websocket, 1)
        await websocket.send(bytes(600 * 1024))
        with pytest.raises(ConnectionClosed):
            await websocket.recv()
        assert websocket.close_code == 1009
    await other.ping()


async def test_malformed_mqtt_ends_the_connection_and_its_will_is_published(listening, until):
    other = await listening.client("beside")
    await other.subscribe(("w", 0))
    async with opened(listening) as websocket:
        await websocket.send(encode(p.Connect("web", will=p.Will("w", b"gone"))))
        await packets(websocket, 1)
        await websocket.send(b"\xf0\x00")
        with pytest.raises(ConnectionClosed):
            await websocket.recv()
    assert [one.payload for one in await other.publishes(1)] == [b"gone"]
    await until(lambda: listening.broker.metrics.connections == 1)


async def test_a_connect_that_does_not_come_ends_the_connection(world):
    await world.open(ws="127.0.0.1:0", connect_timeout=2)
    async with opened(world) as websocket:
        with pytest.raises(ConnectionClosed):
            await websocket.recv()


async def test_both_ways_of_leaving(listening, until):
    watch = await listening.client("watch")
    await watch.subscribe(("w", 0))
    for name, polite in (("a", True), ("b", False)):
        async with opened(listening) as websocket:
            await websocket.send(encode(p.Connect(name, will=p.Will("w", name.encode()))))
            await packets(websocket, 1)
            if polite:
                await websocket.send(encode(p.Disconnect()))
                with pytest.raises(ConnectionClosed):
                    await websocket.recv()
        await until(lambda: listening.broker.metrics.connections == 1)
    assert [one.payload for one in await watch.publishes(1)] == [b"b"]


async def test_a_websocket_that_is_not_read_pauses_and_goes_on(world):
    await world.open(ws="127.0.0.1:0", write_buffer_bytes=32 * 1024)
    async with connect(
        url(world), subprotocols=[Subprotocol("mqtt")], compression=None, max_size=None, max_queue=1
    ) as websocket:
        await websocket.send(CONNECT)
        await packets(websocket, 1)
        await websocket.send(encode(p.Subscribe(1, (("t", 0), ("q", 1)))))
        await packets(websocket, 1)
        publisher = await world.client("p")
        for _ in range(400):
            await publisher.publish("t", bytes(50_000))
        await publisher.publish("q", b"waits", 1)
        connection = world.broker._hub.sessions["web"].connection
        assert connection.paused
        assert world.broker.metrics.dropped_slow_qos0
        parser, found = Parser(1 << 20, TopicMemory()), []
        while not found or found[-1].topic != "q":
            found += parser.feed(await websocket.recv())
        assert found[-1].payload == b"waits"
        assert not connection.paused


async def test_a_shutdown_closes_websockets(listening):
    async with opened(listening) as websocket:
        await websocket.send(CONNECT)
        await packets(websocket, 1)
        await listening.kill()
        with pytest.raises(ConnectionClosed):
            await websocket.recv()


@pytest.mark.parametrize(
    ("origins", "origin", "passes"),
    [
        ((), "https://evil.example", True),
        (("https://chat.example",), "https://chat.example", True),
        (("https://chat.example",), None, True),
        (("https://chat.example",), "https://evil.example", False),
        (("https://chat.example",), "http://chat.example", False),
    ],
)
async def test_a_web_page_of_another_origin_is_refused(world, origins, origin, passes):
    await world.open(ws="127.0.0.1:0", ws_origins=origins)
    opening = connect(url(world), subprotocols=[Subprotocol("mqtt")], compression=None, origin=origin)
    if passes:
        async with opening as websocket:
            await websocket.send(CONNECT)
            assert await packets(websocket, 1) == [p.Connack(session_present=False, code=0)]
    else:
        with pytest.raises(InvalidStatus) as refused:
            await opening
        assert refused.value.response.status_code == 403


async def test_a_handshake_that_does_not_come_is_counted_and_ends(world, until):
    await world.open(ws="127.0.0.1:0", connect_timeout=2, connections_per_address=1)
    reader, writer = await asyncio.open_connection("127.0.0.1", world.broker.bound[WS_LISTENER][1])
    doorkeeper = world.broker._hub.doorkeeper
    await until(lambda: doorkeeper.held == 1)
    assert await reader.read() == b""
    await until(lambda: doorkeeper.held == 0)
    writer.close()
