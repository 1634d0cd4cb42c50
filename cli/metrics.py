"""The listener of /metrics, /healthz and /readyz: just enough HTTP for those who watch, in the event loop that it
watches.
"""

import asyncio
import contextlib
import json
import socket
from http import HTTPStatus
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

METRICS: Final = "/metrics"
HEALTH: Final = "/healthz"
READINESS: Final = "/readyz"
_REQUEST_BYTES: Final = 8 * 1024
_REQUEST_S: Final = 5.0
# At the same time; Prometheus needs one.
_MOST: Final = 8


class Readiness(Protocol):
    async def why_not(self) -> str | None:
        """None if what is watched is ready."""
        ...


class MetricsListener:
    """Owner of a listening socket and of what comes in there. One request for each connection."""

    def __init__(self, readiness: Readiness) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._readiness = readiness
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def expose(self, collector: Collector) -> None:
        """What it collects is at /metrics from here on."""
        self._registry.register(collector)

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
        path = rest.partition(b" ")[0].partition(b"?")[0].decode("latin-1")
        status, kind, body = await self._answer_to(method, path)
        writer.write(
            f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
            + (b"" if method == b"HEAD" else body)
        )
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def _answer_to(self, method: bytes, path: str) -> tuple[HTTPStatus, str, bytes]:
        """Status, content type and body."""
        if path not in {METRICS, HEALTH, READINESS}:
            return HTTPStatus.NOT_FOUND, "text/plain", f"metrics are at {METRICS}\n".encode()
        if method not in {b"GET", b"HEAD"}:
            return HTTPStatus.METHOD_NOT_ALLOWED, "text/plain", b""
        if path == METRICS:
            return HTTPStatus.OK, CONTENT_TYPE_PLAIN_0_0_4, generate_latest(self._registry)
        if path == HEALTH:
            return HTTPStatus.OK, "application/json", json.dumps({"ok": True}).encode()
        why_not = await self._readiness.why_not()
        if why_not is None:
            return HTTPStatus.OK, "application/json", json.dumps({"ready": True}).encode()
        body = json.dumps({"ready": False, "detail": why_not}).encode()
        return HTTPStatus.SERVICE_UNAVAILABLE, "application/json", body
