"""Which packet goes where, and what ends a connection."""

import logging
from typing import Final

from amqtt.events import MQTTEvents

from broker.accept import Acceptor
from broker.connection import Connection
from broker.hub import Hub
from broker.mqtt.codec import PINGRESP, encode
from broker.mqtt.errors import MqttError, PacketTooLarge, ProtocolError, UnsupportedLevel
from broker.mqtt.packets import (
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Subscribe,
    Unsubscribe,
)
from broker.mqtt.reasons import Reason
from broker.publishing import Publisher
from broker.session import Session
from broker.subscribing import Subscriber

_log: Final = logging.getLogger("pabal.broker")


class PacketHandler:
    """The one handler of all connections of a broker."""

    __slots__ = ("_acceptor", "_hub", "_publisher", "subscriber")

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._acceptor = Acceptor(hub)
        self._publisher = Publisher(hub, self.on_broken)
        self.subscriber = Subscriber(hub)

    def on_packet(self, connection: Connection, packet: Packet) -> None:
        session = connection.session
        if self._hub.events.packets_in:
            self._hub.events.tell_packet(
                MQTTEvents.PACKET_RECEIVED, session, encode(packet, connection.level), connection.level
            )
        if session is None:
            self._on_first(connection, packet)
        elif type(packet) is Publish:
            self._publisher.on_publish(connection, session, packet)
        elif type(packet) is Puback:
            session.on_ack(packet.packet_id)
        else:
            self._on_other(connection, session, packet)

    def _on_first(self, connection: Connection, packet: Packet) -> None:
        if isinstance(packet, Connect):
            self._acceptor.on_connect(connection, packet)
        else:
            self.on_broken(connection, ProtocolError("the first packet is no CONNECT [MQTT-3.1.0-1]"))

    def _on_other(self, connection: Connection, session: Session, packet: Packet) -> None:
        match packet:
            case Pingreq():
                connection.write(PINGRESP)
            case Subscribe():
                self.subscriber.on_subscribe(connection, session, packet)
            case Unsubscribe():
                self.subscriber.on_unsubscribe(connection, session, packet)
            case Pubrec(packet_id, reason):
                session.on_pubrec(packet_id, reason)
            case Pubrel():
                self._publisher.on_pubrel(connection, session, packet)
            case Pubcomp(packet_id):
                session.on_pubcomp(packet_id)
            case Disconnect():
                self._hub.lives.on_disconnect(connection, session, packet)
            case _:
                # A second CONNECT [MQTT-3.1.0-2], what only a server sends, or an AUTH where there is none to do.
                self.on_broken(connection, ProtocolError(f"an unexpected {type(packet).__name__}"))

    def on_broken(self, connection: Connection, error: MqttError) -> None:
        """Malformed MQTT closes this connection, and no other. MQTT 5 is told why."""
        if isinstance(error, PacketTooLarge):
            self._hub.metrics.dropped_oversize += 1
        self._hub.metrics.malformed += 1
        _log.info("closing a connection from %s: %s", connection.address, error)
        answered = self._hub.settings.malformed_connect_answered or isinstance(error, UnsupportedLevel)
        if error.answer and answered and connection.session is None:
            connection.write(error.answer)
            connection.shut(linger=True)
        self._hub.end(connection, reason=error.reason, text=str(error))

    def on_overdue(self, connection: Connection) -> None:
        """No CONNECT in time, silent for longer than its keep-alive, or not reading while it is closed."""
        if not connection.open:
            connection.transport.abort()
            return
        self._hub.metrics.timeouts += 1
        self._hub.end(connection, reason=Reason.KEEP_ALIVE_TIMEOUT)

    def on_lost(self, connection: Connection) -> None:
        self._hub.leave(connection, polite=False)
