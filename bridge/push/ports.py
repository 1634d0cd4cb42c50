"""Where the push worker meets a push service. Owned here because the worker calls it; `push/` offers the services.

A push is a hint to wake and sync, never the only copy of anything. What it says is decided before it gets here
(`bridge.push`): a service only puts it into its own form, encrypts it where it has to, and tells what came of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from pabal.ids import ConvId, DeviceId, UserId

# message: something is new. clear: what was shown of that conversation has been read elsewhere, or of a request to be a
# contact (no message_id) has been answered, take it away silently. contact: somebody asks to be one. wake: nothing but
# a reason to sync.
Kind = Literal["message", "clear", "contact", "wake"]


@dataclass(frozen=True, slots=True)
class Subscription:
    """Where one device is reached. `target` is what the client gave, as `PushService.check` returned it: its keys are
    the service's own (`endpoint`, `p256dh`, `auth`, `token`, `url`, `secret` …).
    """

    user: UserId
    device: DeviceId
    service: str
    target: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Notification:
    """What one push says. `title` and `body` are ready for people, in their language, and None where the device asked
    for nothing but an id (or there is nothing to show); they may be longer than a service takes, which then cuts them
    on a character boundary.

    Attributes:
        push_id: names this push; the same in every try.
        seq: of the inbox update that it is about; 0 for none.
        collapse: the same for all of one conversation, and another for requests of the two to be contacts; at most 32 of
            the URL-safe base64 alphabet.
        badge: messages that are unread in all conversations together.
        ttl_s: seconds after which it is of no use any more.
        urgent: shown at once (a mention, a message between two), or when it suits the device.
        ts: milliseconds since 1970, when what it is about was committed.
    """

    push_id: str
    kind: Kind
    seq: int
    conv: ConvId | None
    message_id: int | None
    title: str | None
    body: str | None
    collapse: str
    badge: int
    ttl_s: int
    urgent: bool
    ts: int


@dataclass(frozen=True, slots=True)
class Sent:
    """The service has taken it. `answer` is a line for people: its status, and its id of the message if it gave one."""

    answer: str


@dataclass(frozen=True, slots=True)
class TryLater:
    """Nothing is wrong with the subscription. `after_s`: the service said when (Retry-After), and it is kept to."""

    reason: str
    after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Gone:
    """The subscription is no more: it is deleted, and the client told."""

    reason: str


@dataclass(frozen=True, slots=True)
class SubscribeAgain:
    """The service no longer takes our credential for this subscription: the client must make a new one."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """This push can never be sent as it is, and the subscription is not to blame: a dead letter."""

    reason: str


Outcome = Sent | TryLater | Gone | SubscribeAgain | Refused


class PushService(Protocol):
    """One push service. Used in one event loop; several sends may be under way at once."""

    @property
    def name(self) -> str: ...

    def check(self, target: Mapping[str, Any]) -> dict[str, Any]:
        """What to keep of a subscription as a client gave it. Pure: nothing is connected or looked up.

        Raises: errors.BadRequest, with the field, for whatever cannot be reached or is not allowed.
        """
        ...

    async def send(self, subscription: Subscription, notification: Notification) -> Outcome:
        """One try, bounded in time. Raises nothing: whatever goes wrong is an outcome with its reason."""
        ...

    async def close(self) -> None: ...
