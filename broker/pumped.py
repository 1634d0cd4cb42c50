"""Transports for connections that are not plain sockets: two tasks pump between asyncio streams and a connection."""

import asyncio
from abc import abstractmethod
from typing import Any, Final

from amqtt.adapters import ReaderAdapter, WriterAdapter
from amqtt.errors import NoDataError

from broker.connection import Connection

_LOW: Final = 16 * 1024


class Closed(Exception):  # noqa: N818 -- named like the refusals of pabal.errors
    """The other side is gone."""


class PumpedTransport(asyncio.Transport):
    """What a connection needs of a transport. `run` owns both tasks and ends when either does."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._high = 64 * 1024
        self._paused = False
        self._closing = False
        self._wake = asyncio.Event()
        self._reading = asyncio.Event()
        self._reading.set()

    @abstractmethod
    async def receive(self) -> bytes:
        """Some bytes, perhaps none. Raises: Closed."""

    @abstractmethod
    async def send(self, data: bytes) -> None:
        """Returns when more may be sent. Raises: Closed."""

    @abstractmethod
    async def finish(self) -> None:
        """Close, after what was sent."""

    @abstractmethod
    def cut(self) -> None:
        """Close at once."""

    async def run(self) -> None:
        """From the first byte until either side closes."""
        self._connection.begin(self)
        writer = asyncio.create_task(self._write_all())
        reader = asyncio.create_task(self._read_all())
        try:
            await asyncio.wait({reader, writer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._closing = True
            for task in (reader, writer):
                task.cancel()
            await asyncio.gather(reader, writer, return_exceptions=True)
            self._connection.connection_lost(None)

    async def _read_all(self) -> None:
        try:
            while True:
                await self._reading.wait()
                data = await self.receive()
                if data and not self._closing:
                    self._connection.data_received(data)
        except Closed:
            return

    async def _write_all(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._out:
                    data = b"".join(self._out)
                    self._out.clear()
                    await self.send(data)
                    self._out_bytes -= len(data)
                    if self._paused and self._out_bytes <= _LOW:
                        self._paused = False
                        self._connection.resume_writing()
                if self._closing:
                    await self.finish()
                    return
        except Closed:
            return

    def write(self, data: Any) -> None:
        if self._closing:
            return
        self._out.append(bytes(data))
        self._out_bytes += len(data)
        self._wake.set()
        if not self._paused and self._out_bytes > self._high:
            self._paused = True
            self._connection.pause_writing()

    def close(self) -> None:
        self._closing = True
        self._wake.set()

    def abort(self) -> None:
        self._closing = True
        self.cut()

    def can_write_eof(self) -> bool:
        return False

    def is_closing(self) -> bool:
        return self._closing

    def pause_reading(self) -> None:
        self._reading.clear()

    def resume_reading(self) -> None:
        self._reading.set()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:  # noqa: ARG002 -- asyncio's
        self._high = high or self._high

    def get_write_buffer_size(self) -> int:
        return self._out_bytes


class AdapterTransport(PumpedTransport):
    """Over amqtt's adapters: listeners of type `external`, served by somebody else's server."""

    def __init__(
        self, reader: ReaderAdapter, writer: WriterAdapter, connection: Connection, *, limit: int
    ) -> None:
        super().__init__(connection)
        self._reader = reader
        self._writer = writer
        self._limit = limit

    async def receive(self) -> bytes:
        """One packet: an adapter's `read` waits for exactly as many bytes as it is asked for."""
        head = await self._read(2)
        while head[-1] & 0x80 and len(head) < 5:  # noqa: PLR2004 -- a remaining length has four bytes
            head += await self._read(1)
        size = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(head[1:]))
        if size == 0 or size > self._limit:
            return head  # the parser refuses what is too large
        return head + await self._read(size)

    async def _read(self, count: int) -> bytes:
        try:
            data = await self._reader.read(count)
        except (OSError, EOFError, NoDataError):
            raise Closed from None
        if len(data) < count:
            raise Closed
        return data

    async def send(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError:
            raise Closed from None

    async def finish(self) -> None:
        await self._writer.close()

    def cut(self) -> None:
        # `run` ends with its writer, and the adapter is closed behind it.
        self._out.clear()
        self._wake.set()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "peername":
            return self._writer.get_peer_info() or default
        if name == "ssl_object":
            return self._writer.get_ssl_info() or default
        return default
