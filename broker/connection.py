"""One socket: bytes in, packets to the handler, bytes out. Knows order and bounds, not what packets mean.

Nothing here is a task, a future or a lock: `data_received` parses and handles synchronously. What has to be
awaited (a login, a decision, a commit) *holds* the connection: the packets behind it wait, and the socket is
not read, until all holds are released.
"""

import asyncio
import socket
from collections import deque
from enum import IntFlag
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from broker.mqtt.errors import MqttError
from broker.mqtt.packets import LEVEL_5, Packet, Publish, Will
from broker.mqtt.parser import Parser
from broker.offences import offend
from broker.turns import FREE, cost_of

if TYPE_CHECKING:
    from broker.hub import Hub
    from broker.inflow import Ticket
    from broker.session import Session

_KEEPALIVE_S: Final = 60
# How far acknowledgements may pile up behind a client that does not read, before it is not read either.
_STUCK_FACTOR: Final = 4
# A socket delivers up to 256 KiB at once, which may be 131,072 packets: so much of it is parsed at a time.
_SLICE: Final = 8 * 1024


class Hold(IntFlag):
    """Why the packets of a connection wait."""

    NONE = 0
    LOGIN = 1
    DECISION = 2
    SUBSCRIBING = 4
    UNSETTLED = 8
    STUCK = 16
    TURN = 32


class Handler(Protocol):
    """What a connection tells."""

    def on_packet(self, connection: "Connection", packet: Packet) -> None: ...
    def on_broken(self, connection: "Connection", error: MqttError) -> None: ...
    def on_overdue(self, connection: "Connection") -> None: ...
    def on_lost(self, connection: "Connection") -> None: ...


