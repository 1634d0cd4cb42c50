"""A raw MQTT client: it sends what it is told, right or wrong, and hands over what it gets."""

import asyncio
import contextlib
from contextlib import suppress
from typing import Any, TypeVar

from broker.mqtt import packets as p
from broker.mqtt.codec import encode
from broker.mqtt.parser import Parser, TopicMemory

T = TypeVar("T")
WAIT = 60.0


class Closed(Exception):  # noqa: N818 -- an event, and only here an exception
    """The server closed the connection."""


class RawClient:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self._parser = Parser(1 << 24, TopicMemory())
        self._ready: list[Any] = []
        self._next_id = 0
        self.present = False
        self.level = p.LEVEL_311
        self.connack: p.Connack | None = None

    @classmethod
    async def open(cls, port: int) -> "RawClient":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    @classmethod
    async def connect(cls, port: int, client_id: str, **fields: Any) -> "RawClient":
        """Connected, at `level` 4 or 5; fails on any other answer."""
        client = await cls.open(port)
        answer = await client.login(client_id, **fields)
        assert answer.code == 0, answer
        client.present = answer.session_present
        return client

    async def login(self, client_id: str, **fields: Any) -> p.Connack:
        await self.send(p.Connect(client_id, **fields))
        self.connack = await self.expect(p.Connack)
        return self.connack

    async def send(self, *packets: Any) -> None:
        """A CONNECT sets the level of all that follows, as it does at the server."""
        for one in packets:
            if isinstance(one, p.Connect):
                self.level = self._parser.level = one.level
        await self.raw(
            b"".join(one if isinstance(one, bytes) else encode(one, self.level) for one in packets)
        )

    async def raw(self, data: bytes) -> None:
        """As much of it as the server takes: it may close the connection over the beginning of it."""
        self.writer.write(data)
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()

    async def next(self, wait: float = WAIT) -> Any:
        """The next packet. Raises: Closed, TimeoutError."""
        while not self._ready:
            try:
                data = await asyncio.wait_for(self._reader.read(65_536), wait)
            except ConnectionError:
                raise Closed from None
            if not data:
                raise Closed
            self._ready += self._parser.feed(data)
        return self._ready.pop(0)

    async def expect(self, kind: type[T]) -> T:
        packet = await self.next()
        assert isinstance(packet, kind), packet
        return packet

    async def publishes(self, count: int, *, ack: bool = True) -> list[p.Publish]:
        """The next `count` messages, acknowledged if they want to be."""
        found = []
        while len(found) < count:
            packet = await self.next()
            if isinstance(packet, p.Publish):
                found.append(packet)
                if ack and packet.qos == 1:
                    await self.send(p.Puback(packet.packet_id))
        return found

    async def subscribe(self, *filters: tuple[str, int]) -> bytes:
        """The return codes."""
        packet_id = self.take_id()
        await self.send(p.Subscribe(packet_id, filters))
        answer = await self.expect(p.Suback)
        assert answer.packet_id == packet_id
        return answer.codes

    async def unsubscribe(self, *filters: str) -> None:
        packet_id = self.take_id()
        await self.send(p.Unsubscribe(packet_id, filters))
        answer = await self.expect(p.Unsuback)
        assert answer.packet_id == packet_id
        assert all(code < p.FAILED for code in answer.codes)

    async def publish(self, topic: str, payload: bytes = b"x", qos: int = 0, *, retain: bool = False) -> None:
        """And wait until the server has it, whatever the QoS."""
        if qos == 0:
            await self.send(p.Publish(topic, payload, 0, retain))
            await self.ping()
            return
        packet_id = self.take_id()
        await self.send(p.Publish(topic, payload, qos, retain, packet_id=packet_id))
        first: p.Puback | p.Pubrec = await self.expect(p.Puback if qos == 1 else p.Pubrec)  # type: ignore[arg-type]
        assert first.packet_id == packet_id
        assert first.reason < p.FAILED
        if qos == 2:
            await self.send(p.Pubrel(packet_id))
            assert await self.expect(p.Pubcomp) == p.Pubcomp(packet_id)

    async def ping(self) -> None:
        """Returns when the server has handled all before, and sent nothing else first."""
        await self.send(p.Pingreq())
        await self.expect(p.Pingresp)

    async def until_pong(self) -> list[Any]:
        """All that the server sends before it answers a ping."""
        await self.send(p.Pingreq())
        found = []
        while not isinstance(packet := await self.next(), p.Pingresp):
            found.append(packet)
        return found

    async def closed(self, wait: float = WAIT) -> list[Any]:
        """What still came until the server closed the connection. Raises: TimeoutError if it did not."""
        found = []
        try:
            while True:
                found.append(await self.next(wait))
        except Closed:
            return found

    def take_id(self) -> int:
        self._next_id += 1
        return self._next_id

    async def disconnect(self) -> None:
        await self.send(p.Disconnect())
        await self.closed()
        await self.close()

    async def close(self) -> None:
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()

    def cut(self) -> None:
        """As when the cable is pulled, seen from the server: no DISCONNECT."""
        self.writer.transport.abort()
