"""The whole wire schema: requests, replies, updates. Shared by MQTT and REST.

Requests travel on `up/…` (or over HTTP), replies on `down/…`, updates on `inbox/…`. Times are milliseconds
since 1970 UTC, for people; order comes from `message_id` and `seq` alone. Fields that a reader does not know
are ignored.
"""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from pabal.ids import REQUEST_ID_MAX
from pabal.push import Lang, Preview, QuietHours

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
MAX_PRESENCE_USERS = 200
# One emoji may be many code points: a family of four with skin tones is eleven.
MAX_EMOJI = 32
MAX_CONTACT_TEXT = 500
MAX_PEOPLE_LIMIT = 500
MIN_SEARCH = 2
MAX_SEARCH = 64
MAX_FOUND = 100
MAX_REASON = 64
MAX_REPORT_TEXT = 2_000
MAX_LIFETIME_S = 365 * 24 * 3600
# 2^53 - 1: what every JSON reader, JavaScript's too, holds exactly.
MAX_NUMBER = 9_007_199_254_740_991

ContactAction = Literal["requested", "received", "accepted", "removed", "blocked", "unblocked"]
MAX_INVITE_SECONDS = 31_536_000
MAX_INVITE_CODE = 32
# 2^53 - 1: what every JSON reader, JavaScript's too, holds exactly.
MAX_NUMBER = 9_007_199_254_740_991

Role = Literal["owner", "admin", "member"]
HistoryMode = Literal["join", "all"]
PostingMode = Literal["all", "admins"]
EntryType = Literal["message", "edited", "recalled", "reaction", "member", "conversation"]
Number = Annotated[int, Meta(ge=0, le=MAX_NUMBER)]
PositiveNumber = Annotated[int, Meta(ge=1, le=MAX_NUMBER)]
RequestIdText = Annotated[str, Meta(min_length=1, max_length=REQUEST_ID_MAX)]
# A lone `$` would take "text\n" too; `\\Z` is not known to the readers of our OpenAPI document.
KindText = Annotated[str, Meta(min_length=1, max_length=32, pattern=r"^[a-z0-9._-]+$(?!\n)")]
GroupName = Annotated[str, Meta(min_length=1, max_length=MAX_GROUP_NAME)]
InviteCode = Annotated[str, Meta(min_length=1, max_length=MAX_INVITE_CODE)]
InviteSeconds = Annotated[int, Meta(ge=1, le=MAX_INVITE_SECONDS)]


class Request(Struct, frozen=True, kw_only=True, tag_field="op", omit_defaults=True):
    """What a device asks. Without `id` there is no reply and no protection against sending twice."""

    id: RequestIdText | None = None


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
    mentions: Annotated[list[str], Meta(max_length=MAX_MENTIONS)] = []
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


class GroupCreate(Request, frozen=True, kw_only=True, tag="group.create", omit_defaults=True):
    """A new group with its first members beside the creator, who owns it. Its creation is entry 1.

    `history` says what newcomers see: entries from their join on, or all. `posting`: who may write.
    """

    name: GroupName
    members: Annotated[list[str], Meta(max_length=MAX_NEW_MEMBERS)] = []
    history: HistoryMode = "join"
    posting: PostingMode = "all"


class GroupAdd(Request, frozen=True, kw_only=True, tag="group.add", omit_defaults=True):
    """One more member; or another `role` for one who is a member. `owner` hands the group over."""

    conv: str
    user: str
    role: Role | None = None


class GroupRemove(Request, frozen=True, kw_only=True, tag="group.remove", omit_defaults=True):
    """That member sees nothing that comes after."""

    conv: str
    user: str


class GroupLeave(Request, frozen=True, kw_only=True, tag="group.leave", omit_defaults=True):
    conv: str


class Presence(Request, frozen=True, kw_only=True, tag="presence", omit_defaults=True):
    """What these users are doing, as far as each of them shows it to who asks."""

    users: Annotated[list[str], Meta(max_length=MAX_PRESENCE_USERS)]


class ContactRequest(Request, frozen=True, kw_only=True, tag="contact.request", omit_defaults=True):
    """Ask somebody to be a contact, with a word if one likes; if they asked already, both are contacts."""

    user: str
    text: Annotated[str, Meta(max_length=MAX_CONTACT_TEXT)] | None = None


