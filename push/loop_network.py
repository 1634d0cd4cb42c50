"""Connections of httpx2 straight on the event loop's own transports.

The backend that comes with it goes through anyio, which encrypts in Python and opens a cancel scope for each read and
write: together more than half of what a push costs. Here what is written within one turn of the loop goes out
together, which matters to HTTP/2, where many pushes share a connection.
"""

import asyncio
import ssl
from collections.abc import Iterable
from typing import Any, Final, cast

import httpcore2

# Of what has come and nobody has read; then the other side waits.
_MOST_BUFFERED: Final = 256 * 1024
# Of what is to go out: with so much the other side can begin.
_TOGETHER: Final = 8 * 1024
# How long the end of a connection waits for the other side; it is cut off then.
_GOODBYE_S: Final = 1.0


class LoopNetwork(httpcore2.AsyncNetworkBackend):
    """To addresses, not names: nothing is resolved here."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 -- httpcore2's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002 -- asyncio sets TCP_NODELAY, and we want no more
    ) -> httpcore2.AsyncNetworkStream:
        """Raises: httpcore2.ConnectError, httpcore2.ConnectTimeout."""
        loop = asyncio.get_running_loop()
        source = None if local_address is None else (local_address, 0)
        try:
            async with asyncio.timeout(timeout):
                transport, link = await loop.create_connection(_Link, host, port, local_addr=source)
        except TimeoutError:
            raise httpcore2.ConnectTimeout(f"no connection to {host} in time") from None
        except OSError as error:
            raise httpcore2.ConnectError(str(error)) from None
        return _Stream(transport, link)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Link(asyncio.Protocol):
    """What has come in, what is to go out, and whether the connection is still there."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._came = bytearray()
        self._outgoing = bytearray()
        self._is_over = False
        self._lost: Exception | None = None
        self._news: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self.gone = asyncio.Event()
        self._is_paused = False
        self._is_full = False

    # -- called by the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A second time after TLS has begun: with the transport that encrypts."""
        # Those of uvloop are no asyncio.Transport by their class.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._came += data
        if len(self._came) > _MOST_BUFFERED and self._transport is not None and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()
        _set(self._news)

    def eof_received(self) -> bool:
        self._is_over = True
        _set(self._news)
        _set(self._room)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_over = True
        self._lost = exc
        self.gone.set()
        _set(self._news)
        _set(self._room)

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        _set(self._room)

    # -- called by the stream

    @property
    def is_over(self) -> bool:
        return self._is_over

    @property
    def has_more(self) -> bool:
        """Whether something has come that was not read."""
        return bool(self._came)

    async def read(self, most: int, timeout: float | None) -> bytes:  # noqa: ASYNC109 -- of one read
        """Empty at the end. Raises: TimeoutError, OSError."""
        if not self._came and not self._is_over:
            self._news = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(timeout):
                    await self._news
            finally:
                self._news = None
        if not self._came and self._lost is not None:
            raise self._lost
        taken = bytes(self._came[:most])
        del self._came[:most]
        if self._is_paused and self._transport is not None and len(self._came) <= _MOST_BUFFERED:
            self._is_paused = False
            self._transport.resume_reading()
        return taken

    async def write(self, data: bytes, timeout: float | None) -> None:  # noqa: ASYNC109 -- of one write
        """Raises: TimeoutError, OSError."""
        if self._is_over:
            raise self._lost or ConnectionResetError("the connection was closed")
        loop = asyncio.get_running_loop()
        if not self._outgoing:
            loop.call_soon(self.flush)
        self._outgoing += data
        if len(self._outgoing) >= _TOGETHER:
            self.flush()
        while self._is_full and not self._is_over:
            if self._room is None or self._room.done():
                self._room = loop.create_future()
            async with asyncio.timeout(timeout):
                await asyncio.shield(self._room)

    def flush(self) -> None:
        if self._outgoing and self._transport is not None and not self._transport.is_closing():
            self._transport.write(bytes(self._outgoing))
        self._outgoing.clear()


class _Stream(httpcore2.AsyncNetworkStream):
    def __init__(self, transport: asyncio.Transport, link: _Link) -> None:
        self._transport = transport
        self._link = link

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 -- httpcore2's signature
        """Raises: httpcore2.ReadTimeout, httpcore2.ReadError."""
        try:
            return await self._link.read(max_bytes, timeout)
        except TimeoutError:
            raise httpcore2.ReadTimeout("nothing came in time") from None
        except OSError as error:
            raise httpcore2.ReadError(str(error)) from None

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 -- httpcore2's signature
        """Raises: httpcore2.WriteTimeout, httpcore2.WriteError."""
        if not buffer:
            return
        try:
            await self._link.write(buffer, timeout)
        except TimeoutError:
            raise httpcore2.WriteTimeout("it does not read") from None
        except OSError as error:
            raise httpcore2.WriteError(str(error)) from None

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 -- httpcore2's signature
    ) -> httpcore2.AsyncNetworkStream:
        """Raises: httpcore2.ConnectError, httpcore2.ConnectTimeout."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                encrypting = await loop.start_tls(
                    self._transport, self._link, ssl_context, server_hostname=server_hostname
                )
        except TimeoutError:
            self._transport.abort()
            raise httpcore2.ConnectTimeout("no TLS in time") from None
        except (ssl.SSLError, OSError) as error:
            self._transport.abort()
            raise httpcore2.ConnectError(str(error)) from None
        if encrypting is None:
            raise httpcore2.ConnectError("the connection was closed")
        self._link.connection_made(encrypting)
        return _Stream(encrypting, self._link)

    async def aclose(self) -> None:
        """Returns once the socket is closed: whoever ends the loop next leaves nothing open."""
        self._link.flush()
        if self._link.is_over:
            self._transport.abort()
        else:
            self._transport.close()
        try:
            async with asyncio.timeout(_GOODBYE_S):
                await self._link.gone.wait()
        except TimeoutError:
            # A side that does not answer would keep the connection in this process.
            self._transport.abort()

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            # Of an idle connection: whatever comes then is its end, or nothing that was asked for, such as a 408 before the end.
            return self._link.is_over or self._link.has_more
        return self._transport.get_extra_info(
            {"client_addr": "sockname", "server_addr": "peername"}.get(info, info)
        )


def _set(waiting: "asyncio.Future[None] | None") -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)
