"""MQTT over WebSocket (MQTT 3.1.1, chapter 6): frames are only an envelope for the same stream of bytes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, cast

from websockets.asyncio.server import Server, ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Origin, Subprotocol

from broker.connection import Connection
from broker.gate import Gate, TlsServer
from broker.pumped import Closed, PumpedTransport

if TYPE_CHECKING:
    from broker.hub import Hub
    from broker.tls import Certificates

PATH: Final = "/mqtt"
_NOT_BINARY: Final = 1003
_CLOSE_TIMEOUT_S: Final = 2
_log = logging.getLogger("pabal.broker.websocket")
# Handshakes that fail are their clients' errors, and no lines of ours.
_log.setLevel(logging.CRITICAL)


class WebSocketTransport(PumpedTransport):
    """One WebSocket. Frames may split and join packets, and may be empty; they must be binary."""

    def __init__(self, websocket: ServerConnection, connection: Connection) -> None:
        super().__init__(connection)
        self._websocket = websocket

    async def receive(self) -> bytes:
        try:
            frame = await self._websocket.recv()
        except ConnectionClosed:
            raise Closed from None
        if isinstance(frame, str):
            # [MQTT-6.0.0-1]
            await self._websocket.close(_NOT_BINARY, "MQTT is binary")
            raise Closed
        return frame

    async def send(self, data: bytes) -> None:
        try:
            await self._websocket.send(data)
        except ConnectionClosed:
            raise Closed from None

    async def finish(self) -> None:
        await self._websocket.close()

    def cut(self) -> None:
        self._websocket.transport.abort()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._websocket.transport.get_extra_info(name, default)


async def listen(
    handler: Callable[[ServerConnection], Awaitable[None]],
    hub: "Hub",
    certificates: "Certificates | None",
    host: str | None,
    port: int,
) -> Server:
    """A server for path `/mqtt` and subprotocol `mqtt`, with a gate in front of each connection, and TLS if there
    are certificates.

    Web pages of other origins than those of the settings are refused (none there: of none); who names no origin is
    no web page.

    Raises: OSError.
    """
    settings, loop = hub.settings, asyncio.get_running_loop()
    server = Server(handler, process_request=_only_mqtt, open_timeout=settings.connect_timeout, logger=_log)
    origins = [None, *(Origin(origin) for origin in settings.ws_origins)] if settings.ws_origins else None

    def connection() -> ServerConnection:
        protocol = ServerProtocol(
            origins=origins,
            subprotocols=[Subprotocol("mqtt")],
            max_size=2 * settings.max_packet_bytes,
            logger=_log,
        )
        # MQTT has its own pings.
        return ServerConnection(
            protocol, server, ping_interval=None, close_timeout=_CLOSE_TIMEOUT_S, max_queue=4
        )

    if certificates is None:
        server.wrap(await loop.create_server(lambda: Gate(hub, connection()), host, port))
    else:
        secure = TlsServer(hub, connection, certificates)
        await secure.listen(host, port)
        server.wrap(cast("asyncio.Server", secure))
    return server


def _only_mqtt(websocket: ServerConnection, request: Request) -> Response | None:
    if request.path.partition("?")[0] == PATH:
        return None
    return websocket.respond(HTTPStatus.NOT_FOUND, f"MQTT is at {PATH}\n")
