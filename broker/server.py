"""The seam to amqtt: its `Broker` with its configuration, plugins and events, and our data plane in it.

What is overridden, and why, is listed in the architecture page; a test holds amqtt's side of it still.
"""

import asyncio
import logging
import ssl as tls
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast

import websockets.asyncio.server
from amqtt.adapters import ReaderAdapter, WriterAdapter
from amqtt.broker import Broker, RetainedApplicationMessage
from amqtt.contexts import BrokerConfig, ListenerConfig, ListenerType
from amqtt.errors import BrokerError
from amqtt.events import BrokerEvents, MQTTEvents
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.session import Session as AmqttSession
from transitions import MachineError

from bridge.ports import (
    Directory,
    Inbound,
    InboxReader,
    Presence,
    QueueStore,
    SessionStore,
    StoredSession,
)
from broker.census import Census
from broker.connection import Connection
from broker.events import EventQueue
from broker.gate import TlsServer
from broker.grants import qos_of
from broker.guard import KICKED, Guard, is_kicked
from broker.handler import PacketHandler
from broker.hub import Hub
from broker.inbox_stream import InboxStream
from broker.message import Message
from broker.metrics import Metrics
from broker.mqtt.packets import SUBSCRIPTION_FAILED
from broker.mqtt.properties import Properties
from broker.mqtt.reasons import Reason
from broker.plugin_session import PluginSession
from broker.pulse import Pulse
from broker.pumped import AdapterTransport
from broker.session import Session
from broker.settings import BrokerSettings
from broker.system_topics import SystemTopics
from broker.tls import BadCertificate, Certificates, context_of
from broker.views import NO_HANDLER, SessionsView, retained_of, subscriptions_of, view_of
from broker.websocket import WebSocketTransport, listen
from pabal import topics
from pabal.codec import encode
from pabal.errors import BadRequest, Unavailable
from pabal.ids import DeviceId, UserId, parse_client_id
from pabal.messages import Kicked
from pabal.trace import NAME as TRACEPARENT

_log = logging.getLogger("pabal.broker")
_DAY_MS = 24 * 3600 * 1000
_BACKLOG = 1024


class ListenError(OSError):
    """An address that cannot be listened on. `str()` names it."""


