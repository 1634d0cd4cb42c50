"""A stand-in of Mozilla's push service: a WebSocket for browsers, and an endpoint of RFC 8030 that holds who sends
against the key that the browser subscribed with (RFC 8292).
"""

import asyncio
import base64
import contextlib
import json
import re
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import websockets
from cryptography.exceptions import InvalidSignature
from push_stand_in import Answer, Received, StandIn
from py_vapid.jwt import decode
from websockets.asyncio.server import ServerConnection, serve

LONGEST_BODY = 4096
START_S = 30.0
_AUTHORIZATION = re.compile(r"vapid t=([^,]+),k=([^,]+)\Z")


class Mozilla:
    """Channels, by what is in the path of their endpoint, and the browsers behind them.

    `ws_url` is for `dom.push.serverURL`. `acked`: ids of pushes that a browser has acknowledged.
    """

    def __init__(self, folder: Path) -> None:
        self.endpoints = StandIn(folder, self._received)
        self.acked: list[str] = []
        self.said: list[dict[str, Any]] = []
        self._channels: dict[str, tuple[str, str | None, ServerConnection]] = {}
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.ws_url = ""

    def start(self) -> None:
        self.endpoints.start()
        self._thread.start()
        assert self._ready.wait(START_S)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(START_S)
        self.endpoints.stop()

    def _run(self) -> None:
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        async with serve(self._browser, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            self.ws_url = f"ws://127.0.0.1:{port}"
            self._ready.set()
            await self._stop.wait()

    # -- browsers

    async def _browser(self, connection: ServerConnection) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            async for text in connection:
                for answer in self._answers(json.loads(text), connection):
                    await connection.send(json.dumps(answer))

    def _answers(self, said: dict[str, Any], connection: ServerConnection) -> list[dict[str, Any]]:
        self.said.append(said)
        kind = said.get("messageType")
        if kind == "hello":
            uaid = said.get("uaid") or uuid.uuid4().hex
            return [{"messageType": "hello", "uaid": uaid, "status": 200, "use_webpush": True}]
        if kind == "register":
            name = uuid.uuid4().hex
            self._channels[name] = (said["channelID"], said.get("key"), connection)
            endpoint = f"{self.endpoints.url}/wpush/v2/{name}"
            return [
                {"messageType": kind, "channelID": said["channelID"], "status": 200, "pushEndpoint": endpoint}
            ]
        if kind == "unregister":
            self._channels = {n: one for n, one in self._channels.items() if one[0] != said["channelID"]}
            return [{"messageType": kind, "channelID": said["channelID"], "status": 200}]
        if kind == "ack":
            self.acked += [update["version"] for update in said["updates"]]
        return [{}] if not said else []

    # -- who sends

    def _received(self, received: Received) -> Answer:
        channel = self._channels.get(received.path.rpartition("/")[2])
        if channel is None:
            return _refusal(410, 106)
        channel_id, key, connection = channel
        if not self._knows(received.headers.get("authorization", ""), key):
            return _refusal(401, 109)
        if len(received.body) > LONGEST_BODY:
            return _refusal(413, 104)
        if received.headers.get("content-encoding") != "aes128gcm" or not received.headers["ttl"].isdigit():
            return _refusal(400, 110)
        version = uuid.uuid4().hex
        told = {
            "messageType": "notification",
            "channelID": channel_id,
            "version": version,
            "data": base64.urlsafe_b64encode(received.body).rstrip(b"=").decode(),
            "headers": {"encoding": "aes128gcm"},
        }
        asyncio.run_coroutine_threadsafe(connection.send(json.dumps(told)), self._loop).result(START_S)
        return Answer(201, headers={"location": f"{self.endpoints.url}/m/{version}"})

    def _knows(self, authorization: str, key: str | None) -> bool:
        parts = _AUTHORIZATION.match(authorization)
        if parts is None or (key is not None and parts[2] != key.rstrip("=")):
            return False
        try:
            claims = decode(parts[1], parts[2])
        except InvalidSignature:
            return False
        return (
            claims["aud"] == self.endpoints.url
            and time.time() < claims["exp"] <= time.time() + 24 * 3600
            and claims["sub"].startswith(("mailto:", "https://"))
        )


def _refusal(status: int, errno: int) -> Answer:
    return Answer(status, json.dumps({"code": status, "errno": errno}).encode())


@contextlib.contextmanager
def mozilla(folder: Path) -> Iterator[Mozilla]:
    made = Mozilla(folder)
    made.start()
    try:
        yield made
    finally:
        made.stop()