class ContactAccept(Request, frozen=True, kw_only=True, tag="contact.accept", omit_defaults=True):
    """Take the request of that user."""

    user: str


class ContactRemove(Request, frozen=True, kw_only=True, tag="contact.remove", omit_defaults=True):
    """End a contact, refuse a request, or take one back."""

    user: str


class Contacts(Request, frozen=True, kw_only=True, tag="contacts", omit_defaults=True):
    """A page of one's contacts and open requests, by user."""

    after: str | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_PEOPLE_LIMIT)] = MAX_PEOPLE_LIMIT


class BlockAdd(Request, frozen=True, kw_only=True, tag="block.add", omit_defaults=True):
    """That user and oneself hear and see nothing of each other any more. Nobody else is told."""

    user: str


class BlockRemove(Request, frozen=True, kw_only=True, tag="block.remove", omit_defaults=True):
    user: str


class Blocks(Request, frozen=True, kw_only=True, tag="blocks", omit_defaults=True):
    """A page of those whom one has blocked, by user."""

    after: str | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_PEOPLE_LIMIT)] = MAX_PEOPLE_LIMIT


class Users(Request, frozen=True, kw_only=True, tag="users", omit_defaults=True):
    """People whose user name or display name begins so."""

    q: Annotated[str, Meta(max_length=MAX_SEARCH)]
    limit: Annotated[int, Meta(ge=1, le=MAX_FOUND)] = 20


class UserGet(Request, frozen=True, kw_only=True, tag="user.get", omit_defaults=True):
    """Whether there is somebody of this name, and to those who know them what they say of themselves."""

    user: str


class Reports(Request, frozen=True, kw_only=True, tag="reports", omit_defaults=True):
    """What was reported, oldest first, from above number `after` on. For admins."""

    after: Number = 0
    limit: Annotated[int, Meta(ge=1, le=MAX_HISTORY_LIMIT)] = 50


class Report(Request, frozen=True, kw_only=True, tag="report", omit_defaults=True):
    """Tell the moderators of a user, or of a message (`conv` and `message_id`) that one sees."""

    user: str | None = None
    conv: str | None = None
    message_id: PositiveNumber | None = None
    reason: Annotated[str, Meta(min_length=1, max_length=MAX_REASON)]
    text: Annotated[str, Meta(max_length=MAX_REPORT_TEXT)] | None = None


class GroupUpdate(Request, frozen=True, kw_only=True, tag="group.update", omit_defaults=True):
    """What is left out stays as it is. Another `history` is for those who join later."""

    conv: str
    name: GroupName | None = None
    history: HistoryMode | None = None
    posting: PostingMode | None = None


class GroupDissolve(Request, frozen=True, kw_only=True, tag="group.dissolve", omit_defaults=True):
    """Everybody is told, and then nobody is a member."""

    conv: str


class GroupMute(Request, frozen=True, kw_only=True, tag="group.mute", omit_defaults=True):
    """That member does not write until then (ms since 1970), or until `remove`."""

    conv: str
    user: str
    until: PositiveNumber | None = None
    remove: bool = False


class Mute(Request, frozen=True, kw_only=True, tag="mute", omit_defaults=True):
    """No notifications of this conversation for oneself until then (ms since 1970), or until `remove`."""

    conv: str
    until: PositiveNumber | None = None
    remove: bool = False


class GroupInvite(Request, frozen=True, kw_only=True, tag="group.invite", omit_defaults=True):
    """A code by which whoever has it joins, for some time and so many of them, or without end."""

    conv: str
    expires_in: InviteSeconds | None = None
    uses: PositiveNumber | None = None


class GroupInvites(Request, frozen=True, kw_only=True, tag="group.invites", omit_defaults=True):
    """The codes that are good, for owner and admins."""

    conv: str


class GroupUninvite(Request, frozen=True, kw_only=True, tag="group.uninvite", omit_defaults=True):
    """That code is good for nothing from here on."""

    conv: str
    code: InviteCode


class GroupJoin(Request, frozen=True, kw_only=True, tag="group.join", omit_defaults=True):
    code: InviteCode


class GroupGet(Request, frozen=True, kw_only=True, tag="group.get", omit_defaults=True):
    """A group, and a page of its members by name."""

    conv: str
    after: str | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_SYNC_LIMIT)] = 100


