"""Bodies and queries of the REST calls about groups. Times are milliseconds since 1970."""

from typing import Annotated

from msgspec import Meta, Struct

from pabal import messages as m
from webapi.schemas import UserText


class CreateGroupBody(Struct, frozen=True, kw_only=True):
    """`members` beside oneself. `history`: what newcomers see; `posting`: who may write."""

    name: m.GroupName
    id: m.RequestIdText | None = None
    members: Annotated[list[UserText], Meta(max_length=m.MAX_NEW_MEMBERS)] = []
    history: m.HistoryMode = "join"
    posting: m.PostingMode = "all"


class UpdateGroupBody(Struct, frozen=True, kw_only=True):
    """What is left out stays. Another `history` is for those who join later."""

    id: m.RequestIdText | None = None
    name: m.GroupName | None = None
    history: m.HistoryMode | None = None
    posting: m.PostingMode | None = None


class MemberBody(Struct, frozen=True, kw_only=True):
    """`owner` hands the group over. Without a role: as a member."""

    id: m.RequestIdText | None = None
    role: m.Role | None = None


class SilenceBody(Struct, frozen=True, kw_only=True):
    """Until then; without it, for good."""

    id: m.RequestIdText | None = None
    until: m.PositiveNumber | None = None


class MuteBody(Struct, frozen=True, kw_only=True):
    """Until then; without it, for good."""

    until: m.PositiveNumber | None = None


class InviteBody(Struct, frozen=True, kw_only=True):
    """How long (seconds) and for how many it is good; without end where that is left out."""

    id: m.RequestIdText | None = None
    expires_in: m.InviteSeconds | None = None
    uses: m.PositiveNumber | None = None


class JoinBody(Struct, frozen=True, kw_only=True):
    id: m.RequestIdText | None = None


class IdQuery(Struct, frozen=True, kw_only=True):
    """A request without a body has its id here."""

    id: m.RequestIdText | None = None


class MembersQuery(Struct, frozen=True, kw_only=True):
    """Those after this name."""

    after: UserText | None = None
    limit: Annotated[int, Meta(ge=1, le=m.MAX_SYNC_LIMIT)] = 100


class GroupBody(Struct, frozen=True, kw_only=True):
    """The group with a page of its members, by name."""

    conv: str
    name: str
    mode: str
    history: m.HistoryMode
    posting: m.PostingMode
    members: list[m.GroupMember]
    more: bool


class MembersBody(Struct, frozen=True, kw_only=True):
    members: list[m.GroupMember]
    more: bool


class InvitedBody(Struct, frozen=True, kw_only=True):
    code: str
    expires: int | None
    uses: int | None


class InvitesBody(Struct, frozen=True, kw_only=True):
    conv: str
    invites: list[m.Invite]
