"""Where the bridge meets a broker: small protocols, owned here because the bridge calls or offers them.

All methods that are not `async` are called and answer in the broker's event loop thread, and return at once.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from pabal.acl import EVERYTHING
from pabal.codec import Format
from pabal.ids import ConvId, DeviceId, UserId
from pabal.trace import Trace


class Ticket(Protocol):
    """One inbound packet that waits for its acknowledgement."""

    def settle(self, accepted: bool) -> None:
        """Called exactly once, in the loop thread. True: committed or refused for good, acknowledge it.
        False: nothing was kept and no reply will tell, so do not acknowledge it (MQTT 3.1.1: close the
        connection; MQTT 5: PUBACK 0x97), and the client's own resending carries it.
        """
        ...

    def offend(self) -> None:
        """There is something in it that cannot be read as a request. Called before it is settled, for each."""
        ...


@dataclass(frozen=True, slots=True)
class Source:
    """Whose request it is, as the login established it. `allow` as in `pabal.acl.Device`."""

    user: UserId
    device: DeviceId
    allow: frozenset[str] = EVERYTHING


class Inbound(Protocol):
    """What the broker calls; the bridge's relay is one."""

    def submit(
        self, source: Source, payload: bytes, form: Format, ticket: Ticket, trace: Trace | None = None
    ) -> None:
        """A packet that arrived on the `up` topic of `source`. `trace`: the trace context that it brought."""
        ...

    def submit_service(self, instance: str, payload: bytes, ticket: Ticket) -> None:
        """A packet that arrived on `svc/{instance}/up`."""
        ...


class Outbound(Protocol):
    """What the bridge calls; a broker, or an adapter to one, is one."""

    def publish(self, topic: str, payload: bytes, qos: int, trace: str | None = None) -> None:
        """To whoever is subscribed. `trace` is the trace context that it carries, where it can carry one."""
        ...

    def deliver(self, user: UserId, updates: Sequence[tuple[int, bytes]]) -> None:
        """New updates of an inbox, `(seq, payload)`, seqs rising; earlier ones were delivered before."""
        ...

    def revoke(self, user: UserId, topic: str) -> None:
        """This user's sessions lose their subscription to this topic, before anything else is published."""
        ...

    def kick(self, user: UserId, device: DeviceId | None, reason: str, credential: str | None = None) -> None:
        """End the live connections of a device (None: of all the user's devices), telling them why.

        With a credential, only those that came in by it (`Login.credential`): a newer login stays.
        """
        ...

    def forget(self, user: UserId, device: DeviceId | None) -> None:
        """This device (None: all of the user's) is no more, and neither are its MQTT sessions and what it, or the
        server of it, has left for later subscribers: its status, and for the user its presence.
        """
        ...

    def announce(self, topic: str, payload: bytes, *, keep: bool) -> None:
        """At QoS 0, to whoever is subscribed, and with `keep` to whoever subscribes before the next announcement.
        In memory alone: it is announced again after a restart.
        """
        ...

    def review(self, user: UserId) -> None:
        """It has changed who sees this user. Soon, whoever follows its presence and may not any longer is told
        `offline`, and follows it no longer.
        """
        ...


class Courier(Protocol):
    """An `Outbound` that has not delivered when it is told to: another broker, which acknowledges later or is away.

    It tells `bridge.relay.Relay.published` once the broker has all of a batch. Until then the batch is in the outbox,
    which is where the courier finds it again when it has to begin anew.
    """

    def hand_over(self, batch: int, deliveries: Mapping[UserId, Sequence[tuple[int, bytes]]]) -> None:
        """All updates of a batch, in place of `Outbound.deliver`; batches rise, and each comes once."""
        ...


class Unsent(NamedTuple):
    """A batch as the outbox has it, with the updates of one inbox after the other."""

    batch: int
    deliveries: list[tuple[UserId, list[tuple[int, bytes]]]]


class OutboxReader(Protocol):
    async def unsent(self, after: int, limit: int) -> list[Unsent]:
        """At most `limit` batches above `after`, in their order; none: there was nothing more when it was read.

        Raises: errors.Unavailable if the database does not answer.
        """
        ...


