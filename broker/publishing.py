"""PUBLISH from clients, and both halves of the handshakes at QoS 1 and 2."""

from collections.abc import Callable
from typing import Final

from amqtt.contexts import Action
from amqtt.events import BrokerEvents

from broker.answers import acknowledgement
from broker.connection import Connection, Hold
from broker.guard import MAX_LEVELS
from broker.hub import Hub
from broker.inflow import Ticket, check_room, is_well_formed, named
from broker.message import Message
from broker.mqtt.codec import PUBACK, PUBCOMP, PUBREC, ack, encode
from broker.mqtt.errors import Malformed, MqttError, ProtocolError
from broker.mqtt.packets import LEVEL_5, Pubcomp, Publish, Pubrel
from broker.mqtt.reasons import FAILED, Reason
from broker.session import Session
from broker.terms import PLAIN

_UNSEEN: Final = object()
_QOS_2: Final = 2


class _Parts:
    """A ticket that waits for several things to be on disk."""

    __slots__ = ("_kept", "_left", "_ticket")

    def __init__(self, ticket: Ticket, parts: int) -> None:
        self._ticket = ticket
        self._left = parts
        self._kept = True

    def settle(self, accepted: bool) -> None:
        self._kept &= accepted
        self._left -= 1
        if not self._left:
            self._ticket.settle(self._kept)


