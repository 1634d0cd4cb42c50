"""What a batch has to know before it can be decided, and what the database said."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from bridge.commands import (
    AckCommand,
    ChangeMember,
    ChangeMessage,
    Command,
    CreateGroup,
    DropMember,
    ReadCommand,
    SendCommand,
)
from pabal import ids
from pabal.ids import ConvId, UserId

Key = tuple[str, str, str, str | None]
Mode = Literal["small", "large"]


@dataclass(slots=True)
class Conversation:
    kind: str
    mode: Mode
    head: int
    ordinal: int
    name: str | None = None

    @property
    def is_large(self) -> bool:
        return self.mode == "large"


@dataclass(frozen=True, slots=True)
class Known:
    """An entry that was committed earlier under the same id."""

    message_id: int
    digest: str
    ts: int


@dataclass(slots=True)
class Target:
    """An entry that another one is about."""

    sender: str
    type: str
    ts: int
    recalled: bool = False


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
    # Of those that were asked about, who has deleted their account.
    gone: set[UserId] = field(default_factory=set)
    heads: dict[UserId, int] = field(default_factory=dict)
    read_upto: dict[tuple[ConvId, UserId], int] = field(default_factory=dict)
    ordinals: dict[tuple[ConvId, int], int] = field(default_factory=dict)
    roles: dict[ConvId, dict[UserId, str]] = field(default_factory=dict)
    visible_from: dict[tuple[ConvId, UserId], int] = field(default_factory=dict)
    latest_join: dict[ConvId, int] = field(default_factory=dict)
    targets: dict[tuple[ConvId, int], Target] = field(default_factory=dict)
    reactions: dict[tuple[ConvId, int, UserId], set[str]] = field(default_factory=dict)


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

    @property
    def groups(self) -> list[ConvId]:
        return sorted(conv for conv in self.conversations if not ids.is_direct(conv))


def wanted(commands: Iterable[Command]) -> Wanted:
    keys = Wanted()
    for command in commands:
        match command:
            case SendCommand():
                _want_send(keys, command)
            case ChangeMessage():
                _want_change(keys, command)
            case ReadCommand(user=user, conv=conv, message_id=message_id):
                keys.conversations.add(conv)
                reads = keys.direct_reads if ids.is_direct(conv) else keys.group_reads
                reads.append((conv, user, message_id))
            case AckCommand(user=user):
                keys.heads.add(user)
            case CreateGroup() | ChangeMember():
                _want_group(keys, command)
            case DropMember(user=user, conv=conv):
                keys.conversations.add(conv)
                keys.members.add((conv, user))
                keys.successions.add(conv)
            case _:
                pass
    return keys


def _want_send(keys: Wanted, command: SendCommand) -> None:
    conv = command.conv
    keys.conversations.add(conv)
    keys.accounts.add(command.user)
    if ids.is_direct(conv):
        keys.accounts.update(ids.members_of(conv))
        if command.request_id is not None:
            keys.known_direct.append(command.key)
        return
    if command.request_id is not None:
        keys.known_group.append(command.key)
    keys.members.add((conv, command.user))
    keys.members.update((conv, UserId(name)) for name in command.mentions)


def _want_change(keys: Wanted, command: ChangeMessage) -> None:
    conv, target = command.conv, (command.conv, command.target, command.user)
    is_direct = ids.is_direct(conv)
    keys.conversations.add(conv)
    keys.accounts.add(command.user)
    if is_direct:
        keys.accounts.update(ids.members_of(conv))
    (keys.direct_targets if is_direct else keys.group_targets).append(target)
    if command.action == "reaction":
        keys.reactions.append(target)
    if command.request_id is not None:
        (keys.known_direct if is_direct else keys.known_group).append(command.key)
    if not is_direct:
        keys.members.add((conv, command.user))


def _want_group(keys: Wanted, command: CreateGroup | ChangeMember) -> None:
    keys.conversations.add(command.conv)
    keys.accounts.add(command.user)
    if command.request_id is not None:
        keys.known_group.append(command.key)
    if isinstance(command, CreateGroup):
        keys.accounts.update(command.members)
    else:
        keys.accounts.add(command.target)
        keys.members.update({(command.conv, command.user), (command.conv, command.target)})
