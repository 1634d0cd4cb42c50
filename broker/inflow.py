"""Acknowledgements of what clients publish, in the order in which it came [MQTT-4.6.0-2].

A ticket stands for one inbound packet that waits for the bridge (or for the store). Tickets settle in any
order; acknowledgements go out in the order of the packets.
"""

from contextlib import suppress
from typing import TYPE_CHECKING

from broker.answers import acknowledgement
from broker.mqtt.errors import ProtocolError
from broker.mqtt.packets import LEVEL_5, Publish, Will
from broker.mqtt.reasons import FAILED, Reason
from pabal.codec import Format, sniff
from pabal.trace import NAME as TRACEPARENT
from pabal.trace import Trace, parse

if TYPE_CHECKING:
    from broker.connection import Connection
    from broker.mqtt.properties import Properties
    from broker.session import Session


class Ticket:
    """One inbound PUBLISH of a connection; what `bridge.ports.Ticket` asks for.

    Attributes:
        reason: what the acknowledgement says.
    """

    __slots__ = ("connection", "done", "packet_id", "qos", "reason", "session")

    def __init__(self, connection: "Connection", session: "Session", qos: int, packet_id: int) -> None:
        self.connection = connection
        self.session = session
        self.qos = qos
        self.packet_id = packet_id
        self.reason = 0
        self.done = False

    def settle(self, accepted: bool) -> None:
        """True: acknowledge in turn. False: MQTT 5 is told in turn that nothing was kept (0x97); 3.1.1 has no word
        for that, so it is never acknowledged and the connection closed, and the client sends it again. At QoS 0
        there is nothing to be told. Harmless when the connection is gone.
        """
        if self.done:
            return
        self.done = True
        session = self.session
        pending = self.qos == 2 and session.incoming.get(self.packet_id) is self  # noqa: PLR2004 -- QoS 2
        if accepted or self.qos == 0:
            if pending:
                session.incoming[self.packet_id] = None
            self.connection.acknowledge()
        else:
            if pending:
                del session.incoming[self.packet_id]
            if session.terms.level < LEVEL_5:
                self.connection.fail_unsettled()
            else:
                self.answer(Reason.QUOTA_EXCEEDED)
                self.connection.acknowledge()

    def answer(self, reason: int) -> None:
        """The acknowledgement, when its turn comes, says this; at QoS 2 a no is the end of it."""
        self.reason = reason
        self.done = True
        if reason >= FAILED and self.connection.receiving is not None:
            self.connection.receiving.discard(self.packet_id)

    def offend(self) -> None:
        """It is answered and acknowledged all the same, but not without end."""
        if self.connection.open:
            self.connection.offend("payload")

    def bytes(self) -> bytes:
        """The acknowledgement; empty at QoS 0."""
        if self.qos == 0:
            return b""
        return acknowledgement(self.session.terms, self.qos, self.packet_id, self.reason)


class Forgotten:
    """A ticket that nobody waits for: of a last will."""

    __slots__ = ()

    def settle(self, accepted: bool) -> None:
        """Nobody is told."""

    def offend(self) -> None:
        """Whose it was is gone."""


# -- what MQTT 5 says in the properties of a PUBLISH


def check_room(connection: "Connection", packet: Publish, most: int) -> None:
    """Whether the client may send one more at QoS 1 or 2: at most so many are unacknowledged (3.3.4).

    Raises: ProtocolError.
    """
    tickets, receiving = connection.tickets, connection.receiving
    held = (0 if tickets is None else len(tickets)) + (0 if receiving is None else len(receiving))
    if held < most or (receiving is not None and packet.packet_id in receiving):
        return
    # Among the tickets are those of QoS 0, and of QoS 2, which are counted until their PUBCOMP.
    held = sum(ticket.qos == 1 for ticket in tickets or ()) + len(receiving or ())
    if held >= most:
        raise ProtocolError(
            f"more than {most} at QoS 1 and 2 without acknowledgement [MQTT-3.3.4-9]",
            Reason.RECEIVE_MAXIMUM_EXCEEDED,
        )


def named(connection: "Connection", packet: Publish, most: int) -> Publish:
    """The packet with its topic, where an alias stands for it (3.3.2.3.4); `most` aliases may be used.

    Raises: ProtocolError, also for what only a server sends.
    """
    properties = packet.properties
    assert properties is not None  # noqa: S101 -- the caller has looked
    if properties.subscription_identifiers:
        raise ProtocolError("a subscription identifier from a client [MQTT-3.3.4-6]")
    alias = properties.topic_alias
    if alias is None:
        return packet
    if alias > most:
        raise ProtocolError(f"topic alias {alias}, where {most} are allowed", Reason.TOPIC_ALIAS_INVALID)
    if packet.topic:
        if connection.aliases is None:
            connection.aliases = {}
        connection.aliases[alias] = packet.topic
        return packet
    topic = None if connection.aliases is None else connection.aliases.get(alias)
    if topic is None:
        raise ProtocolError("a topic alias that stands for no topic [3.3.2.3.4]")
    return Publish(topic, packet.payload, packet.qos, packet.retain, packet.dup, packet.packet_id, properties)


def is_well_formed(packet: Publish | Will) -> bool:
    """Whether the payload is UTF-8, if it says so (3.3.2.3.2)."""
    if packet.properties is None or not packet.properties.payload_format_indicator:
        return True
    try:
        packet.payload.decode()
    except UnicodeDecodeError:
        return False
    return True


def form_of(payload: bytes, content_type: str | None) -> Format:
    """How a request is written: as its content type says, or else as its first byte does."""
    if content_type is not None:
        with suppress(ValueError):
            return Format(content_type)
    return sniff(payload)


def trace_of(properties: "Properties") -> Trace | None:
    """The trace context that a packet brought; of several the first counts, and what is none is passed over."""
    for name, value in properties.user_properties:
        if name == TRACEPARENT:
            return parse(value)
    return None