class Publisher:
    """Decides, submits or routes, and acknowledges."""

    __slots__ = ("_events", "_hub", "_metrics", "_on_broken")

    def __init__(self, hub: Hub, on_broken: Callable[[Connection, MqttError], None]) -> None:
        """`on_broken` is told of a client that breaks the protocol."""
        self._hub = hub
        self._on_broken = on_broken
        self._events = hub.events
        self._metrics = hub.metrics

    def on_publish(self, connection: Connection, session: Session, packet: Publish) -> None:
        if session.terms is not PLAIN:
            inspected = self._inspect(connection, packet)
            if inspected is None:
                return
            packet = inspected
        allowed = session.publish_rights.get(packet.topic)
        if allowed is None:
            allowed = self._decide(connection, session, packet)
            if allowed is None:
                return
        self._metrics.publishes_in += 1
        if self._events.received:
            self._events.tell_message(BrokerEvents.MESSAGE_RECEIVED, session, packet)
        if packet.qos == _QOS_2 and self._is_repeated(connection, session, packet.packet_id):
            return
        if not allowed:
            self._refuse(connection, session, packet)
        elif packet.properties is not None and not is_well_formed(packet):
            self._refuse_payload(connection, session, packet)
        elif packet.topic == session.up_topic and self._hub.inbound is not None:
            ticket = self._expect(connection, session, packet)
            self._hub.submit(session, packet.payload, ticket, packet.properties)
        else:
            self._route(connection, session, packet)

    def _inspect(self, connection: Connection, packet: Publish) -> Publish | None:
        """MQTT 5: with the topic that its alias stands for. Returns None if that was the end of the connection."""
        settings = self._hub.settings
        try:
            if packet.qos:
                check_room(connection, packet, settings.inbound_window)
            return packet if packet.properties is None else named(connection, packet, settings.alias_maximum)
        except ProtocolError as error:
            self._on_broken(connection, error)
            return None

    def _decide(self, connection: Connection, session: Session, packet: Publish) -> bool | None:
        """Whether it may be published. Returns None if plugins have to be asked: it comes again then; or if that was
        the end of the connection.
        """
        if packet.topic.count("/") > MAX_LEVELS and self._hub.settings.strict_topics:
            self._on_broken(connection, Malformed("a topic of too many levels"))
            return None
        if not self._hub.guard.filters_topics:
            allowed = self._hub.guard.allows_plain(packet.topic, Action.PUBLISH)
            session.remember_right(packet.topic, allowed)
            return allowed
        connection.wait(Hold.DECISION)
        connection.put_back(packet)
        self._hub.spawn(self._ask(connection, session, packet.topic))
        return None

    async def _ask(self, connection: Connection, session: Session, topic: str) -> None:
        try:
            assert session.view is not None  # noqa: S101 -- a connected session has one
            allowed = await self._hub.guard.allows(session.view, topic, Action.PUBLISH)
            session.remember_right(topic, allowed)
        finally:
            connection.release(Hold.DECISION)

    def _is_repeated(self, connection: Connection, session: Session, packet_id: int) -> bool:
        """A QoS 2 packet that is here already is acknowledged again, not published again [MQTT-4.3.3-2]."""
        known = session.incoming.get(packet_id, _UNSEEN)
        if known is _UNSEEN:
            return False
        if known is None:
            self._acknowledge(connection, session, _QOS_2, packet_id)
        elif isinstance(known, Ticket) and known.connection is not connection:
            # It was sent on an earlier connection and is not settled yet: its acknowledgement goes here.
            known.connection = connection
            connection.expect(known)
        return True

    def _refuse(self, connection: Connection, session: Session, packet: Publish) -> None:
        """Acknowledged and dropped, by 3.1.1 without a word, which has no way to say no (3.3.5); too many end the
        connection.
        """
        self._metrics.dropped_refused += 1
        self._acknowledge(connection, session, packet.qos, packet.packet_id, Reason.NOT_AUTHORIZED)
        connection.offend("publish")

    def _refuse_payload(self, connection: Connection, session: Session, packet: Publish) -> None:
        """Likewise, for what it says."""
        self._metrics.dropped_refused += 1
        self._acknowledge(connection, session, packet.qos, packet.packet_id, Reason.PAYLOAD_FORMAT_INVALID)
        connection.offend("payload")

    def _route(self, connection: Connection, session: Session, packet: Publish) -> None:
        hub = self._hub
        if hub.presence is not None and not hub.presence.take(packet.topic, packet.payload):
            self._refuse_payload(connection, session, packet)
            return
        if self._events.broadcast:
            self._events.tell_message(BrokerEvents.MESSAGE_BROADCAST, session, packet)
        message = hub.message_of(packet, session.client_id)
        if packet.retain:
            if hub.keep_retained(message):
                if hub.store is not None:
                    ticket = self._expect(connection, session, packet)
                    durable = self._is_durable(session, packet, routed=hub.route(message))
                    parts = _Parts(ticket, 1 + durable)
                    if durable and hub.keeper is not None:
                        hub.keeper.settle_after(parts.settle)
                    hub.spawn(self._store(message, parts))
                    return
            elif packet.qos and session.terms is not PLAIN:
                self._acknowledge(connection, session, packet.qos, packet.packet_id, Reason.QUOTA_EXCEEDED)
                return
        self._pass_on(connection, session, packet, message)

    def _pass_on(self, connection: Connection, session: Session, packet: Publish, message: Message) -> None:
        hub = self._hub
        if packet.qos == _QOS_2 and hub.keeper is None:
            # Nothing waits for a disk. The PUBREC goes first, as suites expect that publish to themselves.
            self._acknowledge(connection, session, packet.qos, packet.packet_id)
            hub.route(message)
            return
        routed = hub.route(message)
        if packet.qos and self._is_durable(session, packet, routed=routed):
            # Acknowledged when it is on disk for everybody whose session outlives a crash.
            ticket = self._expect(connection, session, packet)
            if hub.keeper is not None:
                hub.keeper.settle_after(ticket.settle)
        elif packet.qos:
            # Whoever can be told learns that nobody was there to get it (3.4.2.1); at QoS 2 as mosquitto does it, not.
            unheard = packet.qos == 1 and session.terms is not PLAIN and not hub.tree.match(packet.topic)
            reason = Reason.NO_MATCHING_SUBSCRIBERS if unheard else 0
            self._acknowledge(connection, session, packet.qos, packet.packet_id, reason)

    def _is_durable(self, session: Session, packet: Publish, *, routed: bool) -> bool:
        """Whether the acknowledgement has to wait for the disk: for what was routed, or for the id of a QoS 2
        message, which must be known again after a restart.
        """
        if packet.qos == _QOS_2 and session.keeper is not None:
            session.keeper.took(session, packet.packet_id)
            return True
        return routed

    async def _store(self, message: Message, waiting: "_Parts") -> None:
        waiting.settle(await self._hub.save_retained(message))

    def _expect(self, connection: Connection, session: Session, packet: Publish) -> Ticket:
        ticket = Ticket(connection, session, packet.qos, packet.packet_id)
        if packet.qos == _QOS_2:
            session.incoming[packet.packet_id] = ticket
            connection.receive(packet.packet_id)
        connection.expect(ticket)
        return ticket

    def _acknowledge(
        self, connection: Connection, session: Session, qos: int, packet_id: int, reason: int = 0
    ) -> None:
        """Now, or behind those that still wait. The reason is for MQTT 5."""
        if qos == 0:
            return
        if qos == _QOS_2 and (reason < FAILED or session.terms.level < LEVEL_5):
            session.incoming[packet_id] = None
            connection.receive(packet_id)
        if connection.tickets is not None:
            ticket = Ticket(connection, session, qos, packet_id)
            ticket.answer(reason)
            connection.expect(ticket)
        elif reason:
            connection.write(acknowledgement(session.terms, qos, packet_id, reason))
        else:
            connection.write(ack(PUBACK if qos == 1 else PUBREC, packet_id))

    def on_pubrel(self, connection: Connection, session: Session, packet: Pubrel) -> None:
        """The client may use the id again. One that we do not know is confirmed all the same (4.3.3)."""
        packet_id = packet.packet_id
        known = session.incoming.pop(packet_id, _UNSEEN)
        if isinstance(known, Ticket):
            self._on_broken(connection, ProtocolError("a PUBREL before the PUBREC [MQTT-4.3.3-4]"))
            return
        if connection.receiving is not None:
            connection.receiving.discard(packet_id)
        if session.keeper is not None and known is None:
            session.keeper.gave_back(session, connection, packet_id)
        elif known is _UNSEEN and session.terms.level >= LEVEL_5:
            answer = Pubcomp(packet_id, Reason.PACKET_IDENTIFIER_NOT_FOUND)
            connection.write(encode(answer, LEVEL_5))
        else:
            connection.write(ack(PUBCOMP, packet_id))
