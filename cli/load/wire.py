"""One connection of a load generator, with as little work for each packet as Python can do.

The generator runs beside the server that it measures, often on the same cores, so it has its own few lines of
MQTT 3.1.1 instead of a client library's thousands: it knows only what this server sends to it.
"""

import asyncio
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

_PUBLISH, _PUBACK, _CONNACK, _SUBACK = 3, 4, 2, 9
_REFUSED = 0x80
# Longer than any measurement: who only listens at QoS 0 says nothing.
_KEEP_ALIVE_S = 900
_PATIENCE_S = 60.0


class LoadError(Exception):
    """The generator cannot do its work; the text says why."""


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a device connects as."""

    user: str
    device: str
    secret: str


def string(text: str) -> bytes:
    raw = text.encode()
    return struct.pack(">H", len(raw)) + raw


def packet(first: int, body: bytes) -> bytes:
    """A control packet: the first byte, the remaining length, the rest."""
    size, head = len(body), bytearray([first])
    while True:
        digit, size = size & 127, size >> 7
        head.append(digit | 128 if size else digit)
        if not size:
            return bytes(head) + body


class Device(asyncio.Protocol):
    """CONNECT, SUBSCRIBE, then `published` and `acknowledged` as packets come.

    Attributes:
        ready: done when the subscriptions stand; LoadError if they, or the login, are refused.
        lost: the connection went before `close` was called.
    """

    def __init__(
        self, person: Person, topics: Sequence[tuple[str, int]], *, clean: bool = True, suffix: str = ""
    ) -> None:
        """`topics` are filters and their QoS. `clean` False asks for a persistent session; a `suffix` makes a
        second connection of the same device.
        """
        self.person = person
        flags = 0xC2 if clean else 0xC0
        self._hello = packet(
            0x10,
            string("MQTT")
            + bytes([4, flags])
            + struct.pack(">H", _KEEP_ALIVE_S)
            + string(f"{person.user}:{person.device}" + (f":{suffix}" if suffix else ""))
            + string(person.user)
            + string(person.secret),
        )
        self._subscribe = packet(
            0x82, b"\x00\x01" + b"".join(string(topic) + bytes([qos]) for topic, qos in topics)
        )
        self._wants = bool(topics)
        self._buffer = b""
        self._packet_id = 0
        self._up = string(f"pabal/v1/up/{person.user}/{person.device}")
        self._closing = False
        self.lost = False
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport = cast("asyncio.Transport", None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self._hello)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = not self._closing
        self._fail(f"the connection of {self.person.user} was closed" + (f": {exc}" if exc else ""))

    def close(self) -> None:
        self._closing = True
        if self.transport is not None:
            self.transport.close()

    def request(self, payload: bytes) -> bytes:
        """A PUBLISH of a request at QoS 1, to be written by the caller."""
        self._packet_id = self._packet_id % 65_535 + 1
        return packet(0x32, self._up + struct.pack(">H", self._packet_id) + payload)

    # One flat loop: it runs for every packet of the measurement.
    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        at, end = 0, len(buffer)
        answers: list[bytes] = []
        while end - at >= 2:  # noqa: PLR2004 -- the shortest packet
            size, shift, body = 0, 0, at + 1
            while body < end:
                digit = buffer[body]
                size |= (digit & 127) << shift
                shift += 7
                body += 1
                if not digit & 128:
                    break
            else:
                break
            if end - body < size:
                break
            kind = buffer[at] >> 4
            if kind == _PUBLISH:
                length = buffer[body] << 8 | buffer[body + 1]
                payload_at = body + 2 + length
                if buffer[at] & 6:
                    answers.append(b"\x40\x02" + buffer[payload_at : payload_at + 2])
                    payload_at += 2
                self.published(buffer[payload_at : body + size])
            elif kind == _PUBACK:
                self.acknowledged()
            else:
                self._other(kind, buffer[body : body + size])
            at = body + size
        self._buffer = buffer[at:]
        if answers:
            self.transport.write(b"".join(answers))

    def _other(self, kind: int, body: bytes) -> None:
        user = self.person.user
        if kind == _CONNACK:
            if body[1]:
                self._fail(f"the server did not let {user} in: code {body[1]}")
            elif self._wants:
                self.transport.write(self._subscribe)
            else:
                self._begin()
        elif kind == _SUBACK:
            if _REFUSED in body[2:]:
                self._fail(f"a subscription of {user} was refused")
            else:
                self._begin()

    def _begin(self) -> None:
        if not self.ready.done():
            self.ready.set_result(None)

    def _fail(self, why: str) -> None:
        if not self.ready.done():
            self.ready.set_exception(LoadError(why))

    def published(self, payload: bytes) -> None:
        """A PUBLISH came; it is acknowledged behind this call."""

    def acknowledged(self) -> None:
        """A PUBACK came."""


async def connect(devices: Iterable[Device], host: str, port: int, *, at_once: int = 50) -> None:
    """Connect all, a few at a time. Returns when all subscriptions stand.

    Raises: LoadError for the first that is refused or not answered within a minute; OSError.
    """
    loop, waiting = asyncio.get_running_loop(), iter(devices)

    async def some() -> None:
        for device in waiting:
            await loop.create_connection(lambda device=device: device, host, port)  # type: ignore[misc]
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    await device.ready
            except TimeoutError:
                raise LoadError(f"{device.person.user} was not answered in time") from None

    tasks = [loop.create_task(some()) for _ in range(at_once)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
