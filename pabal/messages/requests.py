"""Requests about messages, and about what one has of them."""

from typing import Annotated, Any

from msgspec import Meta, Struct, field

from pabal.messages.limits import (
    MAX_EMOJI,
    MAX_HISTORY_LIMIT,
    MAX_LIFETIME_S,
    MAX_MENTIONS,
    MAX_SYNC_LIMIT,
    KindText,
    Number,
    PositiveNumber,
)
from pabal.messages.request import Request


class ForwardOf(Struct, frozen=True, kw_only=True):
    """The message that is forwarded."""

    conv: str
    message_id: PositiveNumber


class Send(Request, frozen=True, kw_only=True, tag="send", omit_defaults=True):
    """A message to a user (`to`) or a conversation (`conv`), with `text` or `body` or both.

    What is forwarded needs neither: it is copied then, with its kind. After `expires_in` seconds the content goes,
    for everybody.
    """

    to: str | None = None
    conv: str | None = None
    text: str | None = None
    body: dict[str, Any] | None = None
    kind: KindText = "text"
    reply_to: PositiveNumber | None = None
    mentions: Annotated[list[str], Meta(max_length=MAX_MENTIONS)] = field(default_factory=list)
    forward_of: ForwardOf | None = None
    expires_in: Annotated[int, Meta(ge=1, le=MAX_LIFETIME_S)] | None = None
    # Of the contract, and refused until they are built: to drop them in silence would lose them.
    attachments: Any = None


class Edit(Request, frozen=True, kw_only=True, tag="edit", omit_defaults=True):
    """Another content for one's own message; what is left out is gone from it."""

    conv: str
    target: PositiveNumber
    text: str | None = None
    body: dict[str, Any] | None = None


class Recall(Request, frozen=True, kw_only=True, tag="recall", omit_defaults=True):
    """The content of a message goes, for everybody; its number stays."""

    conv: str
    target: PositiveNumber


class Delete(Request, frozen=True, kw_only=True, tag="delete", omit_defaults=True):
    """Hide a message from oneself, on all one's devices; nobody else notices."""

    conv: str
    target: PositiveNumber


class React(Request, frozen=True, kw_only=True, tag="react", omit_defaults=True):
    """One of each emoji for each member and message; `remove` takes it back."""

    conv: str
    target: PositiveNumber
    emoji: Annotated[str, Meta(min_length=1, max_length=MAX_EMOJI)]
    remove: bool = False


class Ack(Request, frozen=True, kw_only=True, tag="ack", omit_defaults=True):
    """This device has everything up to `seq`."""

    seq: Number


class Read(Request, frozen=True, kw_only=True, tag="read", omit_defaults=True):
    """Read up to here; never goes back."""

    conv: str
    message_id: PositiveNumber


class Typing(Request, frozen=True, kw_only=True, tag="typing", omit_defaults=True):
    """Writing at this moment, or not any longer. Kept nowhere; whoever is told takes it as over after 6 seconds."""

    conv: str
    on: bool


class Sync(Request, frozen=True, kw_only=True, tag="sync", omit_defaults=True):
    """A page of the inbox: the updates with a seq above `after`."""

    after: Number
    epoch: str | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_SYNC_LIMIT)] = MAX_SYNC_LIMIT


class History(Request, frozen=True, kw_only=True, tag="history", omit_defaults=True):
    """A page of a conversation: the newest below `before`, or the oldest above `after`."""

    conv: str
    before: PositiveNumber | None = None
    after: Number | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_HISTORY_LIMIT)] = 50


class Conversations(Request, frozen=True, kw_only=True, tag="conversations", omit_defaults=True):
    """A page of the conversations that one is in, by conversation id."""

    after: str | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_HISTORY_LIMIT)] = 100


class Mute(Request, frozen=True, kw_only=True, tag="mute", omit_defaults=True):
    """No notifications of this conversation for oneself until then (ms since 1970), or until `remove`."""

    conv: str
    until: PositiveNumber | None = None
    remove: bool = False
