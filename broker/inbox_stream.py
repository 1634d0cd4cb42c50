"""A session's subscription to its user's inbox. Nothing of it is queued here: the inbox itself is the queue.

The stream is either live (each update goes out as it is delivered) or behind (the window was full, the
socket slow, or something in between is missing) and then reads pages from the inbox until it has caught up.
On one connection seqs only rise, without a hole; what was sent and not acknowledged on an earlier connection is
read again, from the acknowledged position on, and goes out under the packet id that it had there, with DUP
[MQTT-4.4.0-1]. After a restart nothing is known of these ids: it is the update sent anew, under a new id, with DUP 0.
The client knows it by its seq.
"""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from bridge.ports import InboxPage, InboxReader, SessionStore
from broker.grants import identifier_of
from broker.message import Message
from broker.mqtt.codec import publish_head
from broker.stubs import stub
from broker.terms import PLAIN, UNNAMED
from pabal import topics
from pabal.codec import encode
from pabal.errors import Unavailable
from pabal.ids import UserId
from pabal.messages import Reset
from pabal.sequence import AckedPrefix

if TYPE_CHECKING:
    from broker.connection import Connection
    from broker.metrics import Metrics
    from broker.session import Session
    from broker.settings import BrokerSettings

_log = logging.getLogger("pabal.broker")
_RESET: Final = encode(Reset())
# Where a stream stands that begins with whatever comes next.
NEXT: Final = -1


class Surroundings(Protocol):
    """What a stream needs of its broker."""

    inbox: InboxReader | None
    store: SessionStore | None
    settings: "BrokerSettings"
    metrics: "Metrics"

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]": ...
    def enlist(self, stream: "InboxStream") -> None: ...
    def strike(self, stream: "InboxStream") -> None: ...


