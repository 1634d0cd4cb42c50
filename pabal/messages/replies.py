"""Replies to what wrote something, and the pages of the inbox, of conversations and of history."""

from typing import Literal

from msgspec import UNSET, Raw, Struct, UnsetType, field

from pabal.messages.limits import EntryType, HistoryMode, PostingMode, Role


class Done(Struct, frozen=True, kw_only=True):
    """It is so, and nothing more is to be said."""

    re: str | None
    ok: Literal[True] = True


class Committed(Struct, frozen=True, kw_only=True):
    """An entry is on disk, once. `dup`: it already was, under this id. Over HTTP there is no `re`."""

    re: str | None = None
    ok: Literal[True] = True
    conv: str
    message_id: int
    ts: int
    dup: bool = False


class Refused(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Nothing was done. `error` is one of the codes of `pabal.errors`."""

    re: str | None
    ok: bool
    error: str
    detail: str
    retry_after: int | None = None


class Reactions(Struct, frozen=True, kw_only=True):
    """One emoji under a message: how many gave it, and the first of them by name, at most 20."""

    emoji: str
    count: int
    users: list[str]


class Forwarded(Struct, frozen=True, kw_only=True):
    """Where a message was forwarded from; `from` is who wrote it there."""

    conv: str
    message_id: int
    from_: str = field(name="from")


class LastMessage(Struct, frozen=True, kw_only=True, omit_defaults=True):
    message_id: int
    from_: str = field(name="from")
    kind: str
    ts: int
    text: str | None = None
    body: Raw | UnsetType = UNSET
    recalled: bool = False


class ConversationSummary(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One row of the list of conversations, as one member sees it."""

    conv: str
    kind: Literal["direct", "group"]
    head: int
    read: int
    unread: int
    mentions: int
    mode: Literal["small", "large"] | None = None
    name: str | None = None
    last: LastMessage | None = None
    muted_until: int | None = None


class ConversationPage(Struct, frozen=True, kw_only=True):
    re: str | None
    ok: Literal[True] = True
    conversations: list[ConversationSummary]
    more: bool


class SyncPage(Struct, frozen=True, kw_only=True):
    """Updates in seq order, without a hole, beginning right after the cursor that was given."""

    re: str | None
    ok: Literal[True] = True
    epoch: str
    head: int
    items: list[Raw]
    more: bool
    rooms: dict[str, int]


class SyncReset(Struct, frozen=True, kw_only=True):
    """The cursor cannot be continued from: take this snapshot and go on from `head`."""

    re: str | None
    ok: Literal[True] = True
    reset: Literal[True] = True
    epoch: str
    head: int
    conversations: list[ConversationSummary]
    more: bool


class Receipt(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far one member has come. `read` is left out where one of the two shares it with nobody."""

    user: str
    delivered: int
    read: int | UnsetType = UNSET


class Message(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An entry as history shows it, in its newest state. `type` is left out where it is a message.

    `edited` is the time of the newest edit, `expires` the time at which the content goes. Of a message that was
    recalled, or `expired`, only the tombstone is left.
    """

    message_id: int
    from_: str = field(name="from")
    kind: str
    ts: int
    text: str | None = None
    body: Raw | UnsetType = UNSET
    reply_to: int | None = None
    mentions: list[str] = []
    id: str | None = None
    type: EntryType = "message"
    edited: int | None = None
    recalled: bool = False
    reactions: list[Reactions] = []
    target: int | None = None
    emoji: str | None = None
    removed: bool = False
    action: str | None = None
    user: str | None = None
    name: str | None = None
    mode: Literal["small", "large"] | None = None
    members: list[str] = []
    role: Role | None = None
    history: HistoryMode | None = None
    posting: PostingMode | None = None
    until: int | None = None
    forward_of: Forwarded | None = None
    expires: int | None = None
    expired: bool = False


class HistoryPage(Struct, frozen=True, kw_only=True):
    """Entries in message_id order."""

    re: str | None
    ok: Literal[True] = True
    conv: str
    head: int
    items: list[Message]
    more: bool
    receipts: list[Receipt]