class PushSet(Request, frozen=True, kw_only=True, tag="push.set", omit_defaults=True):
    """Reach this device by that push service when its app is closed; instead of whatever was set before.

    Which of `endpoint` and keys (`keys` as a browser gives them, or `p256dh` and `auth`), `token`, `url` and `secret`
    a service takes, it says itself. `device`: another one of the user's, where the credential is a login.
    """

    device: str | None = None
    service: Annotated[str, Meta(min_length=1, max_length=16)] = "stdout"
    endpoint: str | None = None
    keys: dict[str, Any] | None = None
    p256dh: str | None = None
    auth: str | None = None
    token: str | None = None
    url: str | None = None
    secret: str | None = None
    preview: Preview = "full"
    lang: Lang = "ko"
    quiet: QuietHours | None = None


class PushRemove(Request, frozen=True, kw_only=True, tag="push.remove", omit_defaults=True):
    """No pushes to this device any longer."""

    device: str | None = None


class PushGet(Request, frozen=True, kw_only=True, tag="push.get", omit_defaults=True):
    """How this device is reached, without what is secret."""

    device: str | None = None


class QuietSet(Request, frozen=True, kw_only=True, tag="quiet.set", omit_defaults=True):
    """No pushes in these hours of the day: of this conversation (`conv`), or of all."""

    conv: str | None = None
    hours: QuietHours


class QuietRemove(Request, frozen=True, kw_only=True, tag="quiet.remove", omit_defaults=True):
    conv: str | None = None


class QuietGet(Request, frozen=True, kw_only=True, tag="quiet.get", omit_defaults=True):
    """All of one's quiet hours."""


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
    | Presence
    | ContactRequest
    | ContactAccept
    | ContactRemove
    | Contacts
    | BlockAdd
    | BlockRemove
    | Blocks
    | Users
    | Report
    | UserGet
    | Reports
    | GroupUpdate
    | GroupDissolve
    | GroupMute
    | Mute
    | GroupInvite
    | GroupInvites
    | GroupUninvite
    | GroupJoin
    | GroupGet
    | Delete
    | Typing
    | PushSet
    | PushRemove
    | PushGet
    | QuietSet
    | QuietRemove
    | QuietGet
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
    "presence": Presence,
    "contact.request": ContactRequest,
    "contact.accept": ContactAccept,
    "contact.remove": ContactRemove,
    "contacts": Contacts,
    "block.add": BlockAdd,
    "block.remove": BlockRemove,
    "blocks": Blocks,
    "users": Users,
    "report": Report,
    "user.get": UserGet,
    "reports": Reports,
    "group.update": GroupUpdate,
    "group.dissolve": GroupDissolve,
    "group.mute": GroupMute,
    "mute": Mute,
    "group.invite": GroupInvite,
    "group.invites": GroupInvites,
    "group.uninvite": GroupUninvite,
    "group.join": GroupJoin,
    "group.get": GroupGet,
    "delete": Delete,
    "typing": Typing,
    "push.set": PushSet,
    "push.remove": PushRemove,
    "push.get": PushGet,
    "quiet.set": QuietSet,
    "quiet.remove": QuietRemove,
    "quiet.get": QuietGet,
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


class Invited(Struct, frozen=True, kw_only=True):
    """A code of one's making. `expires` in ms since 1970; `uses`: how many may join by it; None: no end."""

    re: str | None
    ok: Literal[True] = True
    code: str
    expires: int | None
    uses: int | None


class Invite(Struct, frozen=True, kw_only=True):
    """A code that is good: who made it, how many have joined by it, and how many more may (None: no end)."""

    code: str
    by: str
    ts: int
    expires: int | None
    uses: int | None
    used: int


class InvitePage(Struct, frozen=True, kw_only=True):
    """In the order of their codes."""

    re: str | None
    ok: Literal[True] = True
    conv: str
    invites: list[Invite]


