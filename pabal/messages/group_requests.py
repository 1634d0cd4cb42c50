"""Requests about groups and the links that invite into them."""

from typing import Annotated

from msgspec import Meta, field

from pabal.messages.limits import (
    MAX_NEW_MEMBERS,
    MAX_SYNC_LIMIT,
    GroupName,
    HistoryMode,
    InviteCode,
    InviteSeconds,
    PositiveNumber,
    PostingMode,
    Role,
)
from pabal.messages.request import Request


class GroupCreate(Request, frozen=True, kw_only=True, tag="group.create", omit_defaults=True):
    """A new group with its first members beside the creator, who owns it. Its creation is entry 1.

    `history` says what newcomers see: entries from their join on, or all. `posting`: who may write.
    """

    name: GroupName
    members: Annotated[list[str], Meta(max_length=MAX_NEW_MEMBERS)] = field(default_factory=list)
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
