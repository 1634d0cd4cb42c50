"""Replies about groups and the links that invite into them."""

from typing import Literal

from msgspec import Struct

from pabal.messages.limits import HistoryMode, PostingMode, Role


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
