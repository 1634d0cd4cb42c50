"""What the session core asks of its shell. The shell carries effects out in order, each before the next.

The order is the guarantee: `Keep` comes before the `Publish` of the same request, and `Take` before the
acknowledgement that tells the server about it.
"""

from dataclasses import dataclass

from pabal.errors import PabalError
from pabal.ids import ConvId, RequestId
from pabal_client.live import LiveValue
from pabal_client.updates import Update


@dataclass(frozen=True, slots=True)
class Entry:
    """A request on its way. Entries of one `lane` are sent one at a time, in order; None has no order.

    A durable entry outlives the process; the others are questions whose asker waits for the answer.
    """

    id: RequestId
    payload: bytes
    lane: str | None = None
    durable: bool = False


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Topics with their QoS. Answered by `Session.subscribed` with the token; 0 is the first of a connection."""

    filters: tuple[tuple[str, int], ...]
    token: int = 0


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Topics that are wanted no more. Not answered."""

    topics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Publish:
    """Answered by `Session.puback` with the token, where QoS is 1."""

    token: int
    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Close the connection. `final`: and do not come back by yourself."""

    reason: str
    final: bool


@dataclass(frozen=True, slots=True)
class Keep:
    """Put this entry into the durable outbox, behind the others."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Settled:
    """A request has its answer: `reply` as it came, or `error`. A durable entry leaves the outbox with it."""

    entry: Entry
    reply: bytes
    error: PabalError | None = None


@dataclass(frozen=True, slots=True)
class RoomMark:
    """How far this device is in a large group; None: it is no longer followed."""

    conv: ConvId
    position: int | None


@dataclass(frozen=True, slots=True)
class Take:
    """Commit these updates and the new positions to the store, in one transaction."""

    updates: tuple[Update, ...]
    epoch: str
    cursor: int
    rooms: tuple[RoomMark, ...] = ()


@dataclass(frozen=True, slots=True)
class Live:
    """Something on `live` that may be lost: typing, receipts of others."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Heard:
    """Who types, who is there, how far others have come: as a value, for the application."""

    value: LiveValue


@dataclass(frozen=True, slots=True)
class NotReceiving:
    """The server does not let this device read the inbox; sending goes on."""

    reason: str


Effect = Subscribe | Unsubscribe | Publish | Disconnect | Keep | Settled | Take | Live | Heard | NotReceiving
