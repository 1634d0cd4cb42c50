"""What an application may want to know beside its messages. Given to `on_event`, in order."""

from dataclasses import dataclass
from typing import Any

from pabal.errors import PabalError
from pabal.ids import RequestId
from pabal.messages import Committed


@dataclass(frozen=True, slots=True)
class Online:
    """Connected and subscribed."""


@dataclass(frozen=True, slots=True)
class Offline:
    """The connection is gone; the client tries again by itself."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The client does not come back by itself: it was kicked, or its credential or store is no good."""

    error: Exception


@dataclass(frozen=True, slots=True)
class Sent:
    """A message is on the server's disk, maybe one of an earlier run of this program."""

    id: RequestId
    committed: Committed


@dataclass(frozen=True, slots=True)
class NotSent:
    """The server refused a message for good; it is no longer in the outbox."""

    id: RequestId
    error: PabalError


@dataclass(frozen=True, slots=True)
class LiveUpdate:
    """Something that may be lost: typing, receipts of others."""

    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ReceivingRefused:
    """This credential may send but not read the inbox."""

    reason: str


Event = Online | Offline | Ended | Sent | NotSent | LiveUpdate | ReceivingRefused
