"""What one transaction writes, and what its commands are answered."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from bridge.facts import Conversation, Mode
from bridge.group_facts import GroupPlan
from bridge.people_facts import PeoplePlan
from bridge.push_facts import PushPlan
from pabal import messages as m
from pabal.errors import PabalError
from pabal.ids import ConvId, UserId


class MessageRow(msgspec.Struct, frozen=True, gc=False, array_like=True):
    conv_id: str
    message_id: int
    sender: str
    device: str
    id: str | None
    digest: str
    type: str
    kind: str
    ordinal: int
    text: str | None
    body: str | None
    extra: str | None
    ts: int
    target: int | None = None
    expires_ts: int | None = None


class Extra(msgspec.Struct, frozen=True, omit_defaults=True):
    """The seldom parts of an entry, kept as JSON in its row."""

    reply_to: int | None = None
    mentions: list[str] = []
    action: Any = None
    user: Any = None
    name: str | None = None
    mode: Mode | None = None
    members: list[str] = []
    role: Any = None
    history: Any = None
    posting: Any = None
    until: int | None = None
    emoji: str | None = None
    removed: bool = False
    forward_of: m.Forwarded | None = None
    expired: bool = False


class ReadRow(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """How far a member has read; never goes back."""

    conv_id: str
    user_id: str
    read_upto: int
    read_ordinal: int


class JoinRow(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A member from this entry on, who has nothing unread yet, and sees entries from `visible_from` on."""

    conv_id: str
    user_id: str
    from_id: int
    role: str
    read_ordinal: int
    visible_from: int


class LeaveRow(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """No member any longer; `to_id` is the last entry that was one's own."""

    conv_id: str
    user_id: str
    to_id: int


class ContentRow(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What a message says from now on; nothing, and `recalled_ts`, where it was taken back."""

    conv_id: str
    message_id: int
    text: str | None
    body: str | None
    edited_ts: int | None
    recalled_ts: int | None


class InboxEntry(msgspec.Struct, frozen=True, gc=False):
    """One update for one inbox; `tail` is the update behind its seq. `device` is the user's own that made it, where
    that matters to the others.
    """

    user: UserId
    type: str
    conv_id: str | None
    message_id: int | None
    data: str | None
    tail: bytes
    device: str | None = None


@dataclass(slots=True)
class Plan:
    """`outcomes` has one for each command: the reply, the refusal, or None where nothing is said.

    `left` are members who lose the right to a room; `related` are users of whom others may see less from now on
    (contacts, blocks, small groups), looked at again when it is committed. `reactions` says of each which entry gave it,
    or None if it is gone. `mentions` are who is named by which entry. `moved` are the marks that others may be told
    of, with what did (`pabal.receipts`).
    """

    outcomes: list[bytes | PabalError | None] = field(default_factory=list)
    direct_messages: list[MessageRow] = field(default_factory=list)
    group_messages: list[MessageRow] = field(default_factory=list)
    conversations: dict[ConvId, Conversation] = field(default_factory=dict)
    reads: dict[tuple[str, str], ReadRow] = field(default_factory=dict)
    member_changes: list[JoinRow | LeaveRow] = field(default_factory=list)
    inbox: list[InboxEntry] = field(default_factory=list)
    rooms: list[tuple[ConvId, bytes]] = field(default_factory=list)
    cursors: dict[tuple[str, str], int] = field(default_factory=dict)
    left: list[tuple[ConvId, UserId]] = field(default_factory=list)
    related: list[UserId] = field(default_factory=list)
    contents: dict[tuple[ConvId, int], ContentRow] = field(default_factory=dict)
    reactions: dict[tuple[ConvId, int, UserId, str], int | None] = field(default_factory=dict)
    people: PeoplePlan = field(default_factory=PeoplePlan)
    roles: dict[tuple[ConvId, UserId], str] = field(default_factory=dict)
    group: GroupPlan = field(default_factory=GroupPlan)
    hidden: list[tuple[UserId, ConvId, int]] = field(default_factory=list)
    mentions: list[tuple[ConvId, str, int]] = field(default_factory=list)
    moved: dict[tuple[ConvId, UserId], int] = field(default_factory=dict)
    push: PushPlan = field(default_factory=PushPlan)

    def final_members(self) -> tuple[list[JoinRow], list[LeaveRow]]:
        """Of several changes of one member in a batch the last one counts; joins are told apart from leaves."""
        last: dict[tuple[str, str], JoinRow | LeaveRow] = {}
        for change in self.member_changes:
            last[change.conv_id, change.user_id] = change
        joins = [row for row in last.values() if isinstance(row, JoinRow)]
        leaves = [row for row in last.values() if isinstance(row, LeaveRow)]
        return joins, leaves


def counts(inbox: Iterable[InboxEntry]) -> Mapping[UserId, int]:
    """How many new updates each inbox gets, by user, sorted: inbox heads are locked in one order too."""
    new: dict[UserId, int] = {}
    for entry in inbox:
        new[entry.user] = new.get(entry.user, 0) + 1
    return dict(sorted(new.items()))
