"""The whole wire schema: requests, replies, updates. Shared by MQTT and REST.

Requests travel on `up/…` (or over HTTP), replies on `down/…`, updates on `inbox/…`. Times are milliseconds
since 1970 UTC, for people; order comes from `message_id` and `seq` alone. Fields that a reader does not know
are ignored.
"""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from pabal.ids import REQUEST_ID_MAX

MAX_PACKET_BYTES = 256 * 1024
MAX_TEXT_BYTES = 32 * 1024
MAX_BODY_BYTES = 64 * 1024
# Every later reader, in whatever frame it runs, gets through this many levels.
MAX_BODY_DEPTH = 200
MAX_ARRAY = 100
MAX_SYNC_LIMIT = 500
MAX_HISTORY_LIMIT = 200
MAX_PAGE_BYTES = 200 * 1024
MAX_MENTIONS = 100
MAX_GROUP_NAME = 128
MAX_NEW_MEMBERS = 500
# One emoji may be many code points: a family of four with skin tones is eleven.
MAX_EMOJI = 32
# 2^53 - 1: what every JSON reader, JavaScript's too, holds exactly.
MAX_NUMBER = 9_007_199_254_740_991

EntryType = Literal["message", "edited", "recalled", "reaction", "member", "conversation"]
Number = Annotated[int, Meta(ge=0, le=MAX_NUMBER)]
PositiveNumber = Annotated[int, Meta(ge=1, le=MAX_NUMBER)]
RequestIdText = Annotated[str, Meta(min_length=1, max_length=REQUEST_ID_MAX)]
# A lone `$` would take "text\n" too; `\\Z` is not known to the readers of our OpenAPI document.
KindText = Annotated[str, Meta(min_length=1, max_length=32, pattern=r"^[a-z0-9._-]+$(?!\n)")]


class Request(Struct, frozen=True, kw_only=True, tag_field="op", omit_defaults=True):
    """What a device asks. Without `id` there is no reply and no protection against sending twice."""

    id: RequestIdText | None = None


class Send(Request, frozen=True, kw_only=True, tag="send", omit_defaults=True):
    """A message to a user (`to`) or a conversation (`conv`), with `text` or `body` or both."""

    to: str | None = None
    conv: str | None = None
    text: str | None = None
    body: dict[str, Any] | None = None
    kind: KindText = "text"
    reply_to: PositiveNumber | None = None
    mentions: Annotated[list[str], Meta(max_length=MAX_MENTIONS)] = []
    # Of the contract, and refused until they are built: to drop a lifetime in silence would keep what was
    # meant to go.
    forward_of: Any = None
    expires_in: Any = None
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


class GroupCreate(Request, frozen=True, kw_only=True, tag="group.create", omit_defaults=True):
    """A new group with its first members beside the creator, who owns it. Its creation is entry 1."""

    name: Annotated[str, Meta(min_length=1, max_length=MAX_GROUP_NAME)]
    members: Annotated[list[str], Meta(max_length=MAX_NEW_MEMBERS)] = []


class GroupAdd(Request, frozen=True, kw_only=True, tag="group.add", omit_defaults=True):
    """One more member, who sees entries from here on."""

    conv: str
    user: str


class GroupRemove(Request, frozen=True, kw_only=True, tag="group.remove", omit_defaults=True):
    """That member sees nothing that comes after."""

    conv: str
    user: str


class GroupLeave(Request, frozen=True, kw_only=True, tag="group.leave", omit_defaults=True):
    conv: str


AnyRequest = (
    Send
    | Edit
    | Recall
    | React
    | Ack
    | Read
    | Sync
    | History
    | Conversations
    | GroupCreate
    | GroupAdd
    | GroupRemove
    | GroupLeave
)
OPS: dict[str, type[AnyRequest]] = {
    "send": Send,
    "edit": Edit,
    "recall": Recall,
    "react": React,
    "ack": Ack,
    "read": Read,
    "sync": Sync,
    "history": History,
    "conversations": Conversations,
    "group.create": GroupCreate,
    "group.add": GroupAdd,
    "group.remove": GroupRemove,
    "group.leave": GroupLeave,
}


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


class LastMessage(Struct, frozen=True, kw_only=True, omit_defaults=True):
    message_id: int
    from_: str = field(name="from")
    kind: str
    ts: int
    text: str | None = None
    body: Raw | UnsetType = UNSET


