"""The middle of the data plane: sessions, subscriptions, retained messages, and the routes between them."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from amqtt.events import BrokerEvents

from bridge.ports import Directory, Inbound, InboxReader, Presence, QueueStore, SessionStore
from broker.answers import disconnect
from broker.doorkeeper import Doorkeeper
from broker.events import EventQueue
from broker.guard import Guard
from broker.inbox_stream import InboxStream
from broker.inflow import Forgotten, Ticket, form_of, trace_of
from broker.keeper import Keeper
from broker.message import Message
from broker.metrics import Metrics
from broker.mqtt.packets import RETAIN_HANDLING_MASK
from broker.mqtt.parser import TopicMemory
from broker.mqtt.properties import NOTHING, Properties
from broker.mqtt.reasons import Reason
from broker.presence import PresenceTopics
from broker.retention import RetainedMessages
from broker.routes import Routes
from broker.session import NEVER, Session
from broker.sessions import Sessions
from broker.settings import BrokerSettings
from broker.shared import is_shared
from broker.turns import Turns
from broker.waiting import Absence
from broker.wheel import Wheel
from pabal.acl import Device, Service
from pabal.errors import Unavailable
from pabal.ids import UserId

if TYPE_CHECKING:
    from broker.connection import Connection
    from broker.mqtt.packets import Publish, Will
    from broker.plugin_session import PluginSession

_log = logging.getLogger("pabal.broker")
_STRIPES: Final = 256


class Hub:
    """What all connections of one broker share. Lives in one event loop; nothing here is thread-safe."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settings: BrokerSettings,
        guard: Guard,
        events: EventQueue,
        metrics: Metrics,
        *,
        inbound: Inbound | None,
        inbox: InboxReader | None,
        store: SessionStore | None,
        queues: QueueStore | None = None,
        presence: Presence | None = None,
        directory: Directory | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self.guard = guard
        self.events = events
        self.metrics = metrics
        self.inbound = inbound
        self.inbox = inbox
        self.store = store
        self.directory = directory
        self.presence = None if presence is None else PresenceTopics(self, presence)
        self.wheel = Wheel(loop, settings.tick)
        self.turns = Turns(loop.call_soon)
        self.doorkeeper = Doorkeeper(settings)
        self.topic_memory = TopicMemory()
        self.connections: set[Connection] = set()
        self.sessions: dict[str, Session] = {}
        self.by_user: dict[UserId, set[Session]] = {}
        self.retained = RetainedMessages(settings, metrics, store, self.milliseconds)
        self.lives = Sessions(self)
        self._persistent: set[Session] = set()
        # Greatest numbers of connections by listener, where there is one, and logins that are being looked at.
        self.limits: dict[str, int] = {}
        self.logging_in: dict[Connection, PluginSession] = {}
        self.on_sent: Callable[[Connection, bytes], None] | None = None
        self._loop = loop
        self._clock = clock
        self._streams: dict[UserId, list[InboxStream]] = {}
        self._dirty: list[Connection] = []
        self._all_gone: asyncio.Event | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._locks = [asyncio.Lock() for _ in range(_STRIPES)]
        self.now = loop.time
        self.keeper = None if queues is None else Keeper(self, queues)
        routes = Routes(settings, guard, metrics, self.retained, self.keeper, self.spawn)
        self.tree = routes.tree
        self._groups = routes.groups
        # What is called for every message is called without a step between.
        self.route = routes.route
        self.send_retained = routes.send_retained

    # -- time, tasks, flushing

    def milliseconds(self) -> int:
        """Since 1970, for `last_seen`."""
        return int(self._clock() * 1000)

    def lock(self, client_id: str) -> asyncio.Lock:
        """Held while the session of this client id is made, replaced or written."""
        return self._locks[hash(client_id) % _STRIPES]

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """A task that the hub owns: `stop` cancels and awaits it. What it does not catch is logged."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a task of the broker failed", exc_info=error)

    def mark(self, connection: "Connection") -> None:
        """It has something to be written at the end of this turn of the loop."""
        if not self._dirty:
            self._loop.call_soon(self._flush)
        self._dirty.append(connection)

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        for connection in dirty:
            connection.flush()

    def drop(self, connection: "Connection") -> None:
        """Its socket is closed."""
        self.connections.discard(connection)
        self.metrics.connections = len(self.connections)
        if self._all_gone is not None and not self.connections:
            self._all_gone.set()

    async def stop(self) -> None:
        """Close all connections, politely to their wills, and end all tasks."""
        for connection in list(self.connections):
            self.end(connection, polite=True, reason=Reason.SERVER_SHUTTING_DOWN)
        if self.connections:
            # Each of them takes what was written to it, and then says that it is lost.
            self._all_gone = asyncio.Event()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._all_gone.wait(), self.settings.close_grace)
        for connection in list(self.connections):
            connection.transport.abort()
        if self.keeper is not None:
            await self.keeper.stop()
        while self._tasks:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self.wheel.stop()

    def is_full(self, listener: str) -> bool:
        """Whether this connection, already counted, is one too many for its listener."""
        limit = self.limits.get(listener)
        return limit is not None and sum(c.listener == listener for c in self.connections) > limit

    # -- sessions

    def new_session(self, client_id: str, *, expiry: int) -> Session:
        return Session(
            client_id,
            expiry=expiry,
            settings=self.settings,
            metrics=self.metrics,
            clock=self.milliseconds,
            keeper=self.keeper if expiry else None,
        )

    def followed(self, client_id: str) -> list[str]:
        """The presence topics that a session is subscribed to."""
        return [] if self.presence is None else self.presence.followed(self.sessions.get(client_id))

    def is_crowded(self, user: UserId) -> bool:
        """Whether this user has as many persistent sessions as one may have."""
        held = self.by_user.get(user, ())
        limit = self.settings.sessions_per_user
        return len(held) >= limit and sum(not session.clean for session in held) >= limit

    def is_full_of_sessions(self) -> bool:
        """Whether there are as many persistent sessions as there may be."""
        return len(self._persistent) >= self.settings.sessions_total

    def register(self, session: Session) -> None:
        self.sessions[session.client_id] = session
        self.metrics.sessions = len(self.sessions)
        if session.user is not None:
            self.by_user.setdefault(session.user, set()).add(session)
        if not session.clean:
            self._persistent.add(session)
            if session.keeper is None:
                session.keeper = self.keeper
        self.metrics.sessions_persistent = len(self._persistent)

    def forget(self, session: Session) -> None:
        """The session and its subscriptions are no more."""
        if self.sessions.get(session.client_id) is session:
            del self.sessions[session.client_id]
            self.metrics.sessions = len(self.sessions)
        self._persistent.discard(session)
        self.metrics.sessions_persistent = len(self._persistent)
        absence, session.absence = session.absence, None
        if absence is not None:
            absence.end()
            absence.publish_will()
        for topic_filter in list(session.subscriptions):
            self.unsubscribe(session, topic_filter)
        if session.keeper is not None:
            session.keeper.forget(session)
            session.keeper = None
        session.clear()
        if session.user is not None and (of_user := self.by_user.get(session.user)) is not None:
            of_user.discard(session)
            if not of_user:
                del self.by_user[session.user]

    def expire(self, session: Session) -> None:
        """Its time is over."""
        self.spawn(self._expire(session))

    async def _expire(self, session: Session) -> None:
        async with self.lock(session.client_id):
            if self.sessions.get(session.client_id) is not session or session.connection is not None:
                return
            if self.store is not None:
                try:
                    await self.store.delete_session(session.client_id)
                except Unavailable:
                    # It is over all the same, and would be again after a restart.
                    _log.warning("an MQTT session that has expired could not be deleted")
            self.metrics.sessions_expired += 1
            self.forget(session)

    async def save(self, session: Session) -> None:
        """Put it on disk, if it is there; that it could not be is logged."""
        async with self.lock(session.client_id):
            if self.store is None or self.sessions.get(session.client_id) is not session or session.clean:
                return
            try:
                await self.store.save_session(session.stored(), at_head=False)
                session.stored_seen = session.last_seen
            except Unavailable:
                _log.warning("an MQTT session could not be written")

    async def _delete(self, session: Session) -> None:
        """Of one that has ended; another one of that name is left alone."""
        async with self.lock(session.client_id):
            if self.store is None or session.client_id in self.sessions:
                return
            try:
                await self.store.delete_session(session.client_id)
            except Unavailable:
                _log.warning("an MQTT session that has ended could not be deleted")

    def subscribe(self, session: Session, topic_filter: str, granted: int) -> None:
        """Into the tree and the session; inbox streams are somebody else's."""
        session.subscriptions[topic_filter] = granted
        if is_shared(topic_filter):
            self._groups.join(session, topic_filter, granted)
        else:
            self.tree.add(topic_filter, session, granted & ~RETAIN_HANDLING_MASK)

    def unsubscribe(self, session: Session, topic_filter: str) -> None:
        if session.subscriptions.pop(topic_filter, None) is None or self._groups.leave(session, topic_filter):
            return
        self.tree.remove(topic_filter, session)
        stream = session.stream
        if stream is not None and stream.names(topic_filter):
            stream.detach()
            session.stream = None

    def end(
        self, connection: "Connection", *, polite: bool = False, reason: Reason | None = None, text: str = ""
    ) -> None:
        """Close it. Unless `polite` (a DISCONNECT came), its will is published now, or when it is due.

        A client of MQTT 5 with a session is told the `reason`, if there is one (3.14), and the `text` or what that
        reason always means.
        """
        if connection.open:
            session, last = connection.session, b""
            if reason is not None and session is not None:
                last = disconnect(session.terms, reason, text)
            if last:
                connection.write(last)
            connection.shut(linger=bool(last) and not polite)
            self.leave(connection, polite=polite)

    def leave(self, connection: "Connection", *, polite: bool) -> None:
        """The connection counts no longer: session, will, events. The second call does nothing."""
        session, connection.session = connection.session, None
        will, connection.will = connection.will, None
        if session is None:
            return
        session.detach()
        session.last_seen = self.milliseconds()
        if self.presence is not None:
            self.presence.left(session, clean=polite)
        if polite:
            will = None
        if session.clean:
            persisted = session in self._persistent
            self.forget(session)
            if persisted and self.store is not None:
                self.spawn(self._delete(session))
        elif will is not None and will.properties is not None and will.properties.will_delay_interval:
            self.begin_absence(session, will)
            will = None
        else:
            self.begin_absence(session)
        self.share_out(session)
        if will is not None:
            self.publish_will(session, will)
        if self.events.disconnected:
            self.events.tell(
                BrokerEvents.CLIENT_DISCONNECTED, client_id=session.client_id, client_session=session.view
            )

    def begin_absence(self, session: Session, will: "Will | None" = None) -> None:
        """From now on its time runs, and that of its will, unless it was away already."""
        if session.absence is not None:
            return
        now = self.now()
        delay = will.properties.will_delay_interval or 0 if will is not None and will.properties else 0
        over_at = None if session.expiry == NEVER else now + session.expiry
        session.absence = Absence(self, session, will, now + delay, over_at)

    def come_back(self, session: Session) -> None:
        """It has a connection: its time does not run any longer, and its will is not published."""
        absence, session.absence = session.absence, None
        if absence is not None:
            absence.end()

    def share_out(self, session: Session) -> None:
        """It came or went: its shared subscriptions are looked at again."""
        self._groups.share_out(session)

    # -- to the bridge

    def submit(
        self,
        session: Session,
        payload: bytes,
        ticket: "Ticket | Forgotten",
        properties: "Properties | None" = None,
    ) -> None:
        """What was published on a session's own `up` topic goes to the bridge."""
        inbound = self.inbound
        assert inbound is not None  # noqa: S101 -- `is_up` was true
        self.metrics.submitted += 1
        match session.principal:
            case Service(instance):
                inbound.submit_service(instance, payload, ticket)
            case Device():
                assert session.source is not None  # noqa: S101 -- `identify` sets both
                if properties is None:
                    inbound.submit(session.source, payload, form_of(payload, None), ticket)
                    return
                form = form_of(payload, properties.content_type)
                inbound.submit(session.source, payload, form, ticket, trace_of(properties))

    def is_up(self, session: Session, topic: str) -> bool:
        """Whether this goes to the bridge and not to subscribers."""
        return topic == session.up_topic and self.inbound is not None

    # -- retained messages and wills

    def message_of(
        self,
        packet: "Publish | Will",
        origin: str | None,
    ) -> Message:
        """What a packet says, without what belongs to its connection."""
        properties = packet.properties
        expires = None
        if properties is not None:
            if properties.message_expiry_interval is not None:
                expires = self.milliseconds() + properties.message_expiry_interval * 1000
            properties = _carried(properties)
        return Message(
            packet.topic,
            packet.payload,
            packet.qos,
            retain=packet.retain,
            properties=properties,
            expires=expires,
            origin=origin,
        )

    def keep_retained(self, message: Message) -> bool:
        """In memory; an empty payload clears [MQTT-3.3.1-10]. Returns False if there is no room for it."""
        if not self.retained.keep(message):
            return False
        if self.events.retained:
            self.events.tell(BrokerEvents.RETAINED_MESSAGE, client_id=None, retained_message=message)
        return True

    async def save_retained(self, message: Message) -> bool:
        """On disk. Returns False if the store does not take it."""
        return await self.retained.save(message)

    async def _save_will(self, message: Message) -> None:
        await self.save_retained(message)

    def publish_will(self, session: Session, will: "Will") -> None:
        """It was checked at CONNECT like a publish, and goes the same way."""
        self.metrics.wills += 1
        if self.is_up(session, will.topic):
            self.submit(session, will.payload, Forgotten())
            return
        if self.presence is not None and not self.presence.take(will.topic, will.payload, will=True):
            self.metrics.dropped_refused += 1
            return
        message = self.message_of(will, session.client_id)
        if will.retain and self.keep_retained(message) and self.store is not None:
            self.spawn(self._save_will(message))
        self.route(message)

    # -- inboxes

    def enlist(self, stream: InboxStream) -> None:
        streams = self._streams.setdefault(stream.user, [])
        if stream not in streams:
            streams.append(stream)

    def strike(self, stream: InboxStream) -> None:
        streams = self._streams.get(stream.user)
        if streams is not None and stream in streams:
            streams.remove(stream)
            if not streams:
                del self._streams[stream.user]

    def deliver(self, user: UserId, updates: Sequence[tuple[int, bytes]]) -> None:
        streams = self._streams.get(user)
        if streams is not None and updates:
            for stream in streams:
                stream.deliver(updates)


def _carried(properties: Properties) -> Properties | None:
    """Those that go on unchanged to whoever gets the message (MQTT 5, 3.3.2.3)."""
    kept = Properties(
        payload_format_indicator=properties.payload_format_indicator,
        content_type=properties.content_type,
        response_topic=properties.response_topic,
        correlation_data=properties.correlation_data,
        user_properties=properties.user_properties,
    )
    return None if kept == NOTHING else kept
