"""The bridge's side of a broker, in memory: it commits in order, can be held, broken, and started again."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace

from bridge.ports import (
    InboxPage,
    Login,
    QueueChanges,
    Retained,
    Source,
    StoredDelivery,
    StoredQueues,
    StoredSession,
    Ticket,
)
from pabal import errors
from pabal.codec import Format
from pabal.ids import ConvId, DeviceId, UserId
from pabal.trace import Trace


class Gate:
    """Everything passes, or waits while it is shut, or is refused while it is broken."""

    def __init__(self) -> None:
        self.broken = False
        self.waiting = 0
        self._open = asyncio.Event()
        self._open.set()

    def shut(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    async def __call__(self) -> None:
        await asyncio.sleep(0)  # as a commit: never done at once
        self.waiting += 1
        try:
            await self._open.wait()
        finally:
            self.waiting -= 1
        if self.broken:
            raise errors.Unavailable("the fake database is broken", retry_after=1)


class FakeInbox:
    """Inboxes, numbered from 1. `append` is the commit."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.rows: dict[str, list[bytes]] = {}
        self.min_seq: dict[str, int] = {}
        self.reads: list[tuple[str, int, int]] = []

    def append(self, user: str, payload: bytes) -> tuple[int, bytes]:
        rows = self.rows.setdefault(user, [])
        rows.append(payload)
        return len(rows), payload

    def head(self, user: str) -> int:
        return len(self.rows.get(user, ()))

    async def read_inbox(self, user: UserId, after: int, limit: int) -> InboxPage:
        self.reads.append((user, after, limit))
        await self.gate()
        rows = self.rows.get(user, [])
        oldest = self.min_seq.get(user, 1)
        if after < oldest - 1:
            return InboxPage([], len(rows), oldest)
        return InboxPage(
            [(seq, rows[seq - 1]) for seq in range(after + 1, len(rows) + 1)][:limit], len(rows), oldest
        )


class FakeStore:
    """MQTT state that survives the broker, as tables would."""

    def __init__(self, inbox: FakeInbox) -> None:
        self.gate = Gate()
        self.inbox = inbox
        self.sessions: dict[str, StoredSession] = {}
        self.retained: dict[str, Retained] = {}
        self.cursors: dict[tuple[str, str], int] = {}
        self.arrivals: list[tuple[str, int]] = []
        self.queue_gate = Gate()
        self.groups: list[QueueChanges] = []
        self.messages: dict[int, bytes] = {}
        self.deliveries: dict[tuple[str, int], StoredDelivery] = {}
        self.sent: dict[str, int] = {}
        self.incoming: set[tuple[str, int]] = set()
        self._turn = asyncio.Lock()

    async def load_sessions(self) -> list[StoredSession]:
        await self.gate()
        return list(self.sessions.values())

    async def load_retained(self) -> list[Retained]:
        await self.gate()
        return list(self.retained.values())

    async def save_session(self, session: StoredSession, *, at_head: bool) -> int | None:
        async with self._turn:
            await self.gate()
            if at_head:
                session = replace(session, position=self.inbox.head(session.user or ""))
            self.sessions[session.client_id] = session
            return session.position

    async def delete_session(self, client_id: str) -> None:
        async with self._turn:
            await self.gate()
            self.sessions.pop(client_id, None)
            self.sent.pop(client_id, None)
            self._purge(client_id, max((key[1] for key in self.deliveries), default=0))

    def moved(self, client_id: str, user: UserId, device: DeviceId, position: int) -> None:
        row = self.sessions.get(client_id)
        if row is not None:
            self.sessions[client_id] = replace(row, position=position)
        self.cursors[user, device] = position

    def arrived(self, user: UserId, position: int) -> None:
        self.arrivals.append((user, position))

    async def save_retained(self, retained: Retained) -> None:
        async with self._turn:
            await self.gate()
            if retained.payload:
                self.retained[retained.topic] = retained
            else:
                self.retained.pop(retained.topic, None)

    def _purge(self, client_id: str, upto: int) -> None:
        for key in [key for key in self.deliveries if key[0] == client_id and key[1] <= upto]:
            del self.deliveries[key]
        self.incoming = {key for key in self.incoming if key[0] != client_id}

    async def load_queues(self) -> StoredQueues:
        await self.gate()
        deliveries = [self.deliveries[key] for key in sorted(self.deliveries)]
        return StoredQueues(dict(self.messages), deliveries, dict(self.sent), sorted(self.incoming))

    async def save_queues(self, changes: QueueChanges) -> None:
        await self.queue_gate()
        self.groups.append(changes)
        for client_id, place in changes.purged:
            self._purge(client_id, place)
        for key in changes.done:
            self.deliveries.pop(key, None)
        for number in changes.gone:
            self.messages.pop(number, None)
        self.messages.update(changes.messages)
        self.deliveries.update({(one.client_id, one.place): one for one in changes.deliveries})
        for client_id, place, options in changes.released:
            if (row := self.deliveries.get((client_id, place))) is not None:
                self.deliveries[client_id, place] = replace(row, options=options)
        for client_id, place in changes.sent:
            if client_id in self.sessions:
                self.sent[client_id] = max(place, self.sent.get(client_id, 0))
        self.incoming -= set(changes.given_back)
        self.incoming |= set(changes.taken)


