"""The listener of /metrics: just enough HTTP for Prometheus, in the event loop that it watches."""

import asyncio
import contextlib
import logging
import socket
from http import HTTPStatus
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from cli import sockets
from cli.errors import CliError
from cli.settings import Settings

logger = logging.getLogger("pabal.serve")
PATH: Final = "/metrics"
_REQUEST_BYTES: Final = 8 * 1024
_REQUEST_S: Final = 5.0
# At the same time; Prometheus needs one.
_MOST: Final = 8


def listen(settings: Settings, patience_s: float) -> socket.socket | None:
    """A socket to listen on, or None if there is to be none. Where nobody has chosen an address, a second server on
    this machine goes without rather than not at all; `tell` says so once it serves.

    Raises: CliError if the address that was chosen cannot be had.
    """
    if settings.metrics is None:
        return None
    if "metrics" in settings.model_fields_set:
        return sockets.listen("metrics", settings.metrics, patience_s=patience_s)
    with contextlib.suppress(CliError):
        return sockets.listen("metrics", settings.metrics)
    return None


def tell(settings: Settings, listening: socket.socket | None) -> None:
    """Where there are none although nobody said so. Not before the server is ready: what stops a start is told in
    one line.
    """
    if listening is None and settings.metrics is not None:
        logger.warning(
            "there are no metrics: %s is in use (choose another address for metrics, or off)",
            settings.metrics,
        )


class MetricsListener:
    """Owner of a listening socket and of what comes in there. One request for each connection."""

    def __init__(self, collector: Collector) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(collector)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, listening: socket.socket) -> None:
        """The socket becomes ours."""
        self._server = await asyncio.start_server(self._serve, sock=listening, limit=_REQUEST_BYTES)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._tasks) >= _MOST:
            writer.transport.abort()
            return
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(_REQUEST_S):
                    await self._answer(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Raises: OSError."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return
        method, _, rest = head.partition(b"\r\n")[0].partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        status, kind, body = HTTPStatus.OK, CONTENT_TYPE_PLAIN_0_0_4, b""
        if path != PATH.encode():
            status, kind, body = HTTPStatus.NOT_FOUND, "text/plain", f"metrics are at {PATH}\n".encode()
        elif method not in {b"GET", b"HEAD"}:
            status, kind = HTTPStatus.METHOD_NOT_ALLOWED, "text/plain"
        else:
            body = generate_latest(self._registry)
        writer.write(
            f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
            + (b"" if method == b"HEAD" else body)
        )
        await writer.drain()
        writer.close()
        await writer.wait_closed()
