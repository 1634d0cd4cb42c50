"""How sessions begin, go on and end: clean start, expiry, takeover (MQTT 3.1.1, 3.1.2.4; MQTT 5, 3.1.2.11.2).

A client of 3.1.1 asks for a clean session, which ends with its connection, or for one that stays as long as the
broker lets it. A client of MQTT 5 says how long, and apart from that whether it starts afresh.
"""

from typing import TYPE_CHECKING, Final

from amqtt.contexts import Action

from broker.guard import PRINCIPAL
from broker.mqtt.packets import LEVEL_5, Connect, Disconnect
from broker.mqtt.reasons import Reason
from broker.session import NEVER, Session
from broker.shared import inner_filter
from pabal.acl import Device, Principal

if TYPE_CHECKING:
    from broker.connection import Connection
    from broker.hub import Hub
    from broker.plugin_session import PluginSession

# How old `last_seen` on disk may be before a connection renews it.
_SEEN_MS: Final = 24 * 3600 * 1000


class SessionRefused(Exception):  # noqa: N818 -- named like the refusals of pabal.errors
    """No session can be made for this client."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


class Sessions:
    """What CONNECT and DISCONNECT say about sessions."""

    __slots__ = ("_hub",)

    def __init__(self, hub: "Hub") -> None:
        self._hub = hub

    def granted(self, asked: int) -> int:
        """For how many seconds a session is kept that asks for so many."""
        return min(asked, self._hub.settings.session_expiry_max)

    def expiry_of(self, packet: Connect) -> int:
        """What a CONNECT gets; where that differs from what it asked for, the CONNACK has to say so."""
        if packet.level != LEVEL_5:
            return 0 if packet.clean else self.granted(NEVER)
        said = packet.properties
        return 0 if said is None else self.granted(said.session_expiry_interval or 0)

    async def open(self, packet: Connect, client_id: str, view: "PluginSession") -> tuple[Session, bool]:
        """The session to go on with, and whether it was there. The caller holds the lock of this client id, and
        has looked at the login.

        Raises: errors.Unavailable; SessionRefused.
        """
        hub = self._hub
        found = hub.sessions.get(client_id)
        if found is not None and found.connection is not None:
            hub.metrics.takeovers += 1
            hub.end(found.connection, reason=Reason.SESSION_TAKEN_OVER)
            found = hub.sessions.get(client_id)
        principal: Principal | None = view.attributes.get(PRINCIPAL)
        if found is not None and (packet.clean or not _same_user(found, principal)):
            if hub.store is not None:
                await hub.store.delete_session(client_id)
            hub.forget(found)
            found = None
        expiry = self.expiry_of(packet)
        if found is not None:
            await self._resume(found, principal, view, expiry)
            return found, True
        if expiry and (
            hub.is_full_of_sessions() or (isinstance(principal, Device) and hub.is_crowded(principal.user))
        ):
            hub.metrics.sessions_refused += 1
            raise SessionRefused(Reason.QUOTA_EXCEEDED)
        session = hub.new_session(client_id, expiry=expiry)
        session.identify(principal)
        session.last_seen = session.stored_seen = hub.milliseconds()
        if expiry and hub.store is not None:
            await hub.store.save_session(session.stored(), at_head=False)
        return session, False

    async def _resume(
        self, session: Session, principal: Principal | None, view: "PluginSession", expiry: int
    ) -> None:
        """What this login may not read (any longer) is not subscribed any longer. Raises: errors.Unavailable."""
        hub = self._hub
        session.identify(principal)
        if session.view is not None:
            view.attributes = {**session.view.attributes, **view.attributes}
        session.last_seen = hub.milliseconds()
        changed = session.last_seen - session.stored_seen > _SEEN_MS or session.expiry != expiry
        session.expiry = expiry
        if hub.guard.filters_topics:
            for topic_filter in list(session.subscriptions):
                if not await hub.guard.allows(view, inner_filter(topic_filter), Action.SUBSCRIBE):
                    hub.unsubscribe(session, topic_filter)
                    changed = True
        if changed and hub.store is not None:
            await hub.store.save_session(session.stored(), at_head=False)
            session.stored_seen = session.last_seen

    def on_disconnect(self, connection: "Connection", session: Session, packet: Disconnect) -> None:
        """The client goes, and may say how long its session is to be kept, and that its will is wanted."""
        hub = self._hub
        asked = None if packet.properties is None else packet.properties.session_expiry_interval
        if asked is not None:
            if asked and not session.expiry:
                hub.end(connection, reason=Reason.PROTOCOL_ERROR)  # [MQTT-3.14.2-2]: not from 0 to another
                return
            changed = session.expiry != (granted := self.granted(asked))
            session.expiry = granted
            if changed and granted and hub.store is not None:
                hub.spawn(hub.save(session))
        hub.end(connection, polite=packet.reason != Reason.DISCONNECT_WITH_WILL_MESSAGE)


def _same_user(session: Session, principal: Principal | None) -> bool:
    return session.user == (principal.user if isinstance(principal, Device) else None)
