"""The other end of an HTTP/2 connection, without a network: what is written to it is understood at once."""

import asyncio
from contextlib import suppress

import h2.config
import h2.connection
import h2.events
import h2.settings
import httpcore2
from hyperframe.frame import GoAwayFrame


class H2Peer(httpcore2.AsyncNetworkStream):
    """A server that a test speaks for. `asked` are the streams of whole requests, in their order."""

    def __init__(self, **settings: int) -> None:
        self.http = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding=None)
        )
        self.http.local_settings = h2.settings.Settings(
            client=False,
            initial_values={h2.settings.SettingCodes[name.upper()]: n for name, n in settings.items()},
        )
        self.asked: list[int] = []
        self.headers: dict[int, list[tuple[bytes, bytes]]] = {}
        self.bodies: dict[int, bytes] = {}
        self.reset: list[int] = []
        self.is_closed = False
        self.writes: list[bytes] = []
        self.acknowledges = True
        self.refuses = False
        # It takes what is written, and nobody who writes comes back before his time is over.
        self.is_full = False
        self._came: asyncio.Queue[bytes] = asyncio.Queue()
        self._news = asyncio.Event()

    # -- the test's side

    def greet(self) -> None:
        self.http.initiate_connection()
        self.flush()

    def flush(self) -> None:
        if data := self.http.data_to_send():
            self.say(data)

    def say(self, data: bytes) -> None:
        self._came.put_nowait(data)

    def answer(self, stream_id: int, status: int = 201, body: bytes = b"", *, is_all: bool = True) -> None:
        self.http.send_headers(stream_id, [(":status", str(status))], end_stream=is_all and not body)
        if body:
            self.http.send_data(stream_id, body, end_stream=is_all)
        self.flush()

    def go_away(self, last_stream_id: int, error: int = 0, said: bytes = b"") -> None:
        """A word of which h2 need not know."""
        frame = GoAwayFrame(
            stream_id=0, last_stream_id=last_stream_id, error_code=error, additional_data=said
        )
        self.say(frame.serialize())

    def close(self) -> None:
        self._came.put_nowait(b"")

    async def until(self, condition) -> None:
        """Looked at after each thing that comes."""
        async with asyncio.timeout(10):
            while not condition():
                self._news.clear()
                await self._news.wait()

    # -- httpcore2.AsyncNetworkStream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002, ASYNC109 -- httpcore2's signature
        return await self._came.get()

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 -- httpcore2's signature
        if self.refuses:
            raise httpcore2.WriteError("the connection was closed")
        self.writes.append(buffer)
        for event in self.http.receive_data(buffer):
            match event:
                case h2.events.RequestReceived(stream_id=stream_id, headers=headers):
                    self.headers[stream_id] = list(headers)
                    self.bodies[stream_id] = b""
                case h2.events.DataReceived(stream_id=stream_id, data=data, flow_controlled_length=length):
                    self.bodies[stream_id] += data
                    if self.acknowledges:
                        self.http.acknowledge_received_data(length, stream_id)
                case h2.events.StreamEnded(stream_id=stream_id):
                    self.asked.append(stream_id)
                case h2.events.StreamReset(stream_id=stream_id):
                    self.reset.append(stream_id)
        self.flush()
        self._news.set()
        if self.is_full:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await asyncio.get_running_loop().create_future()
            raise httpcore2.WriteTimeout("it does not read")

    async def aclose(self) -> None:
        self.is_closed = True
        self._news.set()
