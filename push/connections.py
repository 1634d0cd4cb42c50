"""A pool of connections over which pushes go: httpx2's, with an HTTP/2 that suits them."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

import httpcore2

from push.http2_connection import Http2Connection

_Open = httpcore2.AsyncConnectionInterface | httpcore2.AsyncNetworkStream


class PushConnections(httpcore2.AsyncConnectionPool):
    """To each server over HTTP/2 if it has it, else over HTTP/1.1."""

    def __init__(
        self,
        context: ssl.SSLContext,
        network: httpcore2.AsyncNetworkBackend,
        *,
        most: int,
        keep_alive_s: float,
    ) -> None:
        # All else that a pool may be told is for the connections that it would make by itself.
        super().__init__(max_connections=most, max_keepalive_connections=most)
        context.set_alpn_protocols(["h2", "http/1.1"])
        self._context = context
        self._network = network
        self._keep_alive_s = keep_alive_s
        self._closings: set[asyncio.Task[None]] = set()

    def create_connection(self, origin: httpcore2.Origin) -> httpcore2.AsyncConnectionInterface:
        return _Connection(origin, self._context, self._network, self._keep_alive_s, self._close)

    def _close(self, open_one: _Open) -> None:
        """Without waiting. The pool closes what has expired one after another, and before it goes on with the request that
        came just then: sides that do not answer a goodbye would use up its time, and if it is up the others stay open.
        """
        closing = asyncio.create_task(open_one.aclose())
        self._closings.add(closing)
        closing.add_done_callback(self._closings.discard)

    async def aclose(self) -> None:
        """Returns once all are closed."""
        await super().aclose()
        while self._closings:
            await asyncio.wait(self._closings)


class _Connection(httpcore2.AsyncConnectionInterface):
    """One that is made with its first request. Those that wait for it meanwhile share its failure."""

    def __init__(
        self,
        origin: httpcore2.Origin,
        context: ssl.SSLContext,
        network: httpcore2.AsyncNetworkBackend,
        keep_alive_s: float,
        close: Callable[[_Open], None],
    ) -> None:
        self._origin = origin
        self._context = context
        self._network = network
        self._keep_alive_s = keep_alive_s
        self._close = close
        self._made: httpcore2.AsyncConnectionInterface | None = None
        self._failure: Exception | None = None
        self._making = asyncio.Lock()
        self._is_closing = False

    async def handle_async_request(self, request: httpcore2.Request) -> httpcore2.Response:
        made = self._made
        if made is None:
            async with self._making:
                made = self._made or await self._make_once(request.extensions["timeout"]["connect"])
        if self._is_closing:
            raise httpcore2.ConnectionNotAvailable
        return await made.handle_async_request(request)

    async def _make_once(self, timeout_s: float) -> httpcore2.AsyncConnectionInterface:
        """Raises: whatever it raised the first time; httpcore2.ConnectError if it was closed meanwhile."""
        if self._failure is not None:
            raise self._failure
        try:
            made = await self._make(timeout_s)
        except Exception as error:
            self._failure = error
            raise
        if self._is_closing:
            await made.aclose()
            raise httpcore2.ConnectError("the connection was closed")
        self._made = made
        return made

    async def _make(self, timeout_s: float) -> httpcore2.AsyncConnectionInterface:
        """Raises: httpcore2.ConnectError, httpcore2.ConnectTimeout."""
        host = self._origin.host.decode("ascii")
        stream = await self._network.connect_tcp(host, self._origin.port, timeout_s)
        if self._origin.scheme == b"https":
            stream = await stream.start_tls(self._context, host, timeout_s)
            if stream.get_extra_info("ssl_object").selected_alpn_protocol() == "h2":
                made = Http2Connection(self._origin, stream, self._keep_alive_s)
                await made.open(timeout_s)
                return made
        return httpcore2.AsyncHTTP11Connection(
            self._origin, _Parting(stream, self._close), self._keep_alive_s
        )

    async def aclose(self) -> None:
        """Begins with it; `close` was given to go on."""
        if self._made is not None and not self._is_closing:
            self._close(self._made)
        self._is_closing = True

    def info(self) -> str:
        return "is being made" if self._made is None else self._made.info()

    def can_handle_request(self, origin: httpcore2.Origin) -> bool:
        return origin == self._origin

    def is_connected(self) -> bool:
        return self._made is not None and self._made.is_connected()

    def is_available(self) -> bool:
        """Also while it is made: it may turn out to take many requests."""
        return self._failure is None if self._made is None else self._made.is_available()

    def has_expired(self) -> bool:
        return self._failure is not None if self._made is None else self._made.has_expired()

    def is_idle(self) -> bool:
        return self._failure is not None if self._made is None else self._made.is_idle()

    def can_multiplex(self) -> bool:
        return self._made is not None and self._made.can_multiplex()

    def is_closed(self) -> bool:
        return self._failure is not None if self._made is None else self._made.is_closed()


class _Parting(httpcore2.AsyncNetworkStream):
    """Of HTTP/1.1, which ends within a request: after an answer that is the last, or when there is no time left for one."""

    def __init__(self, stream: httpcore2.AsyncNetworkStream, close: Callable[[_Open], None]) -> None:
        self._stream = stream
        self._close = close

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 -- httpcore2's signature
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 -- httpcore2's signature
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        """Without waiting."""
        self._close(self._stream)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