class InboxStream:
    """One subscription to `inbox/{user}`.

    Attributes:
        behind: it has to read on from the inbox before it may follow live.
    """

    __slots__ = (
        "_again",
        "_around",
        "_had",
        "_name",
        "_notice",
        "_prefix",
        "_seen",
        "_sent",
        "_task",
        "_topic",
        "_watching",
        "behind",
        "qos",
        "session",
        "user",
    )

    def __init__(self, session: "Session", user: UserId, qos: int, around: Surroundings) -> None:
        self.session = session
        self.user = user
        self.qos = qos
        self.behind = False
        self._around = around
        self._name = topics.inbox(user)
        self._topic = self._name.encode()
        self._prefix: AckedPrefix | None = None
        # Of a session that is not kept: what its client has, for those who are told that it was delivered.
        self._had: AckedPrefix | None = None
        self._sent = NEXT
        self._seen = 0
        # What was in flight on an earlier connection and has not gone out on this one: packet ids by seq.
        self._again: dict[int, int] = {}
        # The seq under which a reset was told, and not the update of that number.
        self._notice = 0
        self._task: asyncio.Task[None] | None = None
        self._watching = False

    @property
    def position(self) -> int | None:
        """The acknowledged prefix; None if it keeps none (clean sessions, QoS 0)."""
        return None if self._prefix is None else self._prefix.position

    def names(self, topic_filter: str) -> bool:
        """Whether this is the filter that it stands for."""
        return topic_filter == self._name

    def keep_from(self, position: int) -> None:
        """The position of a persistent session, as it is on disk; `attach` or `begin` goes on from there."""
        self._prefix = AckedPrefix(position)
        self._sent = max(self._sent, position)

    def lower(self) -> None:
        """Subscribed anew at QoS 0: nothing is kept for it any longer."""
        self.qos = 0
        self._prefix = self._had = None
        self._again.clear()
        self.behind = False
        self._stop_reading()

    def flew(self, packet_id: int, seq: int) -> None:
        """It was in flight when the connection went; `attach` follows."""
        if self._prefix is not None and seq != self._notice:
            self._again[seq] = packet_id

    def attach(self) -> None:
        """The session has a connection (again), and this subscription stands."""
        self._seen = 0
        self._had = None
        self._watching = False
        self.behind = False
        if self._prefix is not None:
            self._prefix = AckedPrefix(self._prefix.position)
            self._sent = self._prefix.position
            self.behind = True
        else:
            self._sent = NEXT
        self._around.enlist(self)

    def watch(self) -> None:
        """Remember what is delivered from now on: the position is being written, and `begin` follows."""
        self._watching = True
        self._around.enlist(self)

    def unwatch(self) -> None:
        """The position was not written."""
        self._watching = False
        if self.session.stream is not self:
            self.detach()

    def begin(self) -> None:
        """The SUBACK is on its way: follow, live if nothing came in between."""
        self._around.enlist(self)
        if self._watching:
            self._watching = False
            self.behind = self._seen > self._sent
        self.pump()

    def detach(self) -> None:
        """The connection is gone, or the subscription is."""
        self._around.strike(self)
        self.behind = False
        self._stop_reading()

    def _stop_reading(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def deliver(self, updates: Sequence[tuple[int, bytes]]) -> None:
        """New updates, seqs rising."""
        connection = self.session.connection
        if connection is None:
            return
        last = updates[-1][0]
        self._seen = max(self._seen, last)
        if self.qos == 0:
            self._deliver_lossy(connection, updates)
            return
        if self.behind or self._watching:
            self.pump()
            return
        for seq, payload in updates:
            if self._sent == NEXT:
                self._sent = seq - 1
            if seq <= self._sent:
                continue
            if self._prefix is None and self._had is None:
                self._had = AckedPrefix(seq - 1)
            if seq != self._sent + 1 or connection.paused or self.session.room <= 0:
                self.behind = True
                self.pump()
                return
            self._send(connection, seq, payload)

    def _deliver_lossy(self, connection: "Connection", updates: Sequence[tuple[int, bytes]]) -> None:
        for seq, payload in updates:
            if seq <= self._sent:
                continue
            if connection.paused:
                self._around.metrics.dropped_slow_qos0 += 1
                continue
            self._sent = seq
            data = self._whole(payload, 0, 0)
            if data is not None:
                connection.write_frame(data)
            self._around.metrics.publishes_out += 1

    def _send(self, connection: "Connection", seq: int, payload: bytes) -> None:
        session = self.session
        packet_id = self._again.pop(seq, 0) if self._again else 0
        dup = packet_id != 0 and session.is_free(packet_id)
        if not dup:
            packet_id = session.take_id()
        session.inflight[packet_id] = seq
        prefix = self._prefix or self._had
        if prefix is not None:
            prefix.sent(seq)
        self._sent = seq
        self._around.metrics.publishes_out += 1
        if session.terms is PLAIN and not dup:
            connection.write_publish(publish_head(self._topic, len(payload), 1), packet_id, payload)
            return
        data = self._whole(payload, 1, packet_id, dup=dup)
        if data is None:
            # Not even the stub fits. It counts as sent [MQTT-3.1.2-25], and acknowledged once those before it are.
            del session.inflight[packet_id]
            self.acked(seq)
            return
        connection.write(data)

    def _whole(self, payload: bytes, qos: int, packet_id: int, *, dup: bool = False) -> bytes | None:
        """The packet, or a stub where the client does not take so much; None if it does not take that either."""
        terms = self.session.terms
        identifier = identifier_of(self.session.subscriptions.get(self._name, 0))
        identifiers = (identifier,) if identifier else ()
        most = terms.maximum_packet_size
        for text in (payload, None):
            if text is None:
                text = stub(payload)  # noqa: PLW2901 -- made only if the whole is too large
            # Its topic has no alias: one that would be given to a packet that is not sent is not known to the client.
            data = Message(self._name, text, qos).encode(
                UNNAMED[terms.level], qos, packet_id, dup=dup, identifiers=identifiers
            )
            if most is None or len(data) <= most:
                return data
        self._around.metrics.dropped_too_large += 1
        return None

    def acked(self, seq: int) -> None:
        """The client has `seq`."""
        prefix = self._prefix or self._had
        if prefix is None or not prefix.acked(seq):
            return
        session, store = self.session, self._around.store
        if store is None or session.device is None:
            return
        if self._prefix is None:
            store.arrived(self.user, prefix.position)
        else:
            store.moved(session.client_id, self.user, session.device, prefix.position)

    def pump(self) -> None:
        """Read on, if that is due and there is room: at least half the window, so that a slow reader does not
        cost a query for every acknowledgement.
        """
        if self.behind and self._task is None and self._sent != NEXT and self._has_room():
            self._task = self._around.spawn(self._catch_up())

    def _has_room(self) -> bool:
        session = self.session
        connection = session.connection
        return (
            connection is not None
            and not connection.paused
            and session.room > 0
            and (session.room * 2 >= session.window or not session.inflight)
        )

    async def _catch_up(self) -> None:
        inbox = self._around.inbox
        connection = self.session.connection
        if inbox is None or connection is None:
            return
        try:
            while self.behind and self._has_room():
                try:
                    page = await inbox.read_inbox(self.user, self._sent, self.session.room)
                except Unavailable:
                    _log.warning("the inbox of a session that is behind cannot be read now")
                    await asyncio.sleep(self._around.settings.retry_delay)
                    continue
                if not self._take(connection, page):
                    await asyncio.sleep(self._around.settings.retry_delay)
        finally:
            if self._task is asyncio.current_task():
                self._task = None

    def _take(self, connection: "Connection", page: InboxPage) -> bool:
        """Send a page as far as there is room. Returns whether it brought this stream on."""
        before = self._sent
        self._seen = max(self._seen, page.head)
        if self._sent < page.min_seq - 1 or self._sent > page.head:
            self._reset(connection, page.head)
            return True
        for seq, payload in page.updates:
            if connection.paused or self.session.room <= 0:
                return True  # whatever makes room pumps again
            if seq > self._sent:
                self._send(connection, seq, payload)
        if self._sent >= self._seen:
            self.behind = False
            return True
        return self._sent > before

    def _reset(self, connection: "Connection", head: int) -> None:
        """Some updates are gone for good. The notice stands for all up to the head: its acknowledgement moves
        the position there, so that it comes again if it gets lost.
        """
        if self._sent > head:
            # The counter went back: a restored backup. What was acknowledged means nothing any longer.
            self._seen = head
            if self._prefix is not None:
                self._prefix = AckedPrefix(self._prefix.position)
        self._around.metrics.resets += 1
        self._again.clear()
        self._notice = head
        self._send(connection, head, _RESET)
        self.behind = self._seen > self._sent
