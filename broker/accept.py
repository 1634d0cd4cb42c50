"""CONNECT: the login, the takeover, the session. Nothing is touched before the login is known to be good."""

import asyncio
import logging
from typing import Final
from uuid import uuid4

from amqtt.contexts import Action
from amqtt.events import BrokerEvents

from broker.answers import connack, keep_alive, refused_connack
from broker.connection import Connection, Hold
from broker.guard import KICKED, is_kicked
from broker.hub import Hub
from broker.inflow import is_well_formed
from broker.mqtt.packets import LEVEL_5, LEVEL_311, Connect
from broker.mqtt.reasons import Reason
from broker.plugin_session import PluginSession
from broker.session import Session
from broker.sessions import SessionRefused
from broker.terms import Terms
from pabal.errors import Unavailable

_log = logging.getLogger("pabal.broker")
_CLIENT_ID_BYTES: Final = 255


class _Refused(Exception):  # noqa: N818 -- named like the refusals of pabal.errors
    """The CONNACK says no."""

    def __init__(self, reason: int) -> None:
        super().__init__(reason)
        self.reason = reason


class Acceptor:
    """Handles the first packet of a connection."""

    __slots__ = ("_hub", "_slots")

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._slots = asyncio.Semaphore(hub.settings.login_limit)

    def on_connect(self, connection: Connection, packet: Connect) -> None:
        """The deadline counted the client's slowness; from here on it is ours."""
        connection.set_deadline(None)
        connection.wait(Hold.LOGIN)
        self._hub.spawn(self._accept(connection, packet))

    async def _accept(self, connection: Connection, packet: Connect) -> None:
        try:
            await self._admit(connection, packet)
        except _Refused as refused:
            self._hub.metrics.logins_refused += 1
            explain = self._hub.settings.reason_strings
            connection.write(refused_connack(packet, refused.reason, explain=explain))
            connection.shut(linger=True)
        finally:
            self._hub.logging_in.pop(connection, None)
            if connection.session is None:
                self._hub.end(connection)
            connection.release(Hold.LOGIN)

    async def _admit(self, connection: Connection, packet: Connect) -> None:
        """Raises: _Refused."""
        hub = self._hub
        if packet.properties is not None and packet.properties.authentication_method is not None:
            raise _Refused(Reason.BAD_AUTHENTICATION_METHOD)  # [MQTT-4.12.0-1]
        tls = connection.transport.get_extra_info("ssl_object")
        view = PluginSession.of(packet, connection.address, connection.port, tls)
        async with self._slots:
            if not connection.is_open():
                return
            hub.logging_in[connection] = view
            reason = await hub.guard.login(view)
        if reason != Reason.SUCCESS:
            raise _Refused(reason)
        view.password = None
        client_id = _client_id(packet)
        view.client_id = client_id
        if packet.will is not None and not is_well_formed(packet.will):
            raise _Refused(Reason.PAYLOAD_FORMAT_INVALID)
        if packet.will is not None and not await hub.guard.allows(view, packet.will.topic, Action.PUBLISH):
            raise _Refused(Reason.NOT_AUTHORIZED)
        async with hub.lock(client_id):
            if not connection.is_open():
                return
            if is_kicked(view, view.attributes.pop(KICKED, ())):
                # The credential was good when it was looked at, and is not any longer.
                raise _Refused(Reason.NOT_AUTHORIZED)
            followed = hub.followed(client_id)
            try:
                session, present = await hub.lives.open(packet, client_id, view)
            except Unavailable:
                raise _Refused(Reason.SERVER_UNAVAILABLE) from None
            except SessionRefused as refused:
                raise _Refused(refused.reason) from None
            self._attach(connection, packet, session, view, followed if present else None)

    def _attach(
        self,
        connection: Connection,
        packet: Connect,
        session: Session,
        view: PluginSession,
        followed: list[str] | None,
    ) -> None:
        """`followed`: the presence that a session followed which was there before; None for a new session."""
        hub = self._hub
        hub.register(session)
        view.core = session
        session.view = view
        if not connection.is_open():
            # It went away meanwhile. A persistent session is made all the same, as it is on disk.
            if session.clean:
                hub.forget(session)
            else:
                hub.begin_absence(session)
            return
        hub.come_back(session)
        hub.metrics.connects += 1
        connection.session = session
        connection.will = packet.will
        connection.set_keep_alive(keep_alive(packet, hub.settings))
        connection.write(connack(packet, session, hub.settings, present=followed is not None))
        session.resume(
            connection, Terms.of(packet, hub.settings.alias_maximum, explain=hub.settings.reason_strings)
        )
        hub.share_out(session)
        if hub.presence is not None:
            hub.presence.came(session, followed or ())
        view.last_connect_time = session.last_seen // 1000
        if hub.events.connected:
            hub.events.tell(BrokerEvents.CLIENT_CONNECTED, client_id=session.client_id, client_session=view)


def _client_id(packet: Connect) -> str:
    """The client id, made up where the client leaves that to us. Raises: _Refused."""
    if not packet.client_id:
        # [MQTT-3.1.3-8]; MQTT 5 is told it in the CONNACK, and MQTT 3.1 has no such thing.
        if packet.level < LEVEL_311 or (packet.level < LEVEL_5 and not packet.clean):
            raise _Refused(Reason.CLIENT_IDENTIFIER_NOT_VALID)
        return f"auto-{uuid4()}"
    if len(packet.client_id.encode()) > _CLIENT_ID_BYTES:
        raise _Refused(Reason.CLIENT_IDENTIFIER_NOT_VALID)
    return packet.client_id
