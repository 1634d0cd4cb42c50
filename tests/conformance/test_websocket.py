"""MQTT over WebSocket (chapter 6)."""

import pytest
import websockets

from broker.mqtt import packets as p
from broker.mqtt.codec import encode


def _open(place, **options):
    return websockets.connect(f"ws://127.0.0.1:{place.ws_port}/mqtt", **options)


@pytest.mark.clauses(v3="6.0.0-4", v5="6.0.0-4")
async def test_the_server_names_the_subprotocol(place):
    async with _open(place, subprotocols=["mqtt"]) as socket:
        assert socket.subprotocol == "mqtt"


@pytest.mark.clauses(v3="6.0.0-1", v5="6.0.0-1")
async def test_a_text_frame_ends_the_connection(place):
    async with _open(place, subprotocols=["mqtt"]) as socket:
        await socket.send("text")
        with pytest.raises(websockets.ConnectionClosed):
            await socket.recv()


@pytest.mark.clauses(v3="6.0.0-2", v5="6.0.0-2")
async def test_packets_and_frames_are_not_the_same(place):
    login = encode(p.Connect("a", level=place.level), place.level)
    stream = login + encode(p.Pingreq()) * 2
    async with _open(place, subprotocols=["mqtt"]) as socket:
        for at in range(0, len(stream), 3):
            await socket.send(stream[at : at + 3])
        found = b""
        while not found.endswith(b"\xd0\x00\xd0\x00"):
            frame = await socket.recv()
            assert isinstance(frame, bytes)
            found += frame
        assert found[0] == 0x20