class PabalBroker(Broker):
    """An MQTT 3.1.1 broker, and the `Outbound` of the bridge.

    To be made in the event loop that it lives in. Without ports it is a plain broker with its state in
    memory.

    Attributes:
        inbound, inbox, store, queues, presence, directory: the bridge's side; may be assigned until `start()`. Without
            `queues`, what waits for persistent sessions is in memory alone.
        metrics, pulse: counters.
    """

    def __init__(
        self,
        config: BrokerConfig,
        *,
        inbound: Inbound | None = None,
        inbox: InboxReader | None = None,
        store: SessionStore | None = None,
        queues: QueueStore | None = None,
        presence: Presence | None = None,
        directory: Directory | None = None,
        settings: BrokerSettings | None = None,
    ) -> None:
        super().__init__(config)
        self.inbound = inbound
        self.inbox = inbox
        self.store = store
        self.queues = queues
        self.presence = presence
        self.directory = directory
        self.settings = settings or BrokerSettings()
        self.metrics = Metrics()
        self.pulse = Pulse(self._loop)
        self._bound: dict[str, tuple[str, int]] = {}
        self._certificates: dict[str, Certificates] = {}
        self._make_data_plane()

    def census(self) -> Census:
        """What there is right now."""
        return Census.of(self._hub)

    def _make_data_plane(self) -> None:
        self._events = EventQueue(self.plugins_manager, self.metrics)
        self._hub = Hub(
            self._loop,
            self.settings,
            Guard(self.plugins_manager),
            self._events,
            self.metrics,
            inbound=self.inbound,
            inbox=self.inbox,
            store=self.store,
            queues=self.queues,
            presence=self.presence,
            directory=self.directory,
        )
        self._handler = PacketHandler(self._hub)
        # amqtt reads and, in one place, writes this attribute.
        self._sessions = cast(
            "dict[str, tuple[AmqttSession, BrokerProtocolHandler]]", SessionsView(self._hub)
        )
        if self._events.packets_out:
            self._hub.on_sent = self._tell_sent

    # -- life

    @property
    def bound(self) -> Mapping[str, tuple[str, int]]:
        """Where each listener really listens, by its name (`build.MQTT_LISTENER`, `build.WS_LISTENER`)."""
        return self._bound

    async def start(self) -> None:
        """Load what is stored, then listen.

        Raises: OSError naming an address that cannot be had; errors.Unavailable if the store cannot be read;
        amqtt.errors.BrokerError if it runs already. Nothing listens then.
        """
        try:
            self.transitions.start()
        except (MachineError, ValueError) as error:
            raise BrokerError(f"Broker instance can't be started: {error}") from error
        self._make_data_plane()
        started = False
        try:
            await self.plugins_manager.fire_event(BrokerEvents.PRE_START, wait=True)
            # The time of sessions whose clients are away begins to run while they are loaded.
            self._hub.wheel.start()
            await self._load()
            self._events.start()
            await self._start_listeners()
            started = True
        finally:
            if not started:
                self.transitions.starting_fail()
                await self._close()
        for name, server in self._servers.items():
            sockets = getattr(server.instance, "sockets", ())
            if sockets:
                self._bound[name] = sockets[0].getsockname()[:2]
        self.transitions.starting_success()
        self._hub.spawn(self._sweep())
        self.pulse.start()
        if self.settings.sys_interval:
            self._hub.spawn(SystemTopics(self._hub).run())
        await self.plugins_manager.fire_event(BrokerEvents.POST_START, wait=True)

    async def shutdown(self) -> None:
        """Stop listening, close all connections (without their wills), tell the plugins. The second call
        does nothing.
        """
        if self.transitions.state != "started":
            return
        await self.plugins_manager.fire_event(BrokerEvents.PRE_SHUTDOWN, wait=True)
        self.transitions.shutdown()
        await self._close()
        await self.plugins_manager.wait_fired_events()
        await self.plugins_manager.fire_event(BrokerEvents.POST_SHUTDOWN, wait=True)
        await self.plugins_manager.close()
        self.transitions.stopping_success()

    def reload_certificates(self) -> None:
        """Read certificates, keys and client CAs again, for the connections to come; those that are there stay.
        If one of them cannot be used, that is logged, and all stay as they were.
        """
        try:
            swaps = [certificates.read() for certificates in self._certificates.values()]
        except BadCertificate as error:
            _log.error("certificates stay as they were: %s", error)
            return
        for swap in swaps:
            swap()
        _log.info("certificates were read again")

    async def _close(self) -> None:
        for server in self._servers.values():
            if server.instance is not None:
                server.instance.close()
        self.pulse.stop()
        await self._hub.stop()
        await self._events.stop()
        for server in self._servers.values():
            await server.close_instance()
        self._servers.clear()
        self._certificates.clear()
        self._bound.clear()

    async def _load(self) -> None:
        """Raises: errors.Unavailable."""
        if self.store is None:
            return
        await self._hub.retained.load()
        for row in await self.store.load_sessions():
            if row.expiry == 0:
                await self.store.delete_session(row.client_id)  # it was to end with its connection
            else:
                self._restore(row)
        if self._hub.keeper is not None:
            await self._hub.keeper.load()

    def _restore(self, row: StoredSession) -> None:
        session = self._hub.new_session(row.client_id, expiry=row.expiry or self.settings.session_expiry_max)
        session.user, session.device = row.user, row.device
        session.last_seen = session.stored_seen = row.last_seen
        for topic_filter, granted in row.subscriptions.items():
            if self.inbox is not None and row.user is not None and topic_filter == topics.inbox(row.user):
                session.subscriptions[topic_filter] = granted
                session.stream = InboxStream(session, row.user, qos_of(granted), self._hub)
                if row.position is not None and qos_of(granted):
                    session.stream.keep_from(row.position)
            else:
                self._hub.subscribe(session, topic_filter, granted)
        self._hub.register(session)
        # When its client went is not known: its time runs from now on.
        self._hub.begin_absence(session)

    async def _sweep(self) -> None:
        """Forget what has not been here for too long; keep the rest's `last_seen` on disk within a day."""
        while True:
            now = self._hub.milliseconds()
            await self._hub.retained.sweep()
            for session in list(self._hub.sessions.values()):
                if session.clean:
                    continue
                if session.connection is not None:
                    session.last_seen = now
                try:
                    if now - session.last_seen > self.settings.session_days * _DAY_MS:
                        await self._delete_session(session.client_id)
                    elif self.store is not None and session.last_seen - session.stored_seen > _DAY_MS:
                        await self._renew(session, self.store)
                except Unavailable:
                    _log.warning("an MQTT session could not be written; it is tried again later")
            await asyncio.sleep(self.settings.sweep_interval)

    async def _renew(self, session: Session, store: SessionStore) -> None:
        async with self._hub.lock(session.client_id):
            if self._hub.sessions.get(session.client_id) is session:
                await store.save_session(session.stored(), at_head=False)
                session.stored_seen = session.last_seen

    async def drain(self) -> None:
        """Put on disk what is on its way to sessions, before the bridge stops."""
        if self._hub.keeper is not None:
            await self._hub.keeper.flush()

    # -- Outbound

    def publish(self, topic: str, payload: bytes, qos: int, trace: str | None = None) -> None:
        """To whoever is subscribed; clients of MQTT 5 are told the trace context that it carries."""
        properties = None if trace is None else Properties(user_properties=((TRACEPARENT, trace),))
        self._hub.route(Message(topic, payload, qos, properties=properties))

    def deliver(self, user: UserId, updates: Sequence[tuple[int, bytes]]) -> None:
        """New updates of an inbox, `(seq, payload)`, seqs rising; see `broker.inbox_stream`."""
        self._hub.deliver(user, updates)

    def kick(self, user: UserId, device: DeviceId | None, reason: str, credential: str | None = None) -> None:
        """End the live connections of a device (None: of all the user's devices), telling them why; with a
        credential, only those that came in by it. Logins that are being looked at right now end as well.
        """
        payload = encode(Kicked(reason=reason))
        for view in self._hub.logging_in.values():
            if _is_of(view, user, device):
                # Whose login it is may not be known yet; it is looked at when it is.
                view.attributes.setdefault(KICKED, set()).add(credential)
        for session in list(self._hub.by_user.get(user, ())):
            connection = session.connection
            if connection is None or session.device is None or (device and session.device != device):
                continue
            if session.view is not None and not is_kicked(session.view, {credential}):
                continue
            topic = topics.down(user, session.device)
            granted = session.subscriptions.get(topic)
            if granted is not None:
                # Past the window, and not to be repeated on a later connection.
                qos = qos_of(granted)
                packet_id = session.take_id() if qos else 0
                connection.write(Message(topic, payload, qos).encode(session.terms, qos, packet_id))
            self._hub.end(connection, reason=Reason.ADMINISTRATIVE_ACTION)

    def revoke(self, user: UserId, topic: str) -> None:
        """This user's sessions lose their subscription to this topic, at once. A subscription that is being
        decided at this moment is caught by the recheck that follows.
        """
        for session in list(self._hub.by_user.get(user, ())):
            self._hub.unsubscribe(session, topic)
        self.recheck(user)

    def announce(self, topic: str, payload: bytes, *, keep: bool) -> None:
        if self._hub.presence is not None:
            self._hub.presence.announce(topic, payload, keep=keep)

    def review(self, user: UserId) -> None:
        """It has changed who may follow this user: look at who does, soon, and at all others of this turn with it."""
        if (
            self._hub.presence is not None
            and self._hub.directory is not None
            and self._hub.presence.mark(user)
        ):
            self._hub.spawn(self._handler.subscriber.review())

    def forget(self, user: UserId, device: DeviceId | None) -> None:
        """This device (None: all of the user's) is no more: its sessions end, soon, in memory and on disk, and then
        its retained status goes, which its last will may just have said.
        """
        gone = [
            session.client_id
            for session in self._hub.by_user.get(user, ())
            if session.device is not None and device in {None, session.device}
        ]
        if device is None:
            left = [topics.presence(user), f"{topics.status_of(user)}/+"]
        else:
            left = [topics.status(user, device)]
        self._hub.spawn(self._forget(gone, left))

    async def _forget(self, client_ids: Sequence[str], filters: Sequence[str]) -> None:
        for client_id in client_ids:
            try:
                await self._delete_session(client_id)
            except Unavailable:
                _log.warning("the session of a deleted device stays on disk until the next start")
        # A last will that was published just now is on its way to the disk, and has to be there first.
        await asyncio.sleep(0)
        for topic_filter in filters:
            for message in self._hub.retained.match(topic_filter):
                empty = Message(message.topic, b"", 0, retain=True)
                self._hub.keep_retained(empty)
                await self._hub.save_retained(empty)

    def recheck(self, user: UserId) -> None:
        """Rights changed: look at the standing subscriptions of this user's sessions again, soon."""
        self._hub.spawn(self._handler.subscriber.recheck(user))

    # -- the seam: listeners

    @staticmethod
    def _create_ssl_context(listener: ListenerConfig) -> tls.SSLContext:
        """Raises: BadCertificate."""
        return context_of(listener)

    async def _create_server_instance(
        self,
        listener_name: str,
        listener_type: ListenerType,
        address: str | None,
        port: int,
        ssl_context: tls.SSLContext | None,
    ) -> asyncio.Server | websockets.asyncio.server.Server:
        """Raises: ListenError naming the address."""
        host = address.strip("[]") if address else None
        limit = self.listeners_config[listener_name].max_connections
        if limit > 0:
            self._hub.limits[listener_name] = limit
        certificates: Certificates | None = None
        if ssl_context is not None:
            certificates = Certificates(self.listeners_config[listener_name], ssl_context)
            self._certificates[listener_name] = certificates
        try:
            if listener_type == ListenerType.WS:
                return await listen(
                    partial(self.ws_connected, listener_name=listener_name),
                    self._hub,
                    certificates,
                    host,
                    port,
                )
            made = partial(Connection, self._hub, self._handler, listener_name)
            if certificates is not None:
                secure = TlsServer(self._hub, partial(made, gated=True), certificates)
                await secure.listen(host, port)
                return cast("asyncio.Server", secure)
            return await self._loop.create_server(
                made,
                host,
                port,
                backlog=_BACKLOG,
                reuse_address=True,
            )
        except OSError as error:
            raise ListenError(
                error.errno,
                f"cannot listen on {address or '*'}:{port} ({listener_name}): {error.strerror or error}",
            ) from error

    async def ws_connected(
        self, websocket: websockets.asyncio.server.ServerConnection, listener_name: str
    ) -> None:
        connection = Connection(self._hub, self._handler, listener_name, gated=True)
        await WebSocketTransport(websocket, connection).run()

    async def _client_connected(
        self, listener_name: str, reader: ReaderAdapter, writer: WriterAdapter
    ) -> None:
        """Amqtt's `stream_connected` and `external_connected` end here."""
        if listener_name not in self._servers:
            raise BrokerError(f"Invalid listener name '{listener_name}'")
        connection = Connection(self._hub, self._handler, listener_name)
        limit = self.settings.max_packet_bytes
        try:
            await AdapterTransport(reader, writer, connection, limit=limit).run()
        finally:
            await writer.close()

    # -- the seam: what plugins call through their context

    async def internal_message_broadcast(self, topic: str, data: bytes, qos: int | None = None) -> None:
        # amqtt: no QoS means that of each subscription.
        self._hub.route(Message(topic, bytes(data), 2 if qos is None else qos))

    async def retain_message(
        self,
        source_session: AmqttSession | None,  # noqa: ARG002 -- amqtt's signature
        topic_name: str | None,
        data: bytes | bytearray | None,
        qos: int | None = None,
    ) -> None:
        """Raises: errors.Unavailable if it could not be stored."""
        if topic_name is None:
            return
        message = Message(topic_name, bytes(data or b""), qos or 0, retain=True)
        if not self._hub.keep_retained(message):
            return
        if not await self._hub.save_retained(message):
            raise Unavailable("the retained message could not be stored")

    async def add_subscription(self, subscription: tuple[str, int], session: AmqttSession) -> int:
        core = session.core if isinstance(session, PluginSession) else None
        if core is None:
            return SUBSCRIPTION_FAILED
        async with self._hub.lock(core.client_id):
            return await self._handler.subscriber.subscribe_for(core, *subscription)

    def create_offline_session(self, client_id: str) -> tuple[BrokerProtocolHandler, AmqttSession]:
        session = self._hub.new_session(client_id, expiry=self.settings.session_expiry_max)
        session.last_seen = self._hub.milliseconds()
        return NO_HANDLER, view_of(session)

    async def _delete_session(self, client_id: str) -> None:
        """Raises: errors.Unavailable, and then it is still there."""
        async with self._hub.lock(client_id):
            session = self._hub.sessions.get(client_id)
            if session is None:
                return
            if self.store is not None and not session.clean:
                await self.store.delete_session(client_id)
            if session.connection is not None:
                self._hub.end(session.connection)
            self._hub.forget(session)

    @property
    def subscriptions(self) -> dict[str, list[tuple[AmqttSession, int]]]:
        return subscriptions_of(self._hub)

    @property
    def retained_messages(self) -> dict[str, RetainedApplicationMessage]:
        return retained_of(self._hub)

    def _tell_sent(self, connection: Connection, data: bytes) -> None:
        self._events.tell_packet(MQTTEvents.PACKET_SENT, connection.session, data, connection.level)


def _is_of(view: Any, user: UserId, device: DeviceId | None) -> bool:
    """Whether this login, good or not, is one for that device."""
    try:
        wanted = parse_client_id(view.client_id)
    except BadRequest:
        return False
    return wanted.user == user and device in {None, wanted.device}
