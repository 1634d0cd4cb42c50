"""What a batch has to know of groups beyond their members' roles, and what it changes there."""

from dataclasses import dataclass, field

import msgspec

from bridge.group_commands import (
    EndInvite,
    GroupCommand,
    JoinByInvite,
    Key,
    MakeInvite,
    MuteConversation,
)
from pabal.ids import ConvId, DeviceId, UserId

Pair = tuple[ConvId, UserId]


@dataclass(slots=True)
class Invite:
    """A code that `by` made. `expires` in ms since 1970, `uses`: how many may join by it; None is without end."""

    code: str
    conv: ConvId
    digest: str
    expires: int | None
    uses: int | None
    by: UserId
    used: int = 0
    ended: bool = False

    def is_good(self, ts: int) -> bool:
        """Whether somebody may join by it at that moment."""
        in_time = self.expires is None or ts < self.expires
        return not self.ended and in_time and (self.uses is None or self.used < self.uses)


@dataclass(slots=True)
class GroupFacts:
    """Of what the batch is about. Deciding a command changes them.

    `counts` says how many members a large group has. `silenced` says until when (ms since 1970) members may not
    write, also those who left; `muted` until when who wants no notifications, None where one does: of members only.
    `invites` are by code, `made` by the request that made them, `open` those of a group that nobody took back.
    """

    counts: dict[ConvId, int] = field(default_factory=dict)
    silenced: dict[Pair, int] = field(default_factory=dict)
    muted: dict[Pair, int | None] = field(default_factory=dict)
    invites: dict[str, Invite] = field(default_factory=dict)
    made: dict[tuple[str, str, str, str | None], Invite] = field(default_factory=dict)
    open: dict[ConvId, list[Invite]] = field(default_factory=dict)


@dataclass(slots=True)
class GroupWanted:
    """`joins` are resolved first of all, because only the codes say which conversations they are about."""

    joins: list[tuple[str, UserId, DeviceId, str | None]] = field(default_factory=list)
    codes: set[str] = field(default_factory=set)
    made: list[Key] = field(default_factory=list)
    open: set[ConvId] = field(default_factory=set)
    counted: set[ConvId] = field(default_factory=set)
    # Large groups of which every member matters.
    whole: set[ConvId] = field(default_factory=set)
    muted: set[Pair] = field(default_factory=set)
    # Who may come back, and be silenced still.
    former: set[Pair] = field(default_factory=set)


class InviteRow(msgspec.Struct, frozen=True, gc=False, array_like=True):
    code: str
    conv_id: str
    created_by: str
    device: str
    id: str | None
    digest: str
    created_ts: int
    expires_ts: int | None
    uses: int | None


@dataclass(slots=True)
class GroupPlan:
    """`uses` says how often a code was used by now, `ended` when it was taken back."""

    silenced: dict[Pair, int | None] = field(default_factory=dict)
    muted: dict[Pair, int | None] = field(default_factory=dict)
    invites: list[InviteRow] = field(default_factory=list)
    uses: dict[str, int] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)


def want_group(keys: GroupWanted, command: GroupCommand) -> None:
    """What such a command needs that only groups have."""
    match command:
        case MuteConversation(user=user, conv=conv):
            keys.muted.add((conv, user))
        case MakeInvite(conv=conv):
            keys.open.add(conv)
            if command.request_id is not None:
                keys.made.append(command.key)
        case EndInvite(code=code):
            keys.codes.add(code)
        case JoinByInvite(user=user, device=device, request_id=request_id, code=code):
            keys.codes.add(code)
            keys.joins.append((code, user, device, request_id))
        case _:
            pass
