"""What is on its way from the broker to one client: what is in flight, and what waits behind it.

All of it is bounded: the window, and the queue in messages and bytes. Of the inbox nothing is here but the positions
of what is in flight (see `broker.inbox_stream`).
"""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from broker.grants import identifier_of, qos_of
from broker.message import Delivery, Message
from broker.mqtt.codec import PUBREL, ack, encode
from broker.mqtt.packets import LEVEL_5, RETAIN_AS_PUBLISHED, Pubrel
from broker.mqtt.reasons import FAILED, Reason
from broker.stubs import shorter_reply
from broker.terms import PLAIN, PLAIN_5, Terms

if TYPE_CHECKING:
    from broker.connection import Connection
    from broker.inbox_stream import InboxStream
    from broker.keeper import Keeper
    from broker.metrics import Metrics
    from broker.settings import BrokerSettings
    from broker.shared import Group

_LAST_ID: Final = 65_535
_QOS_2: Final = 2

# What stands in the window: an inbox update by its seq, or a message.
Flying = int | Delivery
# In place of a message that the client has, of which only the packet identifier is still needed.
_GONE: Final = Message("gone", b"", _QOS_2)


class Outgoing:
    """One client's window and queue. `broker.session.Session` is one, so that no call lies between them.

    Attributes:
        connection: None while the client is away.
        terms: what the connection takes.
        window: how many messages may be in flight on it.
        keeper: where its deliveries go to disk; None if they need not.
        reserved: the packet identifiers of what waits in the queue and has one already.
    """

    __slots__ = (
        "_clock",
        "_last_id",
        "_metrics",
        "_queue_bytes",
        "_settings",
        "client_id",
        "connection",
        "inflight",
        "keeper",
        "queue",
        "reserved",
        "stream",
        "terms",
        "window",
    )

    def __init__(
        self,
        client_id: str,
        *,
        settings: "BrokerSettings",
        metrics: "Metrics",
        clock: Callable[[], int],
        keeper: "Keeper | None" = None,
    ) -> None:
        """`clock` gives milliseconds since 1970."""
        self.client_id = client_id
        self.keeper = keeper
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self.connection: Connection | None = None
        self.terms: Terms = PLAIN
        self.window = settings.window
        self.inflight: dict[int, Flying] = {}
        self.reserved: dict[int, Delivery] | None = None
        self.queue: deque[Delivery] | None = None
        self._queue_bytes = 0
        self._last_id = 0
        self.stream: InboxStream | None = None

    @property
    def room(self) -> int:
        """How many more may be in flight."""
        return self.window - len(self.inflight)

    def send(
        self,
        message: Message,
        qos: int,
        retain: bool = False,
        identifiers: tuple[int, ...] = (),
        group: "Group | None" = None,
    ) -> None:
        """To the client, or into the queue, or (QoS 0 and slow or away) nowhere."""
        connection = self.connection
        if qos == 0:
            if connection is None:
                return
            if connection.paused:
                self._metrics.dropped_slow_qos0 += 1
                return
            terms = self.terms
            if terms is PLAIN and not retain:
                connection.write_frame(message.frame())
            elif terms is PLAIN_5 and not retain and not identifiers and message.is_common:
                connection.write_frame(message.frame_5())
            else:
                data = self._encode(Delivery(message, 0, retain, identifiers))
                if data is None:
                    return
                connection.write_frame(data)
            self._metrics.publishes_out += 1
            return
        delivery = Delivery(message, qos, retain, identifiers, group)
        if self.keeper is not None and not self.keeper.put(self, delivery):
            return
        if (
            connection is None
            or self.queue
            or delivery.waits
            or connection.paused
            or len(self.inflight) >= self.window
        ):
            self._enqueue(delivery)
            return
        self._transmit(connection, delivery)

    def send_granted(self, message: Message, granted: int, group: "Group | None" = None) -> None:
        """What one subscription alone takes in."""
        identifier = identifier_of(granted)
        self.send(
            message,
            min(qos_of(granted), message.qos),
            message.retain and bool(granted & RETAIN_AS_PUBLISHED),
            (identifier,) if identifier else (),
            group,
        )

    def _transmit(self, connection: "Connection", delivery: Delivery) -> None:
        message, qos, terms = delivery.message, delivery.qos, self.terms
        packet_id = delivery.packet_id
        if packet_id == 0:
            packet_id = delivery.packet_id = self.take_id()
        elif self.reserved:
            self.reserved.pop(packet_id, None)
        plain = not (delivery.retain or delivery.sent)
        if terms is PLAIN and plain:
            connection.write_publish(message.head(qos), packet_id, message.payload)
        elif terms is PLAIN_5 and plain and not delivery.identifiers and message.is_common:
            connection.write_publish(message.head_5(qos), packet_id, message.tail_5())
        else:
            data = self._encode(delivery)
            if data is None:
                self._finish(delivery)
                return
            connection.write_frame(data)
        self.inflight[packet_id] = delivery
        if not delivery.sent:
            delivery.sent = True
            if delivery.place and self.keeper is not None:
                self.keeper.sent(self, delivery)
        self._metrics.publishes_out += 1

    def _encode(self, delivery: Delivery) -> bytes | None:
        """Of a reply that the client does not take, something shorter that it takes. Returns None if there is none: then it
        counts as sent [MQTT-3.1.2-25].
        """
        terms, message = self.terms, delivery.message
        data = self._encode_as(delivery, message)
        most = terms.maximum_packet_size
        if most is None or len(data) <= most:
            return data
        payload = shorter_reply(message.topic, message.payload, most - len(data) + len(message.payload))
        if payload is not None:
            shorter = Message(message.topic, payload, message.qos, properties=message.properties)
            data = self._encode_as(delivery, shorter)
            if len(data) <= most:
                return data
        self._metrics.dropped_too_large += 1
        return None

    def _encode_as(self, delivery: Delivery, message: Message) -> bytes:
        terms = self.terms
        named = len(terms.aliases)
        data = message.encode(
            terms,
            delivery.qos,
            delivery.packet_id,
            retain=delivery.retain,
            dup=delivery.sent,
            identifiers=delivery.identifiers,
            now_ms=0 if message.expires is None else self._clock(),
        )
        most = terms.maximum_packet_size
        if most is not None and len(data) > most and len(terms.aliases) > named:
            del terms.aliases[message.topic]  # the client does not hear of it
        return data

    def take_id(self) -> int:
        """A packet id that is not in use; the window and the queue are far smaller than the ids are many."""
        packet_id = self._last_id
        while True:
            packet_id = packet_id + 1 if packet_id < _LAST_ID else 1
            if self.is_free(packet_id):
                self._last_id = packet_id
                return packet_id

    def is_free(self, packet_id: int) -> bool:
        return packet_id not in self.inflight and not (self.reserved and packet_id in self.reserved)

    # -- the queue

    def _enqueue(self, delivery: Delivery) -> None:
        """Behind what waits already. What is too much goes out at the front, the oldest first."""
        queue = self.queue
        if queue is None:
            queue = self.queue = deque()
        self._count(delivery)
        queue.append(delivery)
        settings, metrics = self._settings, self._metrics
        metrics.queued += 1
        while queue and (
            len(queue) > settings.queue_messages
            or self._queue_bytes > settings.queue_bytes
            or metrics.queued_bytes > settings.queue_bytes_total
        ):
            metrics.dropped_queue_full += 1
            self._take_out(queue.popleft(), drop=True)

    def restore(self, delivery: Delivery) -> None:
        """From the disk, in order of places; a released one stands in the window."""
        self._last_id = delivery.packet_id
        if delivery.released:
            delivery.message = _GONE
            self.inflight[delivery.packet_id] = delivery
        else:
            self._count(delivery)
            if self.queue is None:
                self.queue = deque()
            self.queue.append(delivery)

    def _count(self, delivery: Delivery) -> None:
        if delivery.packet_id:
            if self.reserved is None:
                self.reserved = {}
            self.reserved[delivery.packet_id] = delivery
        self._queue_bytes += delivery.message.size
        self._metrics.queued_bytes += delivery.message.size

    def _take_out(self, delivery: Delivery, *, drop: bool = False) -> None:
        """It is in the queue no longer."""
        self._queue_bytes -= delivery.message.size
        self._metrics.queued_bytes -= delivery.message.size
        if drop:
            self._finish(delivery)

    def _finish(self, delivery: Delivery) -> None:
        """The client has it, or never gets it."""
        if self.reserved:
            self.reserved.pop(delivery.packet_id, None)
        if delivery.place and self.keeper is not None:
            self.keeper.done(self, delivery)

    def clear(self) -> None:
        """The session is over, and with it whatever waits for it."""
        for delivery in self.queue or ():
            self._take_out(delivery)
        self.queue = self.reserved = None
        self.inflight.clear()

    def give_up(self, group: "Group") -> list[Message]:
        """What came by a shared subscription and can go to another member, in order: what was not sent yet, and while
        the client is away also what it has not acknowledged, at QoS 1. (A client that is here gets what was begun
        [MQTT-3.10.4-3], and what is at QoS 2 with a client goes to nobody else [MQTT-4.8.2-5].)
        """
        given: list[Message] = []
        if self.connection is None:
            for packet_id, flying in list(self.inflight.items()):
                if isinstance(flying, Delivery) and flying.group is group and flying.qos == 1:
                    del self.inflight[packet_id]
                    self._finish(flying)
                    given.append(flying.message)
        kept: deque[Delivery] = deque()
        for delivery in self.queue or ():
            if delivery.group is group and not (delivery.qos == _QOS_2 and delivery.sent):
                self._take_out(delivery, drop=True)
                given.append(delivery.message)
            else:
                kept.append(delivery)
        self.queue = kept or None
        return given

    # -- acknowledgements

    def on_ack(self, packet_id: int) -> None:
        """PUBACK: that message is the client's now, also if it says that it did not want it [MQTT-4.8.2-6]. One
        for nothing in flight is ignored.
        """
        flying = self.inflight.get(packet_id)
        if flying is None:
            return
        if isinstance(flying, int):
            del self.inflight[packet_id]
            if self.stream is not None:
                self.stream.acked(flying)
        elif flying.qos == 1:
            del self.inflight[packet_id]
            if flying.place:
                self._finish(flying)
        else:
            return  # a PUBACK does not end a QoS 2 delivery
        if self.queue or (self.stream is not None and self.stream.behind):
            self.pump()

    def on_pubrec(self, packet_id: int, reason: int = 0) -> None:
        """QoS 2, first half: the message need not be kept any longer, its id must be [MQTT-4.3.3-1]. A refusal
        ends the delivery (4.3.3).
        """
        flying = self.inflight.get(packet_id)
        if not isinstance(flying, Delivery) or flying.qos != _QOS_2:
            self._write_pubrel(packet_id, Reason.PACKET_IDENTIFIER_NOT_FOUND)
            return
        if reason >= FAILED and not flying.released:
            del self.inflight[packet_id]
            self._finish(flying)
            self.pump()
            return
        if not flying.released:
            flying.released = True
            if flying.place and self.keeper is not None:
                # Once the client hears it, it may forget the id: that must not come back after a restart.
                flying.waits = True
                self.keeper.released(self, flying)
            flying.message = _GONE
        if not flying.waits:
            self._write_pubrel(packet_id)

    def _write_pubrel(self, packet_id: int, reason: int = 0) -> None:
        if self.connection is None:
            return
        if reason and self.terms.level == LEVEL_5:
            self.connection.write(encode(Pubrel(packet_id, reason), LEVEL_5))
        else:
            self.connection.write(ack(PUBREL, packet_id))

    def on_pubcomp(self, packet_id: int) -> None:
        """QoS 2, second half."""
        flying = self.inflight.get(packet_id)
        if isinstance(flying, Delivery) and flying.released:
            del self.inflight[packet_id]
            self._finish(flying)
            self.pump()

    def is_safe(self, delivery: Delivery) -> None:
        """It is on disk now: a message may go out, an id may be forgotten by the client."""
        delivery.waits = False
        if not delivery.released:
            self.pump()
        elif self.inflight.get(delivery.packet_id) is delivery:
            self._write_pubrel(delivery.packet_id)

    def pump(self) -> None:
        """Send what waits, as far as the window and the socket take it."""
        connection = self.connection
        if connection is None:
            return
        queue = self.queue
        while queue and not connection.paused and len(self.inflight) < self.window:
            delivery = queue[0]
            if delivery.waits:
                break
            queue.popleft()
            message = delivery.message
            self._take_out(delivery)
            if message.expires is not None and not delivery.sent and message.is_expired(self._clock()):
                self._metrics.dropped_expired += 1
                self._finish(delivery)
                continue
            self._transmit(connection, delivery)
        if queue is not None and not queue:
            self.queue = None
        if self.stream is not None:
            self.stream.pump()

    # -- connections

    def resume(self, connection: "Connection", terms: Terms = PLAIN) -> None:
        """A new connection: what was in flight goes out again, in the old order [MQTT-4.4.0-1]; updates of
        the inbox are read again from there, and go out after all else.
        """
        self.connection = connection
        self.terms = terms
        self.window = min(self._settings.window, terms.receive_maximum)
        again: list[Delivery] = []
        for packet_id, flying in list(self.inflight.items()):
            if isinstance(flying, int):
                del self.inflight[packet_id]
                if self.stream is not None:
                    self.stream.flew(packet_id, flying)
            elif flying.released:
                if not flying.waits:
                    self._write_pubrel(packet_id)
            elif len(again) < self.window:
                again.append(flying)
                data = self._encode(flying)
                if data is None:
                    del self.inflight[packet_id]
                    self._finish(flying)
                else:
                    connection.write(data)
            else:
                # The client takes fewer at a time than before.
                del self.inflight[packet_id]
                again.append(flying)
        for late in reversed(again[self.window :]):
            self._count(late)
            self.queue = self.queue or deque()
            self.queue.appendleft(late)
        if self.stream is not None:
            self.stream.attach()
        self.pump()

    def detach(self) -> None:
        """The connection is gone."""
        self.connection = None
        self.terms = PLAIN
        if self.stream is not None:
            self.stream.detach()
