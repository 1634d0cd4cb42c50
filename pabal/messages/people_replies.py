"""Replies about other users: presence, contacts, blocks, profiles and reports."""

from typing import Literal

from msgspec import UNSET, Raw, Struct, UnsetType, field


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


class ReportPage(Struct, frozen=True, kw_only=True):
    re: str | None
    ok: Literal[True] = True
    reports: list[KeptReport]
    more: bool
