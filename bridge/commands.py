"""What a batch is made of: requests that were checked, and the broker's own durable state.

Made in the loop thread, decided and written in the committer thread, answered in the loop thread again.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

import msgspec

from bridge.group_commands import GroupCommand, GroupLogCommand
from bridge.people_commands import PeopleCommand
from bridge.ports import QueueChanges, Retained, Source, StoredSession
from bridge.push_commands import PushCommand
from pabal import codec, ids
from pabal import messages as m
from pabal.errors import BadRequest, NotAMember
from pabal.ids import ConvId, DeviceId, UserId

# Named among mentions, it is for people to see: in a small group everybody has a copy anyway, and a large one would
# write thousands of them for one word.
EVERYBODY = "@all"


class SendCommand(msgspec.Struct, frozen=True, gc=False):
    """One message on its way into the log. `digest` tells two requests under one id apart. `mentions` are users, and
    perhaps EVERYBODY.
    """

    user: UserId
    device: DeviceId
    request_id: str | None
    conv: ConvId
    digest: str
    kind: str
    text: str | None
    body: str | None
    reply_to: int | None
    mentions: Sequence[str]
    # The conversation and number of what is forwarded, and for how long the content is kept.
    forward_of: tuple[ConvId, int] | None = None
    lifetime_ms: int | None = None

    @property
    def key(self) -> tuple[ConvId, UserId, DeviceId, str | None]:
        return (self.conv, self.user, self.device, self.request_id)


class CreateGroup(msgspec.Struct, frozen=True, gc=False):
    """`members` are those beside the creator, without repetition."""

    user: UserId
    device: DeviceId
    request_id: str | None
    conv: ConvId
    digest: str
    name: str
    members: Sequence[UserId]
    history: Literal["join", "all"] = "join"
    posting: Literal["all", "admins"] = "all"

    @property
    def key(self) -> tuple[ConvId, UserId, DeviceId, str | None]:
        return (self.conv, self.user, self.device, self.request_id)


class ChangeMember(msgspec.Struct, frozen=True, gc=False):
    """Somebody (`target`) joins, leaves or is removed. `role`: as what, or of a member the new one."""

    user: UserId
    device: DeviceId
    request_id: str | None
    conv: ConvId
    digest: str
    action: Literal["joined", "left", "removed"]
    target: UserId
    role: m.Role | None = None

    @property
    def key(self) -> tuple[ConvId, UserId, DeviceId, str | None]:
        return (self.conv, self.user, self.device, self.request_id)


class ChangeMessage(msgspec.Struct, frozen=True, gc=False):
    """A message is edited or recalled, or somebody reacts to it; an entry of its own about the `target`."""

    user: UserId
    device: DeviceId
    request_id: str | None
    conv: ConvId
    digest: str
    action: Literal["edited", "recalled", "reaction"]
    target: int
    text: str | None = None
    body: str | None = None
    emoji: str | None = None
    removed: bool = False

    @property
    def key(self) -> tuple[ConvId, UserId, DeviceId, str | None]:
        return (self.conv, self.user, self.device, self.request_id)


class DropMember(msgspec.Struct, frozen=True, gc=False):
    """Somebody whose account is being deleted goes, and leaves what was theirs to another."""

    user: UserId
    conv: ConvId
    device: DeviceId = DeviceId("")
    request_id: str | None = None
    digest: str = ""

    @property
    def key(self) -> tuple[ConvId, UserId, DeviceId, str | None]:
        return (self.conv, self.user, self.device, self.request_id)


class ExpireMessage(ChangeMessage, frozen=True, gc=False):
    """The time of a message is over: the server itself takes its content away, in the name of who wrote it (`user`).
    There is no device behind it, and nobody waits for a reply.
    """


class HideMessage(msgspec.Struct, frozen=True, gc=False):
    """A user hides a message from the own view; no entry, and nobody else is told."""

    user: UserId
    device: DeviceId
    request_id: str | None
    conv: ConvId
    target: int


class ReadCommand(msgspec.Struct, frozen=True, gc=False):
    user: UserId
    device: DeviceId
    request_id: str | None
    conv: ConvId
    message_id: int


class AckCommand(msgspec.Struct, frozen=True, gc=False):
    user: UserId
    device: DeviceId
    request_id: str | None
    seq: int


@dataclass(frozen=True, slots=True)
class SaveSession:
    session: StoredSession
    at_head: bool


@dataclass(frozen=True, slots=True)
class DeleteSession:
    client_id: str


@dataclass(frozen=True, slots=True)
class SaveRetained:
    retained: Retained


@dataclass(frozen=True, slots=True)
class SaveQueues:
    changes: QueueChanges


@dataclass(frozen=True, slots=True)
class MarkDelivered:
    """What reached users, as was found by what their devices acknowledged: `marks` are `(conv, user, message_id)`,
    `upto` says how far each inbox was looked through.
    """

    marks: Sequence[tuple[str, str, int]]
    upto: Sequence[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class SavePresence:
    """`shown` is what others are told of users, empty where nobody need be told anything any longer, and `seen` when
    devices were here last, in milliseconds since 1970.
    """

    shown: Sequence[tuple[UserId, str]]
    seen: Sequence[tuple[UserId, DeviceId, int]]


@dataclass(frozen=True, slots=True)
class EraseEntries:
    """What this user wrote with a message_id above `after` and up to `upto`, and its reactions to those."""

    user: UserId
    conv: ConvId
    after: int
    upto: int


@dataclass(frozen=True, slots=True)
class EraseContacts:
    """That this user and those others were, or asked to be, contacts; whom of them it blocked; what it wrote to them
    when it asked.
    """

    user: UserId
    others: Sequence[UserId]


@dataclass(frozen=True, slots=True)
class EraseInbox:
    """At most `limit` updates of an inbox, the oldest first. Its outcome is how many there are still."""

    user: UserId
    limit: int


@dataclass(frozen=True, slots=True)
class EndErasure:
    """Nothing that this user wrote is left."""

    user: UserId


@dataclass(frozen=True, slots=True)
class ForgetEvents:
    """Of the `limit` oldest events of the audit log those from before `before_ts`. Its outcome is how many went."""

    before_ts: int
    limit: int


@dataclass(frozen=True, slots=True)
class ForgetPushes:
    """Of what became of pushes, the `limit` oldest from before `before_ts`; what was due before `open_before_ts` and is
    open still counts as dropped. Its outcome is how many went.
    """

    before_ts: int
    open_before_ts: int
    limit: int


LogCommand = SendCommand | ChangeMessage | CreateGroup | ChangeMember | GroupLogCommand | DropMember
"""What makes an entry in a conversation, and is known again by its id."""
Entry = LogCommand | ReadCommand | AckCommand | PeopleCommand | GroupCommand | HideMessage | PushCommand
Erasure = EraseEntries | EraseInbox | EraseContacts | EndErasure | ForgetEvents | ForgetPushes
Upkeep = SaveSession | DeleteSession | SaveRetained | SaveQueues | MarkDelivered | SavePresence | Erasure
Command = Entry | Upkeep


def check_send(source: Source, request: m.Send) -> SendCommand:
    """Everything about a `send` that can be known without the database.

    Raises: errors.PabalError, the refusal.
    """
    if request.attachments not in (None, []):
        raise BadRequest("this server does not offer it yet", field="attachments")
    for name in ("id", "kind", "text"):
        if "\0" in (getattr(request, name) or ""):
            # PostgreSQL has no place for it, and SQLite would end the text there.
            raise BadRequest("U+0000 cannot be kept", field=name)
    if request.to is not None:
        conv = ids.direct(source.user, ids.parse_user(request.to, field="to"))
    else:
        conv = own_conv(source, request.conv)
    mentions = [
        name if name == EVERYBODY else ids.parse_user(name, field="mentions") for name in request.mentions
    ]
    body = None if request.body is None else codec.encode(request.body).decode()
    content: Sequence[object] = (
        conv, request.kind, request.text, request.body, request.reply_to, mentions,
    )  # fmt: skip
    forward_of = None
    if request.forward_of is not None:
        forward_of = (
            own_conv(source, request.forward_of.conv, field="forward_of"),
            request.forward_of.message_id,
        )
    if forward_of is not None or request.expires_in is not None:
        # Others keep the digest that they had before there were these fields.
        content = (*content, forward_of, request.expires_in)
    return SendCommand(
        source.user,
        source.device,
        request.id,
        conv,
        _digest_of(request, content),
        request.kind,
        request.text,
        body,
        request.reply_to,
        mentions,
        forward_of,
        None if request.expires_in is None else request.expires_in * 1000,
    )


def check_hide(source: Source, request: m.Delete) -> HideMessage:
    """Raises: errors.PabalError, the refusal."""
    conv = own_conv(source, request.conv)
    return HideMessage(source.user, source.device, request.id, conv, request.target)


def check_change(source: Source, request: m.Edit | m.Recall | m.React) -> ChangeMessage:
    """Raises: errors.PabalError, the refusal."""
    conv, target = own_conv(source, request.conv), request.target
    action: Literal["edited", "recalled", "reaction"]
    text, body, emoji, removed = None, None, None, False
    match request:
        case m.Edit():
            action, text = "edited", request.text
            if "\0" in (text or ""):
                raise BadRequest("U+0000 cannot be kept", field="text")
            body = None if request.body is None else codec.encode(request.body).decode()
            content: Sequence[object] = (conv, action, target, request.text, request.body)
        case m.Recall():
            action = "recalled"
            content = (conv, action, target)
        case m.React():
            action, emoji, removed = "reaction", request.emoji, request.remove
            content = (conv, action, target, emoji, removed)
    return ChangeMessage(
        source.user,
        source.device,
        request.id,
        conv,
        _digest_of(request, content),
        action,
        target,
        text,
        body,
        emoji,
        removed,
    )


def own_conv(source: Source, conv: str | None, field: str = "conv") -> ConvId:
    """Raises: BadRequest, NotAMember."""
    parsed = ids.parse_conv(conv, field=field)
    if ids.is_direct(parsed) and source.user not in ids.members_of(parsed):
        raise NotAMember("this conversation is between others", field=field)
    return parsed


def check_group_create(source: Source, request: m.GroupCreate) -> CreateGroup:
    """A request with an id always means the same group, so that sending it again finds it.

    Raises: errors.PabalError, the refusal.
    """
    if not request.name.strip() or "\0" in request.name:
        raise BadRequest("a name that can be read, without U+0000", field="name")
    members = [ids.parse_user(user, field="members") for user in request.members]
    members = [user for user in dict.fromkeys(members) if user != source.user]
    if request.id is None:
        random = secrets.token_bytes(8)
    else:
        whose = codec.canonical([source.user, source.device, request.id])
        random = blake2b(whose, digest_size=8, person=b"pabal group").digest()
    content: tuple[object, ...] = (request.name, sorted(members))
    if (request.history, request.posting) != ("join", "all"):
        # Others keep the digest that they had before there were these fields.
        content = (*content, request.history, request.posting)
    return CreateGroup(
        source.user,
        source.device,
        request.id,
        ids.group(random),
        _digest_of(request, content),
        request.name,
        members,
        request.history,
        request.posting,
    )


def check_member_change(source: Source, request: m.GroupAdd | m.GroupRemove | m.GroupLeave) -> ChangeMember:
    """Raises: errors.PabalError, the refusal."""
    conv = ids.parse_conv(request.conv)
    if ids.is_direct(conv):
        raise BadRequest("a direct conversation has its two members for ever", field="conv")
    action: Literal["joined", "left", "removed"]
    role: m.Role | None = None
    match request:
        case m.GroupAdd():
            action, target, role = "joined", ids.parse_user(request.user), request.role
        case m.GroupRemove():
            target = ids.parse_user(request.user)
            action = "left" if target == source.user else "removed"
        case m.GroupLeave():
            action, target = "left", source.user
    return ChangeMember(
        source.user,
        source.device,
        request.id,
        conv,
        _digest_of(request, (conv, action, target) if role is None else (conv, action, target, role)),
        action,
        target,
        role,
    )


def _digest_of(request: m.Request, content: Sequence[object]) -> str:
    return "" if request.id is None else digest(content)


def check_read(source: Source, request: m.Read) -> ReadCommand:
    """Raises: errors.PabalError, the refusal."""
    conv = own_conv(source, request.conv)
    return ReadCommand(source.user, source.device, request.id, conv, request.message_id)


def check_ack(source: Source, request: m.Ack) -> AckCommand:
    return AckCommand(source.user, source.device, request.id, request.seq)


def digest(content: Sequence[object]) -> str:
    """24 hex digits. It guards against a client's mistake, not against an attacker on itself."""
    return blake2b(codec.canonical(content), digest_size=12).hexdigest()