class GroupMember(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`muted_until`: where this member may not write before then (ms since 1970)."""

    user: str
    role: Role
    muted_until: int | None = None


class GroupPage(Struct, frozen=True, kw_only=True):
    """A group with a page of its members, by name."""

    re: str | None
    ok: Literal[True] = True
    conv: str
    name: str
    mode: Literal["small", "large"]
    history: HistoryMode
    posting: PostingMode
    members: list[GroupMember]
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


class UserPresence(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`offline` also where it is not shown, and where there is no such user. `last_seen`: when a device of theirs was
    here last, to the minute, for those to whom it is shown.
    """

    user: str
    state: Literal["online", "away", "offline"]
    last_seen: int | None = None


class PresenceList(Struct, frozen=True, kw_only=True):
    """In the order in which they were asked for, each once."""

    re: str | None
    ok: Literal[True] = True
    presence: list[UserPresence]


class ContactState(Struct, frozen=True, kw_only=True):
    """How one stands to `user` now."""

    re: str | None
    ok: Literal[True] = True
    user: str
    state: Literal["accepted", "requested", "received"]


class Contact(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A contact, or an open request: made by oneself (`requested`), or by the other one (`received`).

    `since`: when it became so. The name is shown of contacts, and of those who ask to be one.
    """

    user: str
    state: Literal["accepted", "requested", "received"]
    since: int
    display_name: str | None = None
    text: str | None = None


class ContactPage(Struct, frozen=True, kw_only=True):
    re: str | None
    ok: Literal[True] = True
    contacts: list[Contact]
    more: bool


class BlockedUser(Struct, frozen=True, kw_only=True):
    user: str
    since: int


class BlockPage(Struct, frozen=True, kw_only=True):
    re: str | None
    ok: Literal[True] = True
    blocks: list[BlockedUser]
    more: bool


class FoundUser(Struct, frozen=True, kw_only=True, omit_defaults=True):
    user: str
    display_name: str | None = None


class UserPage(Struct, frozen=True, kw_only=True):
    """Who was found, best first: the name itself, then user names, then display names. `more`: ask more exactly."""

    re: str | None
    ok: Literal[True] = True
    users: list[FoundUser]
    more: bool


class PublicProfile(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """That there is somebody of this name; what they say of themselves is for those who know them."""

    user: str
    display_name: str | None = None
    about: str | None = None


class ProfileReply(Struct, frozen=True, kw_only=True):
    """A PublicProfile, asked for by request."""

    re: str | None
    ok: Literal[True] = True
    user: str
    display_name: str | UnsetType = UNSET
    about: str | UnsetType = UNSET


class ReportDone(Struct, frozen=True, kw_only=True):
    """The moderators have it under this number. `dup`: they had it before."""

    re: str | None
    ok: Literal[True] = True
    report: int
    dup: bool = False


class ReportedContent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message as it was when it was reported."""

    from_: str = field(name="from")
    kind: str
    ts: int
    text: str | None = None
    body: Raw | UnsetType = UNSET
    recalled: bool = False


class KeptReport(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A report as moderators see it. `user` is whom it is about; `content` is a ReportedContent."""

    report: int
    ts: int
    reporter: str
    user: str
    conv: str | None = None
    message_id: int | None = None
    reason: str
    text: str | None = None
    content: Raw | UnsetType = UNSET


class PushState(Struct, frozen=True, kw_only=True):
    """How a device is reached. `ended`: the service takes nothing for it any more, and the client is to subscribe anew."""

    re: str | None
    ok: Literal[True] = True
    device: str
    service: str
    preview: Preview
    lang: Lang
    since: int
    quiet: QuietHours | None = None
    ended: bool = False


class QuietState(Struct, frozen=True, kw_only=True):
    """`quiet` are the hours for everything, `conversations` those of single ones."""

    re: str | None
    ok: Literal[True] = True
    quiet: QuietHours | None
    conversations: dict[str, QuietHours]


class ReportPage(Struct, frozen=True, kw_only=True):
    re: str | None
    ok: Literal[True] = True
    reports: list[KeptReport]
    more: bool


Reply = (
    Done
    | Committed
    | Refused
    | ConversationPage
    | SyncPage
    | SyncReset
    | HistoryPage
    | ContactState
    | ContactPage
    | BlockPage
    | UserPage
    | ReportDone
    | ProfileReply
    | ReportPage
    | Invited
    | InvitePage
    | GroupPage
    | PresenceList
    | PushState
    | QuietState
)


class MessageUpdate(Struct, frozen=True, kw_only=True, tag_field="type", tag="message", omit_defaults=True):
    """A new message. `id` and `device` are told to the sender's own devices only.

    Who catches up later gets the newest content, or none of what was `recalled` (or `expired`) meanwhile, or what
    the user has `deleted` from the own view.
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
    forward_of: Forwarded | None = None
    expires: int | None = None
    expired: bool = False
    deleted: bool = False
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
    """The content of `target` is gone; `from` is who took it back. `expired`: its time was over; `from` is who
    wrote it.
    """

    ts: int
    conv: str
    message_id: int
    from_: str = field(name="from")
    target: int
    expired: bool = False
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


class DeletedUpdate(Struct, frozen=True, kw_only=True, tag_field="type", tag="deleted"):
    """The user has hidden this message from the own view, on whichever device."""

    ts: int
    conv: str
    target: int


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
    recalled: bool = False
    forward_of: Forwarded | None = None
    expires: int | None = None
    expired: bool = False
    deleted: bool = False


class MemberUpdate(Struct, frozen=True, kw_only=True, tag_field="type", tag="member", omit_defaults=True):
    """Somebody joined, left, was removed, has another `role`, or may not write (until then, if that ends by
    itself) or may again; by whom. `name` and `mode` are told to who joins.
    """

    ts: int
    conv: str
    message_id: int
    action: Literal["joined", "left", "removed", "role", "muted", "unmuted"]
    user: str
    by: str
    name: str | None = None
    mode: Literal["small", "large"] | None = None
    role: Role | None = None
    until: int | None = None
    id: str | None = None
    device: str | None = None


class ConversationUpdate(
    Struct, frozen=True, kw_only=True, tag_field="type", tag="conversation", omit_defaults=True
):
    """A group was created, became large (from this message_id on its entries come by `room/{conv}`), has another
    name or other settings, of which those that changed are told, or is dissolved.
    """

    ts: int
    conv: str
    message_id: int
    action: Literal["created", "mode", "renamed", "settings", "dissolved"]
    by: str
    name: str | None = None
    mode: Literal["small", "large"]
    members: list[str] = []
    history: HistoryMode | None = None
    posting: PostingMode | None = None
    id: str | None = None
    device: str | None = None


class ContactUpdate(Struct, frozen=True, kw_only=True, tag_field="type", tag="contact", omit_defaults=True):
    """A request was made, got, accepted or ended; or, on one's own devices alone, `user` was blocked or is no more."""

    ts: int
    action: ContactAction
    user: str
    text: str | None = None


class MuteUpdate(Struct, frozen=True, kw_only=True, tag_field="type", tag="conversation", omit_defaults=True):
    """No entry: a device of one's own turned the notifications of a conversation off, until then, or on again."""

    ts: int
    conv: str
    action: Literal["muted", "unmuted"]
    until: int | None = None


class SystemUpdate(Struct, frozen=True, kw_only=True, tag_field="type", tag="system"):
    """The server's own word. The push subscription of `device` is no more (`push_gone`: the service does not know it any
    longer; `push_again`: it does not take this server's credential for it), and its app is to subscribe anew.
    """

    ts: int
    event: Literal["push_gone", "push_again"]
    device: str
    service: str
    reason: str


EntryUpdate = (
    MessageUpdate | EditedUpdate | RecalledUpdate | ReactionUpdate | MemberUpdate | ConversationUpdate
)
Update = EntryUpdate | MentionUpdate | ReadUpdate | ContactUpdate | MuteUpdate | DeletedUpdate | SystemUpdate


class LiveReceipt(Struct, frozen=True, kw_only=True, tag_field="type", tag="receipt", omit_defaults=True):
    """How far another member has come by now, on `live/{user}`; `read` as in `Receipt`."""

    ts: int
    conv: str
    user: str
    delivered: int
    read: int | UnsetType = UNSET


class LiveTyping(Struct, frozen=True, kw_only=True, tag_field="type", tag="typing"):
    """Another member begins or ends to write, on `live/{user}`. `on` is over after 6 seconds without another one."""

    ts: int
    conv: str
    user: str
    on: bool


class ServiceRequest(Struct, frozen=True, kw_only=True, rename={"as_": "as"}):
    """What a service asks in a user's name, on `svc/{instance}/up`. `ref` comes back with the reply."""

    ref: str
    as_: "ActingAs"
    request: Raw
    traceparent: str | None = None


class ActingAs(Struct, frozen=True, kw_only=True):
    user: str
    device: str


class ServiceReply(Struct, frozen=True, kw_only=True):
    """The answer on `svc/{instance}/down`; `reply` is a JSON null where the request had no id and was done.

    (msgspec reads no union of Raw and None, so the null is raw too.)
    """

    ref: str
    reply: Raw
