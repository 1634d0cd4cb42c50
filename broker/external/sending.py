"""What goes to another broker, in order: publishes under a window, and the acknowledgements of what came from it.

An acknowledgement waits behind the replies that were given before it. So a broker that has taken it, and does not
bring the request again, has taken the reply too.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

# Unacknowledged publishes. More of them make nothing faster: the broker answers in the order in which it reads.
WINDOW: Final = 1_000
# Beyond this what is kept elsewhere is not queued here: updates stay in the outbox, requests are sent again.
MOST_QUEUED: Final = 20_000
MOST_QUEUED_BYTES: Final = 64 * 1024 * 1024

OnDone = Callable[[], None]


class Wire(Protocol):
    """What is asked of a link."""

    def publish(self, topic: str, payload: bytes, qos: int, *, retain: bool = False) -> int: ...

    def acknowledge(self, packet_id: int) -> None: ...


class _Entry(NamedTuple):
    """A publish; without a topic, the acknowledgement of a packet."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    done: OnDone | None
    packet_id: int = 0


class Sending:
    """The queue to one link after the other. Between two of them it is empty, and what is put into it is lost."""

    def __init__(
        self, *, window: int = WINDOW, most: int = MOST_QUEUED, most_bytes: int = MOST_QUEUED_BYTES
    ) -> None:
        self._widest = window
        self._window = window
        self._most = most
        self._most_bytes = most_bytes
        self._wire: Wire | None = None
        self._queue: deque[_Entry] = deque()
        self._bytes = 0
        self._in_flight: dict[int, OnDone | None] = {}
        self._room = asyncio.Event()

    def attach(self, wire: Wire, window: int) -> None:
        """From here on to this link; it takes so many unacknowledged publishes."""
        self._wire = wire
        self._room.set()
        self._window = max(1, min(self._widest, window))

    def detach(self) -> None:
        """The link is gone, and with it all that was on its way; nobody is told of it."""
        self._wire = None
        self._queue.clear()
        self._bytes = 0
        self._in_flight.clear()
        self._room.clear()

    async def room(self) -> None:
        """Returns when there is a link, and not too much waits for it."""
        if self._wire is not None and not self.is_full:
            return
        self._room.clear()
        await self._room.wait()

    @property
    def attached(self) -> bool:
        return self._wire is not None

    @property
    def queued(self) -> int:
        return len(self._queue)

    @property
    def in_flight(self) -> int:
        return len(self._in_flight)

    @property
    def idle(self) -> bool:
        """Everything was sent and acknowledged."""
        return not self._queue and not self._in_flight

    @property
    def is_full(self) -> bool:
        return len(self._queue) >= self._most or self._bytes >= self._most_bytes

    def publish(
        self,
        topic: str,
        payload: bytes,
        qos: int,
        *,
        retain: bool = False,
        done: OnDone | None = None,
        must: bool = False,
    ) -> bool:
        """In its turn. `done` is called once the broker has acknowledged it (QoS 1). Returns False, and it is not
        sent, while there is no link or too much waits; with `must` the caller has looked whether there is room.
        """
        wire = self._wire
        if wire is None:
            return False
        if not self._queue and (qos == 0 or len(self._in_flight) < self._window):
            self._send(wire, topic, payload, qos, retain, done)
            return True
        if self.is_full and not must:
            return False
        self._queue.append(_Entry(topic, payload, qos, retain, done))
        self._bytes += len(payload)
        return True

    def acknowledge(self, packet_id: int) -> None:
        """Of a message that the broker sent, behind all that was published before."""
        if self._wire is None:
            return
        if self._queue:
            self._queue.append(_Entry("", b"", 0, retain=False, done=None, packet_id=packet_id))
        else:
            self._wire.acknowledge(packet_id)

    def acknowledged(self, packet_id: int) -> None:
        """The broker has a publish."""
        try:
            done = self._in_flight.pop(packet_id)
        except KeyError:
            return  # at QoS 0, of which paho tells as well
        if done is not None:
            done()
        self._pump()

    def _pump(self) -> None:
        wire, queue = self._wire, self._queue
        while wire is not None and queue:
            entry = queue[0]
            if entry.qos and len(self._in_flight) >= self._window:
                break
            queue.popleft()
            self._bytes -= len(entry.payload)
            if entry.topic:
                self._send(wire, entry.topic, entry.payload, entry.qos, entry.retain, entry.done)
            else:
                wire.acknowledge(entry.packet_id)
        if len(queue) <= self._most // 2:
            self._room.set()

    def _send(
        self, wire: Wire, topic: str, payload: bytes, qos: int, retain: bool, done: OnDone | None
    ) -> None:
        packet_id = wire.publish(topic, payload, qos, retain=retain)
        if qos:
            self._in_flight[packet_id] = done