class ConversationSummary(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One row of the list of conversations, as one member sees it."""

    conv: str
    kind: Literal["direct", "group"]
    head: int
    read: int
    unread: int
    mode: Literal["small", "large"] | None = None
    name: str | None = None
    last: LastMessage | None = None


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


class Receipt(Struct, frozen=True, kw_only=True):
    """How far one member has come."""

    user: str
    delivered: int
    read: int


class Message(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An entry as history shows it, in its newest state. `type` is left out where it is a message.

    `edited` is the time of the newest edit. Of a message that was recalled only the tombstone is left.
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
    role: str | None = None


class HistoryPage(Struct, frozen=True, kw_only=True):
    """Entries in message_id order."""

    re: str | None
    ok: Literal[True] = True
    conv: str
    head: int
    items: list[Message]
    more: bool
    receipts: list[Receipt]


Reply = Done | Committed | Refused | ConversationPage | SyncPage | SyncReset | HistoryPage


class MessageUpdate(Struct, frozen=True, kw_only=True, tag_field="type", tag="message", omit_defaults=True):
    """A new message. `id` and `device` are told to the sender's own devices only.

    Who catches up later gets the newest content, or none of what was `recalled` meanwhile.
    """

    ts: int
    conv: str
    message_id: int
    from_: str = field(name="from")
    kind: str
    text: str | None = None
    body: Raw | UnsetType = UNSET
    reply_to: int | None = None
    mentions: list[str] = []
    recalled: bool = False
    id: str | None = None
    device: str | None = None


class EditedUpdate(Struct, frozen=True, kw_only=True, tag_field="type", tag="edited", omit_defaults=True):
    """`target` has this content now, in the place of the one it had. `truncated`: history has the content."""

    ts: int
    conv: str
    message_id: int
    from_: str = field(name="from")
    target: int
    text: str | None = None
    body: Raw | UnsetType = UNSET
    truncated: bool = False
    id: str | None = None
    device: str | None = None


class RecalledUpdate(Struct, frozen=True, kw_only=True, tag_field="type", tag="recalled", omit_defaults=True):
    """The content of `target` is gone; `from` is who took it back."""

    ts: int
    conv: str
    message_id: int
    from_: str = field(name="from")
    target: int
    id: str | None = None
    device: str | None = None


class ReactionUpdate(Struct, frozen=True, kw_only=True, tag_field="type", tag="reaction", omit_defaults=True):
    """Somebody put an emoji under `target`, or took it back."""

    ts: int
    conv: str
    message_id: int
    from_: str = field(name="from")
    target: int
    emoji: str
    removed: bool = False
    id: str | None = None
    device: str | None = None


class ReadUpdate(Struct, frozen=True, kw_only=True, tag_field="type", tag="read"):
    """The user has read up to here, on whichever device."""

    ts: int
    conv: str
    message_id: int


class Kicked(Struct, frozen=True, kw_only=True, tag_field="type", tag="kicked"):
    """The server is about to close this device's connection; the device does not come back by itself."""

    reason: str


class Reset(Struct, frozen=True, kw_only=True, tag_field="type", tag="reset"):
    """This session missed more than is kept; it goes on from the head of the inbox."""


class MentionUpdate(Struct, frozen=True, kw_only=True, tag_field="type", tag="mention", omit_defaults=True):
    """A message of a large group that names this user; the only copy that an inbox gets of such a group."""

    ts: int
    conv: str
    message_id: int
    from_: str = field(name="from")
    kind: str
    text: str | None = None
    body: Raw | UnsetType = UNSET
    reply_to: int | None = None
    mentions: list[str] = []


class MemberUpdate(Struct, frozen=True, kw_only=True, tag_field="type", tag="member", omit_defaults=True):
    """Somebody joined, left or was removed, by whom, or has another `role`. `name` and `mode` are told to who joins."""

    ts: int
    conv: str
    message_id: int
    action: Literal["joined", "left", "removed", "role"]
    user: str
    by: str
    role: str | None = None
    name: str | None = None
    mode: Literal["small", "large"] | None = None
    id: str | None = None
    device: str | None = None


class ConversationUpdate(
    Struct, frozen=True, kw_only=True, tag_field="type", tag="conversation", omit_defaults=True
):
    """A group was created, or became large: from this message_id on its entries come by `room/{conv}`."""

    ts: int
    conv: str
    message_id: int
    action: Literal["created", "mode"]
    by: str
    name: str | None = None
    mode: Literal["small", "large"]
    members: list[str] = []
    id: str | None = None
    device: str | None = None


EntryUpdate = (
    MessageUpdate | EditedUpdate | RecalledUpdate | ReactionUpdate | MemberUpdate | ConversationUpdate
)
Update = EntryUpdate | MentionUpdate | ReadUpdate


class ServiceRequest(Struct, frozen=True, kw_only=True, rename={"as_": "as"}):
    """What a service asks in a user's name, on `svc/{instance}/up`. `ref` comes back with the reply."""

    ref: str
    as_: "ActingAs"
    request: Raw


class ActingAs(Struct, frozen=True, kw_only=True):
    user: str
    device: str


class ServiceReply(Struct, frozen=True, kw_only=True):
    """The answer on `svc/{instance}/down`; `reply` is a JSON null where the request had no id and was done.

    (msgspec reads no union of Raw and None, so the null is raw too.)
    """

    ref: str
    reply: Raw
