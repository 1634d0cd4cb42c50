"""What a batch has to know before it can be decided, and what the database said."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from bridge.commands import (
    AckCommand,
    ChangeMember,
    ChangeMessage,
    Command,
    CreateGroup,
    DropMember,
    ExpireMessage,
    HideMessage,
    ReadCommand,
    SendCommand,
)
from bridge.group_commands import (
    DissolveGroup,
    EndInvite,
    JoinByInvite,
    MakeInvite,
    MuteConversation,
    SilenceMember,
    UpdateGroup,
)
from bridge.group_facts import GroupFacts, GroupWanted, want_group
from bridge.people_commands import ChangeBlock, ChangeContact, MakeReport
from bridge.people_facts import PeopleFacts, PeopleWanted, want_people
from bridge.push_commands import EndPush, RemovePush, SetPush, SetQuiet
from bridge.push_facts import PushFacts, PushWanted
from pabal import ids
from pabal.ids import ConvId, DeviceId, UserId

Key = tuple[str, str, str, str | None]
Mode = Literal["small", "large"]


@dataclass(slots=True)
class Conversation:
    kind: str
    mode: Mode
    head: int
    ordinal: int
    name: str | None = None
    history: Literal["join", "all"] = "join"
    posting: Literal["all", "admins"] = "all"

    @property
    def is_large(self) -> bool:
        return self.mode == "large"


# What is made for each message is a Struct, which costs a fifth of what a frozen dataclass does.


class Known(msgspec.Struct, frozen=True, gc=False):
    """An entry that was committed earlier under the same id."""

    message_id: int
    digest: str
    ts: int


class Target(msgspec.Struct, gc=False):
    """An entry that another one is about."""

    sender: str
    type: str
    ts: int
    recalled: bool = False
    expires: int | None = None


class Content(msgspec.Struct, frozen=True, gc=False):
    """What a message says."""

    kind: str
    text: str | None
    body: str | None


@dataclass(slots=True)
class Facts:
    """What the database says, for just the keys that the batch touches.

    Deciding a command changes them, so that the next one of the batch sees it. `roles` has the present members:
    all of a small group, and of a large one those that a command is about. `visible_from` says from which entry
    on each of them sees the group, `latest_join` the newest such number of a large group.
    """

    conversations: dict[ConvId, Conversation] = field(default_factory=dict)
    known: dict[Key, Known] = field(default_factory=dict)
    accounts: set[UserId] = field(default_factory=set)
    # Who may have to own a group after its owner: whoever can get in, admins first, and those who are in it for
    # longest. Not all of them are gone at the end of the batch, unless nobody is left.
    heirs: dict[ConvId, list[UserId]] = field(default_factory=dict)
    heads: dict[UserId, int] = field(default_factory=dict)
    read_upto: dict[tuple[ConvId, UserId], int] = field(default_factory=dict)
    delivered_upto: dict[tuple[ConvId, UserId], int] = field(default_factory=dict)
    ordinals: dict[tuple[ConvId, int], int] = field(default_factory=dict)
    roles: dict[ConvId, dict[UserId, str]] = field(default_factory=dict)
    visible_from: dict[tuple[ConvId, UserId], int] = field(default_factory=dict)
    latest_join: dict[ConvId, int] = field(default_factory=dict)
    targets: dict[tuple[ConvId, int], Target] = field(default_factory=dict)
    reactions: dict[tuple[ConvId, int, UserId], set[str]] = field(default_factory=dict)
    people: PeopleFacts = field(default_factory=PeopleFacts)
    group: GroupFacts = field(default_factory=GroupFacts)
    push: PushFacts = field(default_factory=PushFacts)
    # What is forwarded in this batch; and which messages who of its users has hidden from the own view.
    contents: dict[tuple[ConvId, int], Content] = field(default_factory=dict)
    hidden: set[tuple[ConvId, int, UserId]] = field(default_factory=set)
    looks_back: bool = True


@dataclass(slots=True)
class Wanted:
    """The keys of the facts that a batch needs, without repetition where that costs nothing."""

    conversations: set[ConvId] = field(default_factory=set)
    known_direct: list[Key] = field(default_factory=list)
    known_group: list[Key] = field(default_factory=list)
    accounts: set[UserId] = field(default_factory=set)
    heads: set[UserId] = field(default_factory=set)
    direct_reads: list[tuple[ConvId, UserId, int]] = field(default_factory=list)
    group_reads: list[tuple[ConvId, UserId, int]] = field(default_factory=list)
    members: set[tuple[ConvId, UserId]] = field(default_factory=set)
    # Who acts on which entry of which conversation.
    direct_targets: list[tuple[ConvId, int, UserId]] = field(default_factory=list)
    group_targets: list[tuple[ConvId, int, UserId]] = field(default_factory=list)
    reactions: list[tuple[ConvId, int, UserId]] = field(default_factory=list)
    # Groups that somebody leaves who may have to be succeeded.
    successions: set[ConvId] = field(default_factory=set)
    people: PeopleWanted = field(default_factory=PeopleWanted)
    group: GroupWanted = field(default_factory=GroupWanted)
    push: PushWanted = field(default_factory=PushWanted)
    direct_contents: list[tuple[ConvId, int]] = field(default_factory=list)
    group_contents: list[tuple[ConvId, int]] = field(default_factory=list)
    hidden: list[tuple[ConvId, int, UserId]] = field(default_factory=list)

    @property
    def looks_back(self) -> bool:
        """As in `Facts`."""
        return bool(self.direct_targets or self.group_targets or self.direct_reads or self.group_reads)

    @property
    def groups(self) -> list[ConvId]:
        return sorted(conv for conv in self.conversations if not ids.is_direct(conv))


def wanted(commands: Iterable[Command]) -> Wanted:
    keys = Wanted()
    for command in commands:
        want = _WANTS.get(type(command))
        if want is not None:
            want(keys, command)
    return keys


def _want_send(keys: Wanted, command: SendCommand) -> None:
    conv = command.conv
    keys.conversations.add(conv)
    keys.accounts.add(command.user)
    if command.forward_of is not None:
        _want_forward(keys, command.user, *command.forward_of)
    if ids.is_direct(conv):
        keys.accounts.update(ids.members_of(conv))
        if command.request_id is not None:
            keys.known_direct.append(command.key)
        return
    if command.request_id is not None:
        keys.known_group.append(command.key)
    keys.members.add((conv, command.user))
    keys.members.update((conv, UserId(name)) for name in command.mentions)


def _want_hidden(keys: Wanted, command: HideMessage) -> None:
    keys.accounts.add(command.user)
    _want_message(keys, command.conv, command.target, command.user)
    keys.hidden.append((command.conv, command.target, command.user))


def _want_read(keys: Wanted, command: ReadCommand) -> None:
    keys.conversations.add(command.conv)
    reads = keys.direct_reads if ids.is_direct(command.conv) else keys.group_reads
    reads.append((command.conv, command.user, command.message_id))


def _want_ack(keys: Wanted, command: AckCommand) -> None:
    keys.heads.add(command.user)


def _want_message(keys: Wanted, conv: ConvId, message_id: int, user: UserId) -> None:
    """A message, and whether this user sees it."""
    is_direct = ids.is_direct(conv)
    keys.conversations.add(conv)
    (keys.direct_targets if is_direct else keys.group_targets).append((conv, message_id, user))
    if not is_direct:
        keys.members.add((conv, user))


def _want_forward(keys: Wanted, user: UserId, conv: ConvId, message_id: int) -> None:
    _want_message(keys, conv, message_id, user)
    (keys.direct_contents if ids.is_direct(conv) else keys.group_contents).append((conv, message_id))
    keys.hidden.append((conv, message_id, user))


def _want_change(keys: Wanted, command: ChangeMessage) -> None:
    conv, target = command.conv, (command.conv, command.target, command.user)
    keys.accounts.add(command.user)
    if ids.is_direct(conv):
        keys.accounts.update(ids.members_of(conv))
    _want_message(keys, *target)
    if command.action == "reaction":
        keys.reactions.append(target)
    if command.request_id is not None:
        (keys.known_direct if ids.is_direct(conv) else keys.known_group).append(command.key)


def _want_group(keys: Wanted, command: CreateGroup | ChangeMember) -> None:
    keys.conversations.add(command.conv)
    keys.accounts.add(command.user)
    if command.request_id is not None:
        keys.known_group.append(command.key)
    if isinstance(command, CreateGroup):
        keys.accounts.update(command.members)
        keys.people.meet(command.user, command.members)
    else:
        keys.accounts.add(command.target)
        keys.people.meet(command.user, [command.target])
        keys.members.update({(command.conv, command.user), (command.conv, command.target)})
        keys.group.counted.add(command.conv)
        if command.action == "joined":
            keys.group.former.add((command.conv, command.target))


def _want_drop(keys: Wanted, command: DropMember) -> None:
    keys.conversations.add(command.conv)
    keys.members.add((command.conv, command.user))
    keys.successions.add(command.conv)


def _want_people(keys: Wanted, command: ChangeContact | ChangeBlock | MakeReport) -> None:
    keys.accounts.add(command.user)
    if not isinstance(command, MakeReport):
        keys.accounts.add(command.other)
        want_people(keys.people, command, direct=True)
        return
    if command.about is not None:
        keys.accounts.add(command.about)
    conv, is_direct = command.conv, command.conv is not None and ids.is_direct(command.conv)
    if conv is not None:
        keys.conversations.add(conv)
        if not is_direct:
            keys.members.add((conv, command.user))
    want_people(keys.people, command, direct=is_direct)


def _want_settings(
    keys: Wanted, command: UpdateGroup | DissolveGroup | SilenceMember | MakeInvite | EndInvite
) -> None:
    keys.conversations.add(command.conv)
    keys.accounts.add(command.user)
    keys.members.add((command.conv, command.user))
    want_group(keys.group, command)
    if isinstance(command, SilenceMember):
        keys.members.add((command.conv, command.target))
    if isinstance(command, DissolveGroup):
        keys.group.whole.add(command.conv)
        keys.group.counted.add(command.conv)
    if isinstance(command, UpdateGroup | DissolveGroup | SilenceMember) and command.request_id is not None:
        keys.known_group.append(command.key)


def _want_own(keys: Wanted, command: MuteConversation | JoinByInvite) -> None:
    keys.accounts.add(command.user)
    want_group(keys.group, command)
    if isinstance(command, MuteConversation):
        keys.conversations.add(command.conv)


def _want_push(keys: Wanted, command: SetPush | RemovePush | EndPush | SetQuiet) -> None:
    keys.accounts.add(command.user)
    match command:
        case SetPush(user=user, of=of):
            keys.push.devices.add((user, of))
        case EndPush(user=user, of=of):
            keys.push.subscriptions.add((user, of))
        case SetQuiet(user=user, conv=conv) if conv is not None:
            keys.group.muted.add((conv, user))
            keys.conversations.add(conv)
        case _:
            pass


def want_join(keys: Wanted, conv: ConvId, user: UserId, device: DeviceId, request_id: str | None) -> None:
    """What joining by a link needs, now that it is known which group that is."""
    keys.conversations.add(conv)
    keys.members.add((conv, user))
    keys.group.counted.add(conv)
    keys.group.former.add((conv, user))
    if request_id is not None:
        keys.known_group.append((conv, user, device, request_id))


# The rest is the broker's own upkeep, which is decided without any facts.
_WANTS: dict[type, Callable[[Wanted, Any], None]] = {
    SendCommand: _want_send,
    ChangeMessage: _want_change,
    ExpireMessage: _want_change,
    HideMessage: _want_hidden,
    ReadCommand: _want_read,
    AckCommand: _want_ack,
    CreateGroup: _want_group,
    ChangeMember: _want_group,
    DropMember: _want_drop,
    ChangeContact: _want_people,
    ChangeBlock: _want_people,
    MakeReport: _want_people,
    UpdateGroup: _want_settings,
    DissolveGroup: _want_settings,
    SilenceMember: _want_settings,
    MakeInvite: _want_settings,
    EndInvite: _want_settings,
    MuteConversation: _want_own,
    JoinByInvite: _want_own,
    SetPush: _want_push,
    RemovePush: _want_push,
    EndPush: _want_push,
    SetQuiet: _want_push,
}