class Presence(Protocol):
    """What the broker tells of its connections; the bridge has one. Nothing here raises, or waits."""

    def connected(self, user: UserId, device: DeviceId, client_id: str) -> None:
        """An earlier connection of that client id has ended before."""
        ...

    def disconnected(self, user: UserId, device: DeviceId, client_id: str, *, clean: bool) -> None:
        """`clean`: the client said that it goes."""
        ...

    def status(self, user: UserId, device: DeviceId, payload: bytes, *, will: bool) -> bool:
        """What was published on the `status` topic of this device, or left there as a last will. Returns False if it
        cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class InboxPage:
    """Updates with `after < seq`, rising, without a hole. `head` is the newest seq that exists.

    `min_seq` is the oldest seq still kept (head + 1 when nothing is); `after < min_seq - 1` means that some are
    gone for good, and then `updates` is empty.
    """

    updates: list[tuple[int, bytes]]
    head: int
    min_seq: int


class Directory(Protocol):
    """What the topic rules ask and only the database knows."""

    async def in_room(self, user: UserId, conv: ConvId) -> bool:
        """Whether this user is a present member of this group.

        Raises: errors.Unavailable if the database does not answer.
        """
        ...

    async def sees_presence(self, viewer: UserId, of: UserId) -> bool:
        """Whether `of` lets `viewer` see when it is online.

        Raises: errors.Unavailable if the database does not answer.
        """
        ...

    async def visible_to(self, viewer: UserId, users: Collection[UserId]) -> set[UserId]:
        """Which of them let `viewer` see when they are online.

        Raises: errors.Unavailable if the database does not answer.
        """
        ...


class InboxReader(Protocol):
    async def read_inbox(self, user: UserId, after: int, limit: int) -> InboxPage:
        """At most `limit` updates, at most `pabal.messages.MAX_PAGE_BYTES` of them, but at least one if any.

        Raises: errors.Unavailable if the database does not answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A persistent MQTT session, as it outlives a `kill -9`.

    `subscriptions` maps filters to what was granted: a number of the broker's, which for a plain subscription is the
    QoS. `expiry` is for how many seconds it outlives its connection; None: as a client of 3.1.1 has it. `position` is the acknowledged prefix of the user's inbox,
    None while the session is not subscribed to it.
    """

    client_id: str
    user: UserId | None
    device: DeviceId | None
    subscriptions: dict[str, int] = field(default_factory=dict)
    position: int | None = None
    last_seen: int = 0
    expiry: int | None = None


@dataclass(frozen=True, slots=True)
class Retained:
    """`properties` are the broker's to read; `expires` is in milliseconds since 1970."""

    topic: str
    payload: bytes
    qos: int
    properties: bytes | None = None
    expires: int | None = None


class SessionStore(Protocol):
    """Durable MQTT state. Every coroutine returns after the commit (group commit with everything else).

    Raises (each of them): errors.Unavailable if the database does not take it.
    """

    async def load_sessions(self) -> list[StoredSession]: ...

    async def load_retained(self) -> list[Retained]: ...

    async def save_session(self, session: StoredSession, *, at_head: bool) -> int | None:
        """Insert or replace. With `at_head` the position becomes the inbox's head in this very transaction.
        Returns the position.
        """
        ...

    async def delete_session(self, client_id: str) -> None: ...

    def moved(self, client_id: str, user: UserId, device: DeviceId, position: int) -> None:
        """The acknowledged prefix moved; durable within a second, also as the device's cursor. Never raises."""
        ...

    def arrived(self, user: UserId, position: int) -> None:
        """A client without a session that is kept has everything of the inbox up to there, from where it began.
        Never raises.
        """
        ...

    async def save_retained(self, retained: Retained) -> None:
        """An empty payload deletes."""
        ...


@dataclass(frozen=True, slots=True)
class StoredDelivery:
    """A message on its way to one session. `place` is its order; `options` and `details` are the broker's to read."""

    client_id: str
    place: int
    message: int
    packet_id: int
    options: int
    details: str | None = None


@dataclass(frozen=True, slots=True)
class StoredQueues:
    """All that is on disk of messages on their way.

    `sent` is the place up to which each session's deliveries may have been sent; `incoming` are the packet ids of
    clients at QoS 2 whose messages were taken, and that they have not released.
    """

    messages: dict[int, bytes]
    deliveries: list[StoredDelivery]
    sent: dict[str, int]
    incoming: list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class QueueChanges:
    """What is to change of it, whole or not at all; in the order of the fields.

    `purged`: of these sessions, everything up to that place, and all that is incoming. `done` are deliveries by
    `(client id, place)`, `gone` and `messages` go by number. `released`: deliveries that wait for the end of their
    handshake only, by `(client id, place, options)`.
    """

    purged: list[tuple[str, int]] = field(default_factory=list)
    done: list[tuple[str, int]] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)
    messages: list[tuple[int, bytes]] = field(default_factory=list)
    deliveries: list[StoredDelivery] = field(default_factory=list)
    released: list[tuple[str, int, int]] = field(default_factory=list)
    sent: list[tuple[str, int]] = field(default_factory=list)
    given_back: list[tuple[str, int]] = field(default_factory=list)
    taken: list[tuple[str, int]] = field(default_factory=list)


class QueueStore(Protocol):
    """Durable messages on their way to MQTT sessions; as `SessionStore` otherwise."""

    async def load_queues(self) -> StoredQueues: ...

    async def save_queues(self, changes: QueueChanges) -> None:
        """In one transaction. Saved twice, it is as saved once."""
        ...


@dataclass(frozen=True, slots=True)
class Login:
    """A credential that was found good. `session_id` is None for a device secret or a certificate.

    `credential` names it, whichever it is, so that its end is told from the end of another one of that device.
    """

    user: UserId
    device: DeviceId
    allow: frozenset[str]
    session_id: str | None = None
    credential: str | None = None
    admin: bool = False


class Authenticator(Protocol):
    async def authenticate(self, username: str, password: str, address: str) -> Login:
        """The device that this credential belongs to, checked against the live session or device row.

        Raises: errors.Unauthorized if it is not good (the answer never tells why); errors.RateLimited after
        too many failures; errors.Unavailable if the database does not answer.
        """
        ...

    async def vouched(self, user: UserId, device: DeviceId) -> Login:
        """That device, on the word of a certificate that was checked already.

        Raises: errors.Unauthorized if there is no such device (any more) or its user is kept out;
        errors.Unavailable.
        """
        ...