class FakeDirectory:
    """`bridge.ports.Directory` over two sets that a test changes."""

    def __init__(self) -> None:
        self.friends: set[str] = set()
        self.rooms: set[tuple[str, str]] = set()
        self.failing = False
        self.asked = 0

    async def sees_presence(self, viewer: UserId, of: UserId) -> bool:  # noqa: ARG002 -- the port's signature
        return of in self.friends

    async def visible_to(self, viewer: UserId, users: Collection[UserId]) -> set[UserId]:  # noqa: ARG002 -- likewise
        self.asked += 1
        if self.failing:
            raise errors.Unavailable("the database did not answer")
        return {user for user in users if user in self.friends}

    async def in_room(self, user: UserId, conv: ConvId) -> bool:
        self.asked += 1
        if self.failing:
            raise errors.Unavailable("the database did not answer")
        return (user, conv) in self.rooms


class FakeInbound:
    """Takes requests; settles them at once, or leaves that to the test (`hold`)."""

    def __init__(self) -> None:
        self.hold = False
        self.answer = True
        self.submitted: list[tuple[object, bytes, Format | None]] = []
        self.tickets: list[Ticket] = []
        self.traces: list[Trace | None] = []

    def submit(
        self, source: Source, payload: bytes, form: Format, ticket: Ticket, trace: Trace | None = None
    ) -> None:
        self.traces.append(trace)
        self._take(source, payload, form, ticket)

    def submit_service(self, instance: str, payload: bytes, ticket: Ticket) -> None:
        self._take(instance, payload, None, ticket)

    def _take(self, source: object, payload: bytes, form: Format | None, ticket: Ticket) -> None:
        self.submitted.append((source, payload, form))
        self.tickets.append(ticket)
        if not self.hold:
            asyncio.get_running_loop().call_soon(ticket.settle, self.answer)

    def payloads(self) -> list[bytes]:
        return [payload for _, payload, _ in self.submitted]


class FakeAuthenticator:
    """`{user}/{device}`'s password is `{device}-secret`, for the users that it knows."""

    def __init__(self, users: Sequence[str] = ("alice", "bob", "carol")) -> None:
        self.gate = Gate()
        self.users = set(users)
        self.allow = frozenset(("send", "receive"))
        self.admin = False
        self.vouched_for = {"phone"}
        self.limited = False
        self.credential: str | None = None
        self.asked: list[tuple[str, str, str]] = []
        self.in_flight = 0
        self.most_in_flight = 0

    async def authenticate(self, username: str, password: str, address: str) -> Login:
        self.asked.append((username, password, address))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await self.gate()
        finally:
            self.in_flight -= 1
        if self.limited:
            raise errors.RateLimited("too many failures", retry_after=6)
        device, _, rest = password.rpartition("-")
        if username not in self.users or rest != "secret":
            raise errors.Unauthorized("no such credential")
        return Login(
            UserId(username), DeviceId(device), self.allow, credential=self.credential, admin=self.admin
        )

    async def vouched(self, user: UserId, device: DeviceId) -> Login:
        await self.gate()
        if user not in self.users or device not in self.vouched_for:
            raise errors.Unauthorized("no such device")
        return Login(user, device, self.allow, credential="certificate", admin=self.admin)
