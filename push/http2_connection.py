"""HTTP/2 for pushes, by h2: many small requests at once over one connection, each answered in few words."""

import asyncio
import time
from contextlib import suppress
from typing import Final

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
import httpcore2

from push.exchange import Exchange, name_of
from push.goaway import Farewells, GoAway
from push.header_encoder import HeaderEncoder

# Requests at once, even if the server would take more.
_AT_ONCE: Final = 100
_READ_BYTES: Final = 64 * 1024
_MOST_HEADERS: Final = 64 * 1024
# Of what comes after the last request, without the bodies of answers: a flood of PING or SETTINGS would keep this side busy
# for as long as the other likes.
_MOST_SAID: Final = 256 * 1024
# Of each answer that is waited for; they may all come after the last request.
_HEAD_BYTES: Final = 16 * 1024
# Of a write that nobody waits for.
_SHORT_S: Final = 5.0
_BROKEN: Final = (httpcore2.NetworkError, httpcore2.TimeoutException, httpcore2.ProtocolError)


class Http2Connection(httpcore2.AsyncConnectionInterface):
    """For a pool of httpcore2, in place of its own one, which costs a push twice as much, and gives up what is under way
    when a server wants to end a connection in peace: it would be sent once more.

    `stream` keeps the order of what is written, also by those who do not wait for each other, and sends nothing of what it
    refuses.
    """

    def __init__(
        self, origin: httpcore2.Origin, stream: httpcore2.AsyncNetworkStream, keep_alive_s: float
    ) -> None:
        self._origin = origin
        self._stream = stream
        self._keep_alive_s = keep_alive_s
        # Our headers are in lower case, and none of them is of the connection.
        self._h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(validate_inbound_headers=False, normalize_outbound_headers=False)
        )
        self._h2.encoder = HeaderEncoder()
        self._farewells = Farewells()
        self._exchanges: dict[int, Exchange] = {}
        # One, until the server has said how many: Apple takes no more before it knows a token.
        self._at_once = 1
        self._said = 0
        self._news: asyncio.Future[None] | None = None
        self._heard_at = self._idle_since = time.monotonic()
        self._is_leaving = False
        self._is_closed = False
        self._reading: asyncio.Task[None] | None = None

    async def open(self, timeout_s: float) -> None:
        """Raises: httpcore2.WriteTimeout, httpcore2.WriteError."""
        self._h2.local_settings = h2.settings.Settings(
            client=True,
            initial_values={
                h2.settings.SettingCodes.ENABLE_PUSH: 0,
                # Of the server's own, which are of no use: h2 would keep each of them. With 0 it would take what comes late
                # on one of ours that was given up for one of them.
                h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 1,
                h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: _MOST_HEADERS,
            },
        )
        # Nothing of WebSocket is wanted, and some servers take offence at the word.
        del self._h2.local_settings[h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL]
        self._h2.initiate_connection()
        await self._flush(timeout_s)
        self._reading = asyncio.create_task(self._read())

    async def handle_async_request(self, request: httpcore2.Request) -> httpcore2.Response:
        """Raises: httpcore2.ConnectionNotAvailable if the server has not looked at it, and another connection may be tried;
        httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError.
        """
        timeouts = request.extensions["timeout"]
        content = b"".join([chunk async for chunk in request.stream])  # type: ignore[union-attr]  # of an async request
        stream_id, exchange = await self._begin(timeouts["pool"])
        try:
            self._ask(stream_id, request, is_all=not content)
            await self._send(exchange, stream_id, content, timeouts["write"])
            await self._answer(exchange, timeouts["read"])
        except httpcore2.WriteTimeout:
            # The next one would fare no better here.
            self._is_leaving = True
            raise
        finally:
            await self._end(stream_id)
        return exchange.response()

    # -- one request

    async def _begin(self, timeout_s: float) -> tuple[int, Exchange]:
        """Raises: httpcore2.ConnectionNotAvailable, httpcore2.PoolTimeout."""
        if len(self._exchanges) >= self._at_once:
            await self._room(timeout_s)
        if self._is_leaving:
            raise httpcore2.ConnectionNotAvailable
        try:
            stream_id = self._h2.get_next_available_stream_id()
        except h2.exceptions.NoAvailableStreamIDError:
            self._is_leaving = True
            raise httpcore2.ConnectionNotAvailable from None
        self._said = -_HEAD_BYTES * len(self._exchanges)
        exchange = self._exchanges[stream_id] = Exchange(asyncio.get_running_loop().create_future())
        return stream_id, exchange

    async def _room(self, timeout_s: float) -> None:
        """Raises: httpcore2.PoolTimeout."""
        try:
            async with asyncio.timeout(timeout_s):
                while len(self._exchanges) >= self._at_once and not self._is_leaving:
                    await self._hear()
        except TimeoutError:
            if not self._at_once:
                # It takes none at all.
                self._is_leaving = True
                self._tell()
            raise httpcore2.PoolTimeout("the server takes no more requests") from None

    def _ask(self, stream_id: int, request: httpcore2.Request, *, is_all: bool) -> None:
        """Raises: httpcore2.LocalProtocolError."""
        try:
            self._h2.send_headers(stream_id, _headers(request), end_stream=is_all)
        except h2.exceptions.H2Error as error:
            # The stream is open here, and the server never hears of it.
            self._is_leaving = self._exchanges[stream_id].is_over = True
            raise httpcore2.LocalProtocolError(str(error)) from None

    async def _send(self, exchange: Exchange, stream_id: int, content: bytes, timeout_s: float) -> None:
        """As far as the server wants it before it answers."""
        at = self._pour(stream_id, content, 0)
        exchange.is_sent = at == len(content)
        try:
            await self._flush(timeout_s)
        except httpcore2.WriteError:
            # It was closed a moment ago, and nothing of this has left.
            self._is_leaving = True
            raise httpcore2.ConnectionNotAvailable from None
        while not (exchange.is_sent or exchange.answered.done()):
            try:
                async with asyncio.timeout(timeout_s):
                    await self._hear()
            except TimeoutError:
                raise httpcore2.WriteTimeout("the server takes nothing in") from None
            if not exchange.answered.done():
                at = self._pour(stream_id, content, at)
                exchange.is_sent = at == len(content)
                await self._flush(timeout_s)

    def _pour(self, stream_id: int, content: bytes, at: int) -> int:
        """As much as there is room for. Returns where the rest begins."""
        while at < len(content) and (room := self._window(stream_id)) > 0:
            piece = content[at : at + room]
            at += len(piece)
            self._h2.send_data(stream_id, piece, end_stream=at == len(content))
        return at

    def _window(self, stream_id: int) -> int:
        return min(self._h2.local_flow_control_window(stream_id), self._h2.max_outbound_frame_size)

    async def _answer(self, exchange: Exchange, timeout_s: float) -> None:
        began = time.monotonic()
        try:
            async with asyncio.timeout(timeout_s):
                await exchange.answered
        except TimeoutError:
            if self._heard_at < began:
                # Not a word to anybody: the way there may be broken, and others should not go it.
                self._is_leaving = True
            raise httpcore2.ReadTimeout("no answer in time") from None

    async def _end(self, stream_id: int) -> None:
        exchange = self._exchanges.pop(stream_id)
        self._idle_since = time.monotonic()
        self._tell()
        if not (exchange.is_over or self._is_closed):
            with suppress(h2.exceptions.ProtocolError, *_BROKEN):
                self._h2.reset_stream(stream_id, h2.errors.ErrorCodes.CANCEL)
                # To count them makes h2 forget those that are closed: of one that it still has, a late 1xx is an error to it
                # that ends the connection.
                _ = self._h2.open_outbound_streams
                # Whoever asked may have no time left to wait for a side that does not read.
                await self._flush(0)

    # -- what comes

    async def _read(self) -> None:
        """Until the connection ends."""
        reason = "the server closed the connection"
        try:
            while data := await self._stream.read(_READ_BYTES):
                self._heard_at = time.monotonic()
                self._receive(data)
                await self._flush(_SHORT_S)
        except Exception as error:  # noqa: BLE001 -- whatever it was, nobody reads on, and those who wait learn of it
            reason = str(error) or type(error).__name__
        self._is_leaving = self._is_closed = True
        for exchange in self._exchanges.values():
            exchange.ends(httpcore2.RemoteProtocolError(reason))
        self._tell()
        with suppress(*_BROKEN):
            # h2 has its say about what was wrong.
            await self._flush(_SHORT_S)
        await self._stream.aclose()

    def _receive(self, data: bytes) -> None:
        """Raises: h2.exceptions.H2Error, NoFrameError; httpcore2.RemoteProtocolError of a flood."""
        self._said += len(data)
        frames, farewells = self._farewells.split(data)
        for event in self._h2.receive_data(frames):
            self._heard(event)
        for one in farewells:
            self._leave(one)
        if self._said > _MOST_SAID:
            raise httpcore2.RemoteProtocolError("the server says more than it was asked")

    def _heard(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RemoteSettingsChanged():
                self._at_once = min(self._h2.remote_settings.max_concurrent_streams, _AT_ONCE)
                self._tell()
            case h2.events.WindowUpdated():
                self._tell()
            case h2.events.DataReceived(stream_id=stream_id, flow_controlled_length=length):
                self._said -= length
                self._h2.acknowledge_received_data(length, stream_id)
        exchange = self._exchanges.get(getattr(event, "stream_id", 0))
        if exchange is not None:
            exchange.hears(event)
            if not exchange.is_sent:
                # Whoever waits to send the rest need not.
                self._tell()

    def _leave(self, word: GoAway) -> None:
        self._is_leaving = True
        for stream_id, exchange in self._exchanges.items():
            if word.error:
                said = f": {word.said}" if word.said else ""
                exchange.ends(
                    httpcore2.RemoteProtocolError(
                        f"the server ended the connection ({name_of(word.error)}){said}"
                    )
                )
            elif stream_id > word.last_stream_id:
                # With one that has looked at nothing, another connection would be no better.
                exchange.ends(
                    httpcore2.ConnectionNotAvailable()
                    if word.last_stream_id
                    else httpcore2.RemoteProtocolError("the server ended the connection")
                )
        self._tell()

    # -- between the two

    async def _hear(self) -> None:
        """Until something has changed for those who wait."""
        if self._news is None:
            self._news = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._news)

    def _tell(self) -> None:
        if self._news is not None:
            self._news.set_result(None)
            self._news = None

    async def _flush(self, timeout_s: float) -> None:
        """Raises: httpcore2.WriteTimeout, httpcore2.WriteError."""
        if data := self._h2.data_to_send():
            await self._stream.write(data, timeout_s)

    # -- for the pool

    async def aclose(self) -> None:
        if self._reading is None or self._is_closed:
            return
        self._is_leaving = self._is_closed = True
        self._reading.cancel()
        for exchange in self._exchanges.values():
            exchange.ends(httpcore2.ReadError("the connection was closed"))
        self._tell()
        with suppress(h2.exceptions.H2Error, *_BROKEN):
            self._h2.close_connection()
            await self._flush(_SHORT_S)
        await self._stream.aclose()

    def info(self) -> str:
        return f"HTTP/2, {len(self._exchanges)} under way"

    def can_handle_request(self, origin: httpcore2.Origin) -> bool:
        return origin == self._origin

    def can_multiplex(self) -> bool:
        return True

    def is_available(self) -> bool:
        return not self._is_leaving

    def is_idle(self) -> bool:
        return not self._exchanges

    def has_expired(self) -> bool:
        idle_s = time.monotonic() - self._idle_since
        return not self._exchanges and (self._is_leaving or idle_s > self._keep_alive_s)

    def is_closed(self) -> bool:
        return self._is_closed


def _headers(request: httpcore2.Request) -> list[tuple[bytes, bytes]]:
    named = dict(request.headers)
    authority = named.pop(b"host")
    return [
        (b":method", request.method),
        (b":scheme", request.url.scheme),
        (b":authority", authority),
        (b":path", request.url.target),
        *named.items(),
    ]
