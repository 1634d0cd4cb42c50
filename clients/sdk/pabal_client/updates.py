"""What comes in: updates as they are kept, and the messages, pages and snapshots that applications see.

Unknown types and fields are let through or ignored, never refused: a server may be newer than its clients.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Struct, field

from pabal_client.changes import BY_TYPE, Change, Source
from pabal_client.live import Receipt

SNAPSHOT = "snapshot"

__all__ = [
    "SNAPSHOT",
    "Conversation",
    "ConversationList",
    "HistoryPage",
    "Message",
    "Reacted",
    "Receipt",
    "Snapshot",
    "SyncPage",
    "Update",
    "read_history",
]


class Reacted(Struct, frozen=True, kw_only=True):
    """One emoji under a message: how many gave it, and the first of them by name."""

    emoji: str
    count: int = 0
    users: list[str] = []


class Message(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message as it was delivered or as history shows it.

    `seq` is its number in this user's inbox (None in history and from a large group's room), `id` the sender's own request id where told.
    `truncated`: it was too large for this connection; `history` has the content. `ts` is milliseconds since
    1970 UTC; so are `edited`, the time of the newest edit, and `expires`, when its content goes. Of a message that
    was `recalled`, or has `expired`, only the tombstone is left; likewise for oneself of one that was `deleted`. History has other entries too: they have a `type` of their own, and
    a `target` or an `action`.
    """

    conv: str = ""
    message_id: int
    from_: str = field(name="from", default="")
    kind: str = "text"
    ts: int = 0
    text: str | None = None
    body: dict[str, Any] | None = None
    reply_to: int | None = None
    mentions: list[str] = []
    id: str | None = None
    device: str | None = None
    seq: int | None = None
    epoch: str | None = None
    truncated: bool = False
    forward_of: Source | None = None
    expires: int | None = None
    edited: int | None = None
    recalled: bool = False
    expired: bool = False
    deleted: bool = False
    reactions: list[Reacted] = []
    type: str = "message"
    action: str | None = None
    user: str | None = None
    name: str | None = None
    mode: str | None = None
    role: str | None = None
    history: str | None = None
    posting: str | None = None
    until: int | None = None
    target: int | None = None
    emoji: str | None = None
    removed: bool = False


class Conversation(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One row of the list of conversations: how far it is (`head`), how far this user has read, and how many
    messages of others, and mentions of this user, came after that.
    """

    conv: str
    kind: str = "direct"
    head: int = 0
    read: int = 0
    unread: int = 0
    mode: str | None = None
    name: str | None = None
    mentions: int = 0
    muted_until: int | None = None
    last: Message | None = None


class ConversationList(Struct, frozen=True, kw_only=True):
    conversations: list[Conversation]
    more: bool = False


class Snapshot(Struct, frozen=True, kw_only=True):
    """The position could not be continued from: what came before `head` is known by this list alone.

    With `more` there are further conversations; ask `Client.conversations`.
    """

    epoch: str
    head: int
    conversations: list[Conversation] = []
    more: bool = False


class HistoryPage(Struct, frozen=True, kw_only=True):
    """Messages in message_id order, and how far the members have come."""

    conv: str
    head: int
    items: list[Message]
    more: bool = False
    receipts: list[Receipt] = []


class SyncPage(Struct, frozen=True, kw_only=True):
    """A page of the inbox as it is on the server. `reset`: the position given cannot be continued from."""

    epoch: str
    head: int
    items: list[msgspec.Raw] = []
    more: bool = False
    reset: bool = False
    conversations: list[Conversation] = []
    rooms: dict[str, int] = {}


class Envelope(Struct, frozen=True):
    """What the receiver must know of an update; the rest is for the application."""

    seq: int | None = None
    epoch: str | None = None
    type: str = ""
    message_id: int | None = None
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Update:
    """One step of the inbox, or one entry of a large group's room, which has no seq.

    `payload` is its JSON object as it came.
    """

    seq: int | None
    epoch: str
    type: str
    payload: bytes

    def fields(self) -> dict[str, Any]:
        """All fields, known to this library or not."""
        fields: dict[str, Any] = msgspec.json.decode(self.payload)
        return fields

    def message(self) -> Message | None:
        """The message, if this update is one that can be read as one."""
        if self.type != "message":
            return None
        try:
            return _message.decode(self.payload)
        except msgspec.ValidationError:
            return None

    def typed(self) -> "Message | Change | Snapshot | None":
        """The update as a value of its type; None for a type, or a form, that this library does not know.

        >>> match Update(7, "e1", "read", b'{"conv":"alice~bob","message_id":3}').typed():
        ...     case ReadUpTo(conv=conv, message_id=upto):
        ...         print(conv, upto)
        alice~bob 3
        """
        read = _typed.get(self.type)
        try:
            return None if read is None else read(self.payload)
        except msgspec.ValidationError:
            return None

    def snapshot(self) -> Snapshot | None:
        """The snapshot, if this update says that the client starts over."""
        return _snapshot.decode(self.payload) if self.type == SNAPSHOT else None


def read_history(reply: bytes) -> HistoryPage:
    """A page of history whose messages say which conversation they are of. Raises: msgspec.DecodeError."""
    page = _history.decode(reply)
    items = [msgspec.structs.replace(item, conv=page.conv) for item in page.items]
    receipts = [msgspec.structs.replace(receipt, conv=page.conv) for receipt in page.receipts]
    return msgspec.structs.replace(page, items=items, receipts=receipts)


_message = msgspec.json.Decoder(Message)
_history = msgspec.json.Decoder(HistoryPage)
_snapshot = msgspec.json.Decoder(Snapshot)
_typed: dict[str, Callable[[bytes], Message | Change | Snapshot]] = {
    "message": _message.decode,
    SNAPSHOT: _snapshot.decode,
    **{name: msgspec.json.Decoder(kind).decode for name, kind in BY_TYPE.items()},
}