class Connection(asyncio.Protocol):
    """A transport with its parser and its buffers.

    Attributes:
        session: once the login is good.
        paused: the client does not read as fast as we write.
        open: packets are still taken; False from the first sight of its end.
    """

    __slots__ = (
        "_admitted",
        "_dirty",
        "_gated",
        "_handler",
        "_hub",
        "_out",
        "_out_bytes",
        "_parser",
        "_pending",
        "_running",
        "_sent",
        "_spent",
        "_turn",
        "_unparsed",
        "address",
        "aliases",
        "deadline",
        "hold",
        "keep_alive",
        "listener",
        "offences",
        "open",
        "paused",
        "port",
        "receiving",
        "seen",
        "session",
        "tickets",
        "transport",
        "will",
    )

    transport: asyncio.Transport

    def __init__(self, hub: "Hub", handler: Handler, listener: str, *, gated: bool = False) -> None:
        self._hub = hub
        # Whether somebody else has asked the doorkeeper.
        self._gated = gated
        self._handler = handler
        settings = hub.settings
        self._sent = hub.metrics.sent
        self._parser = Parser(
            settings.max_packet_bytes,
            hub.topic_memory,
            settings.max_connect_bytes,
            counts=hub.metrics.received,
        )
        self._pending: list[Packet | MqttError] | None = None
        # Bytes behind those packets, with the place up to which they are parsed.
        self._unparsed: tuple[bytes, int] | None = None
        self._running = False
        self._admitted = False
        self._turn = -1
        self._spent = 0
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._dirty = False
        self.listener = listener
        self.address = ""
        self.port = 0
        self.session: Session | None = None
        self.will: Will | None = None
        self.tickets: deque[Ticket] | None = None
        self.offences: deque[float] | None = None
        # MQTT 5: the client's names for topics, and what it is sending at QoS 2 on this connection.
        self.aliases: dict[int, str] | None = None
        self.receiving: set[int] | None = None
        self.hold = Hold.NONE
        self.paused = False
        self.open = False
        self.seen = 0.0
        self.keep_alive = 0.0
        # When it is closed if nothing else happens: first for want of a CONNECT, at the end for want of reading.
        self.deadline: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # create_server makes no other, but uvloop's do not inherit from asyncio's.
        self.begin(cast("asyncio.Transport", transport))

    def begin(self, transport: asyncio.Transport) -> None:
        """Also for transports that are no socket of ours."""
        self.transport = transport
        _tune(transport.get_extra_info("socket"))
        peer: Any = transport.get_extra_info("peername")
        if isinstance(peer, tuple):
            self.address, self.port = str(peer[0]), int(peer[1])
        transport.set_write_buffer_limits(high=self._hub.settings.write_buffer_bytes)
        self.open = True
        self.seen = self._hub.now()
        self._hub.connections.add(self)
        self._hub.metrics.connections = len(self._hub.connections)
        self._hub.metrics.sockets += 1
        self.set_deadline(self._hub.settings.connect_timeout)
        self._admitted = not self._gated and self._hub.doorkeeper.enter(self.address, self.seen)
        if not (self._admitted or self._gated) or self._hub.is_full(self.listener):
            self._hub.metrics.connections_refused += 1
            self.shut()

    # -- inbound

    def data_received(self, data: bytes) -> None:
        if not self.open:
            return
        hub = self._hub
        self.seen = hub.wheel.now
        hub.metrics.bytes_in += len(data)
        if self._unparsed is not None:
            # A last read before reading paused, or two: the bytes stay few.
            earlier, at = self._unparsed
            self._unparsed = (earlier[at:] + data, 0)
        elif self.hold:
            self._unparsed = (data, 0)
        else:
            self._parse(data, 0)

    def _parse(self, data: bytes, at: int) -> None:
        """In slices, and no further than it is held."""
        metrics, size = self._hub.metrics, len(data)
        while at < size and self.open:
            if self.hold:
                self._unparsed = (data, at)
                return
            packets = self._parser.feed(data if size <= _SLICE else data[at : at + _SLICE])
            at += _SLICE
            if packets:
                metrics.packets_in += len(packets)
                self._run(packets)

    def _run(self, packets: list[Packet | MqttError]) -> None:
        self._running = True
        try:
            on_packet = self._handler.on_packet
            for place, packet in enumerate(packets):
                if isinstance(packet, MqttError):
                    self._handler.on_broken(self, packet)
                    return
                if not self._may_handle(packet):
                    self._pending = packets[place:]
                    return
                on_packet(self, packet)
                if self.hold or not self.open:
                    rest = packets[place + 1 :]
                    if rest and self.open:
                        # A decision may have put the packet that it is about back in front.
                        self._pending = (self._pending or []) + rest
                    return
        finally:
            self._running = False
            if self.paused and self.open:
                self._check_stuck()

    def _may_handle(self, packet: Packet) -> bool:
        """Whether it is this connection's turn; it waits for that otherwise."""
        turns = self._hub.turns
        turn = turns.begin()
        if turn != self._turn:
            self._turn = turn
            self._spent = 0
        cost = cost_of(packet)
        self._spent += cost
        if self._spent <= FREE or turns.take(self, cost):
            return True
        self.wait(Hold.TURN)
        return False

    def take_turn(self) -> None:
        """It may go on now, for as much as `turns` lets it."""
        self.release(Hold.TURN)

    def wait(self, why: Hold) -> None:
        """Let the packets behind this one wait."""
        if not self.hold and self.open:
            self.transport.pause_reading()
        self.hold |= why

    def put_back(self, packet: Publish) -> None:
        """Handle this packet again when the hold is over."""
        self._pending = [packet, *(self._pending or [])]

    def release(self, why: Hold) -> None:
        """That need not be waited for any longer."""
        self.hold &= ~why
        if self._running:
            return
        while self.open and not self.hold:
            packets, self._pending = self._pending, None
            unparsed = self._unparsed
            if packets is not None:
                self._run(packets)
            elif unparsed is not None:
                self._unparsed = None
                self._parse(*unparsed)
            else:
                self.transport.resume_reading()
                # The time that it spent waiting for us is not the client's silence.
                self.seen = self._hub.wheel.now
                return

    # -- outbound

    def write(self, data: bytes) -> None:
        """A packet (or none), which is counted by its type; it goes out like any other."""
        if data:
            self._sent[data[0] >> 4] += 1
            self.write_frame(data)

    def write_frame(self, data: bytes) -> None:
        """A PUBLISH, which the caller counts. Goes out at the end of this turn of the loop, with everything else."""
        if not self._dirty:
            if not self.open:
                return
            self._dirty = True
            self._hub.mark(self)
        self._out.append(data)
        self._out_bytes += len(data)
        if self._out_bytes > self._hub.settings.write_buffer_bytes:
            self.flush()

    def write_publish(self, head: bytes, packet_id: int, payload: bytes) -> None:
        """A PUBLISH at QoS 1 or 2, in its three parts."""
        if not self._dirty:
            if not self.open:
                return
            self._dirty = True
            self._hub.mark(self)
        self._out += (head, packet_id.to_bytes(2, "big"), payload)
        self._out_bytes += len(head) + len(payload) + 2
        if self._out_bytes > self._hub.settings.write_buffer_bytes:
            self.flush()

    def flush(self) -> None:
        """One write for all that came together; the hub calls it for each connection that it marked."""
        out = self._out
        self._dirty = False
        if not out:
            return
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        self._hub.metrics.bytes_out += self._out_bytes
        self._out_bytes = 0
        if self._hub.on_sent is not None:
            self._hub.on_sent(self, data)
        self.transport.write(data)

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        if self.hold & Hold.STUCK:
            self.release(Hold.STUCK)
        if self.open and self.session is not None:
            self.session.pump()

    def _check_stuck(self) -> None:
        """Acknowledgements are never dropped, so a client that only writes is not read for ever."""
        limit = self._hub.settings.write_buffer_bytes * _STUCK_FACTOR
        if self.transport.get_write_buffer_size() > limit:
            self.wait(Hold.STUCK)

    # -- acknowledgements

    def expect(self, ticket: "Ticket") -> None:
        """This packet's acknowledgement comes later; those behind it wait for it."""
        if self.tickets is None:
            self.tickets = deque()
        self.tickets.append(ticket)
        if len(self.tickets) > self._hub.settings.unsettled_limit:
            self.wait(Hold.UNSETTLED)

    def receive(self, packet_id: int) -> None:
        """The client sends this at QoS 2, and has not released it yet."""
        if self._parser.level < LEVEL_5:
            return  # it is not told how many it may
        if self.receiving is None:
            self.receiving = set()
        self.receiving.add(packet_id)

    def acknowledge(self) -> None:
        """Send the acknowledgements that are due, in order."""
        tickets = self.tickets
        if tickets is None:
            return
        while tickets and (tickets[0].done or tickets[0].connection is not self):
            ticket = tickets.popleft()
            # A QoS 2 packet that was sent again on a newer connection is acknowledged there.
            if ticket.qos and ticket.connection is self:
                self.write(ticket.bytes())
        if self.hold & Hold.UNSETTLED and len(tickets) <= self._hub.settings.unsettled_limit // 2:
            self.release(Hold.UNSETTLED)
        elif not tickets:
            self.tickets = None

    def fail_unsettled(self) -> None:
        """Nothing was kept of a packet, and nothing else would tell the client."""
        if self.open:
            self._hub.metrics.unsettled_closed += 1
            self._hub.end(self)

    def offend(self, kind: str) -> None:
        """The client did what it may not; see `broker.offences`."""
        offend(self._hub, self, kind)

    # -- time and the end

    def set_deadline(self, seconds: float | None) -> None:
        self.deadline = None if seconds is None else self._hub.now() + seconds
        if self.deadline is not None:
            self._hub.wheel.at(self.deadline, self)

    def set_keep_alive(self, seconds: int) -> None:
        """One and a half times what the client asked for (3.1.2.10); 0 turns it off."""
        self.keep_alive = seconds * 1.5
        if self.keep_alive:
            self._hub.wheel.at(self.seen + self.keep_alive, self)

    def overdue(self, now: float) -> float | None:
        if self.deadline is not None:
            if now < self.deadline:
                return self.deadline
            self._handler.on_overdue(self)
            return None
        if not self.open or not self.keep_alive:
            return None
        if self.hold & ~Hold.STUCK:
            # Not the client is silent, we are not listening. (If it is stuck, that is its own doing.)
            self.seen = now
        # `seen` is the time of a tick, so the client may have been heard from up to a tick later.
        due = self.seen + self.keep_alive + self._hub.settings.tick
        if now < due:
            return due
        self._handler.on_overdue(self)
        return None

    @property
    def level(self) -> int:
        """Of the protocol that the client speaks."""
        return self._parser.level

    def is_open(self) -> bool:
        """`open`, for callers that have awaited since they looked."""
        return self.open

    def shut(self, *, linger: bool = False) -> None:
        """Take nothing more, send what is written, and close; the handler has done the rest.

        Closing a socket with something unread in it makes the kernel drop what the client has not read yet. Where
        there is a last word for it, we `linger`: our side ends, and what still comes is thrown away until the client
        closes its side, or `close_grace` is over.
        """
        if not self.open:
            return
        self.flush()
        self.open = False
        self._pending = self._unparsed = None
        if self.transport.is_closing():
            return
        if linger and self.transport.can_write_eof():
            self.transport.write_eof()
            # It may be paused, also without a hold: what is handled now may have waited.
            self.transport.resume_reading()
        else:
            self.transport.close()
        self.set_deadline(self._hub.settings.close_grace)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- asyncio's signature
        self.deadline = None
        self.open = False
        self._pending = self._unparsed = None
        self._out.clear()
        self._hub.wheel.forget(self)
        if self._admitted:
            self._admitted = False
            self._hub.doorkeeper.leave(self.address)
        self._hub.drop(self)
        self._handler.on_lost(self)


def _tune(raw: Any) -> None:
    """No delays of small packets; and the end of half-open connections that have no keep-alive of MQTT."""
    if raw is None or raw.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_S)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEPALIVE_S // 4)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)
