"""SUBSCRIBE and UNSUBSCRIBE, and looking again at what stands.

A persistent session's subscriptions are on disk before the client hears of them.
"""

import asyncio
import dataclasses
import logging
from collections.abc import Iterable

from amqtt.contexts import Action
from amqtt.events import BrokerEvents

from broker.answers import suback, unsuback
from broker.connection import Connection, Hold
from broker.grants import grant, qos_of, with_qos
from broker.guard import MAX_LEVELS
from broker.hub import Hub
from broker.inbox_stream import InboxStream
from broker.message import Message
from broker.mqtt.packets import (
    LEVEL_5,
    NO_LOCAL,
    QOS_MASK,
    SUBSCRIPTION_FAILED,
    RetainHandling,
    Subscribe,
    Unsubscribe,
)
from broker.mqtt.reasons import FAILED, Reason
from broker.presence import OFFLINE
from broker.session import Session
from broker.shared import inner_filter, is_shared, split
from pabal import topics
from pabal.errors import Unavailable
from pabal.ids import UserId

_log = logging.getLogger("pabal.broker")
# How often, and how many times, rights are asked about that the database does not tell.
_RECHECK_S = 1.0
_RECHECKS = 60


class Subscriber:
    """Grants, stores, and takes away."""

    __slots__ = ("_hub",)

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    # -- SUBSCRIBE

    def on_subscribe(self, connection: Connection, session: Session, packet: Subscribe) -> None:
        if any(options & NO_LOCAL and is_shared(name) for name, options in packet.filters):
            self._hub.end(connection, reason=Reason.PROTOCOL_ERROR)  # [MQTT-3.8.3-4]
            return
        if self._is_broken(name for name, _ in packet.filters):
            self._hub.end(connection, reason=Reason.MALFORMED_PACKET)
            return
        connection.wait(Hold.SUBSCRIBING)
        self._hub.spawn(self._subscribe(connection, session, packet))

    async def _subscribe(self, connection: Connection, session: Session, packet: Subscribe) -> None:
        level = session.terms.level
        said = packet.properties
        identifier = said.subscription_identifiers[0] if said and said.subscription_identifiers else 0
        wanted = [(name, grant(options, identifier)) for name, options in packet.filters]
        try:
            async with self._hub.lock(session.client_id):
                fresh = {name for name, _ in wanted if name not in session.subscriptions}
                try:
                    codes = await self.grant(session, wanted)
                except Unavailable:
                    if level != LEVEL_5:
                        # SUBACK's only no says that it is not allowed, which clients take as final.
                        self._hub.end(connection)
                        return
                    failed = bytes((Reason.UNSPECIFIED_ERROR,)) * len(wanted)
                    connection.write(suback(session.terms, packet.packet_id, failed))
                    return
                connection.write(suback(session.terms, packet.packet_id, bytes(codes)))
                for code in codes:
                    if code >= FAILED:
                        connection.offend("subscribe")
                self._after(session, wanted, codes, fresh)
        finally:
            connection.release(Hold.SUBSCRIBING)

    async def grant(self, session: Session, wanted: Iterable[tuple[str, int]]) -> list[int]:
        """The reason codes of the SUBACK, after what is granted stands (on disk, if the session persists).

        The caller holds the session's lock.

        Raises: Unavailable if the database does not say what is allowed, or does not take it, and then nothing
        has changed.
        """
        hub = self._hub
        reviews = 0 if hub.presence is None else hub.presence.reviews
        codes: list[int] = []
        granted: dict[str, int] = {}
        for topic_filter, asked in wanted:
            code = await self._code(session, topic_filter, asked & QOS_MASK)
            codes.append(code)
            if code < FAILED:
                granted[topic_filter] = with_qos(asked, code)
        if hub.sessions.get(session.client_id) is not session:
            return codes  # a clean session whose connection is gone
        stream = self._stream_for(session, granted)
        if granted and not session.clean and hub.store is not None:
            try:
                await self._save(session, granted, stream)
            except Unavailable:
                if stream is not None:
                    stream.unwatch()
                raise
        self._apply(session, granted, stream)
        if hub.presence is not None and hub.presence.reviews != reviews and session.user is not None:
            # It was decided while rights were taken away, and was not among what stood.
            hub.spawn(self.recheck(session.user))
        return codes

    async def subscribe_for(self, session: Session, topic_filter: str, qos: int) -> int:
        """On behalf of the session's client, by a plugin. The caller holds the session's lock."""
        fresh = {topic_filter} - session.subscriptions.keys()
        try:
            (code,) = await self.grant(session, [(topic_filter, qos)])
        except Unavailable:
            return SUBSCRIPTION_FAILED
        self._after(session, [(topic_filter, qos)], [code], fresh)
        return min(code, SUBSCRIPTION_FAILED)

    async def _code(self, session: Session, topic_filter: str, qos: int) -> int:
        hub = self._hub
        shared = is_shared(topic_filter)
        if shared and split(topic_filter) is None:
            return Reason.TOPIC_FILTER_INVALID
        meant = inner_filter(topic_filter)
        if not topics.is_valid_filter(meant) or meant.count("/") > MAX_LEVELS:
            return Reason.TOPIC_FILTER_INVALID
        if session.view is None or not await hub.guard.allows(session.view, meant, Action.SUBSCRIBE):
            return hub.guard.refusal
        of = topics.parse(meant)
        alone = hub.inbox is not None and isinstance(of, topics.Inbox)
        if shared and (alone or (hub.presence is not None and isinstance(of, topics.Presence))):
            return Reason.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED  # each follows for itself
        if alone and isinstance(of, topics.Inbox):
            # An inbox is followed by number, so only its owner's sessions can.
            return min(qos, 1) if of.user == session.user else Reason.NOT_AUTHORIZED
        return qos

    def _inbox_of(self, session: Session) -> str | None:
        """The filter that is a stream for this session."""
        return None if self._hub.inbox is None or session.user is None else topics.inbox(session.user)

    def _stream_for(self, session: Session, granted: dict[str, int]) -> InboxStream | None:
        """The stream that this grant makes or changes."""
        name = self._inbox_of(session)
        if name is None or name not in granted or session.user is None:
            return None
        return session.stream or InboxStream(session, session.user, qos_of(granted[name]), self._hub)

    async def _save(self, session: Session, granted: dict[str, int], stream: InboxStream | None) -> None:
        """Raises: Unavailable."""
        assert self._hub.store is not None  # noqa: S101 -- the caller has looked
        row = session.stored()
        row.subscriptions.update(granted)
        fresh = (
            stream is not None and qos_of(granted[topics.inbox(stream.user)]) == 1 and stream.position is None
        )
        if stream is not None and fresh:
            # What is delivered while the head is being written must not be missed.
            stream.watch()
        elif stream is not None and qos_of(granted[topics.inbox(stream.user)]) == 0:
            row = dataclasses.replace(row, position=None)
        position = await self._hub.store.save_session(row, at_head=fresh)
        session.stored_seen = session.last_seen
        if stream is not None and fresh and position is not None:
            stream.keep_from(position)

    def _apply(self, session: Session, granted: dict[str, int], stream: InboxStream | None) -> None:
        name = self._inbox_of(session)
        for topic_filter, held in granted.items():
            if stream is not None and topic_filter == name:
                session.subscriptions[topic_filter] = held
                session.stream = stream
                if qos_of(held) == 0:
                    stream.lower()
                else:
                    stream.qos = 1
            else:
                self._hub.subscribe(session, topic_filter, held)

    def _after(
        self, session: Session, wanted: Iterable[tuple[str, int]], codes: list[int], fresh: set[str]
    ) -> None:
        """Behind the SUBACK: what is retained, the inbox, and who listens to subscriptions. `fresh` are the filters
        that were not held before.
        """
        hub = self._hub
        if session.connection is None:
            return
        name = self._inbox_of(session)
        for (topic_filter, asked), code in zip(wanted, codes, strict=True):
            if code >= FAILED:
                continue
            if topic_filter == name and session.stream is not None:
                session.stream.begin()
            elif not is_shared(topic_filter) and _wants_retained(asked, fresh=topic_filter in fresh):
                hub.send_retained(session, topic_filter, with_qos(asked, code))
                if hub.presence is not None:
                    hub.presence.answer(session, topic_filter, with_qos(asked, code))
            if hub.events.subscribed:
                hub.events.tell(
                    BrokerEvents.CLIENT_SUBSCRIBED, client_id=session.client_id, topic=topic_filter, qos=code
                )

    # -- UNSUBSCRIBE

    def _is_broken(self, filters: Iterable[str]) -> bool:
        """Whether one of them is no filter, or of too many levels, where that ends a connection [MQTT-4.7.1-1]."""
        return self._hub.settings.strict_topics and any(
            not topics.is_valid_filter(name) or name.count("/") > MAX_LEVELS for name in filters
        )

    def on_unsubscribe(self, connection: Connection, session: Session, packet: Unsubscribe) -> None:
        if self._is_broken(packet.filters):
            self._hub.end(connection, reason=Reason.MALFORMED_PACKET)
            return
        connection.wait(Hold.SUBSCRIBING)
        self._hub.spawn(self._unsubscribe(connection, session, packet))

    async def _unsubscribe(self, connection: Connection, session: Session, packet: Unsubscribe) -> None:
        level = session.terms.level
        try:
            async with self._hub.lock(session.client_id):
                codes = bytes(
                    Reason.SUCCESS if name in session.subscriptions else Reason.NO_SUBSCRIPTION_EXISTED
                    for name in packet.filters
                )
                if not await self._drop(session, packet.filters):
                    if level != LEVEL_5:
                        # UNSUBACK has no way to say no, and a false yes would come back after a restart.
                        self._hub.end(connection)
                        return
                    codes = bytes((Reason.UNSPECIFIED_ERROR,)) * len(packet.filters)
            connection.write(unsuback(session.terms, packet.packet_id, codes))
            if self._hub.events.unsubscribed:
                for topic_filter in packet.filters:
                    self._hub.events.tell(
                        BrokerEvents.CLIENT_UNSUBSCRIBED, client_id=session.client_id, topic=topic_filter
                    )
        finally:
            connection.release(Hold.SUBSCRIBING)

    async def _drop(self, session: Session, filters: Iterable[str]) -> bool:
        """Returns False if the store does not take it, and then all still stands."""
        hub = self._hub
        held = [name for name in filters if name in session.subscriptions]
        if held and not session.clean and hub.store is not None:
            row = session.stored()
            for name in held:
                row.subscriptions.pop(name, None)
                if name == self._inbox_of(session):
                    row = dataclasses.replace(row, position=None)
            try:
                await hub.store.save_session(row, at_head=False)
            except Unavailable:
                return False
        for name in held:
            hub.unsubscribe(session, name)
        return True

    # -- rights that change

    async def recheck(self, user: UserId) -> None:
        """Ask again about every subscription of this user's connected sessions, and drop what is not allowed
        any longer; who loses a presence is told `offline`. While the database does not answer, what stands
        stands, for a minute at most: who has certainly lost a right was unsubscribed before this.
        """
        for session in list(self._hub.by_user.get(user, ())):
            session.forget_rights()
            for _ in range(_RECHECKS):
                try:
                    async with self._hub.lock(session.client_id):
                        await self._recheck(session)
                    break
                except Unavailable:
                    await asyncio.sleep(_RECHECK_S)
            else:
                _log.warning(
                    "the rights of %s could not be looked at; its connection ends", session.client_id
                )
                if session.connection is not None:
                    self._hub.end(session.connection)

    async def _recheck(self, session: Session) -> None:
        if session.view is None or session.connection is None:
            return  # it is looked at when it comes back
        lost = [
            name
            for name in list(session.subscriptions)
            if not await self._hub.guard.allows(session.view, inner_filter(name), Action.SUBSCRIBE)
        ]
        await self._lose(session, lost)

    async def review(self) -> None:
        """Ask again who may follow the presence of users of whom that has changed, and part with the others; as
        `recheck` otherwise. Who is away is looked at when it comes back.
        """
        assert self._hub.presence is not None  # noqa: S101 -- the caller has looked
        for session, followed in self._hub.presence.watched().items():
            allowed = await self._visible_to(session, followed)
            lost = [topics.presence(user) for user in followed if user not in allowed]
            if not lost:
                continue
            async with self._hub.lock(session.client_id):
                if session.connection is not None:
                    await self._lose(session, lost)

    async def _visible_to(self, session: Session, users: list[UserId]) -> set[UserId]:
        """Nobody, if the database does not say so for too long: better untold than told without the right."""
        assert self._hub.directory is not None  # noqa: S101 -- likewise
        for _ in range(_RECHECKS if session.user is not None else 0):
            assert session.user is not None  # noqa: S101 -- as the line above
            try:
                return await self._hub.directory.visible_to(session.user, users)
            except Unavailable:
                await asyncio.sleep(_RECHECK_S)
        return set()

    async def _lose(self, session: Session, lost: list[str]) -> None:
        """The caller holds the session's lock."""
        for name in lost:
            if isinstance(topics.parse(name), topics.Presence) and name in session.subscriptions:
                session.send(Message(name, OFFLINE, 0), 0)
        if lost and not await self._drop(session, lost):
            # Better gone from memory alone than read on without the right.
            for name in lost:
                self._hub.unsubscribe(session, name)


def _wants_retained(asked: int, *, fresh: bool) -> bool:
    """Whether a subscription is sent what is retained (MQTT 5, 3.8.3.1)."""
    handling = RetainHandling.of(asked)
    return handling == RetainHandling.ALWAYS or (handling == RetainHandling.IF_NEW and fresh)
