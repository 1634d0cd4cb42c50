"""Bodies and queries of the calls about people. Times are milliseconds since 1970."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from pabal import messages as m
from webapi.schemas import ConvText, UserText

PageLimit = Annotated[int, Meta(ge=1, le=m.MAX_PEOPLE_LIMIT)]


class PeopleQuery(Struct, frozen=True, kw_only=True):
    after: UserText | None = None
    limit: PageLimit = m.MAX_PEOPLE_LIMIT


class SearchQuery(Struct, frozen=True, kw_only=True):
    """The beginning of a user name or a display name."""

    q: Annotated[str, Meta(max_length=m.MAX_SEARCH, extra_json_schema={"minLength": m.MIN_SEARCH})]
    limit: Annotated[int, Meta(ge=1, le=m.MAX_FOUND)] = 20


class ReportsQuery(Struct, frozen=True, kw_only=True):
    """Reports with a number above `after`."""

    after: m.Number = 0
    limit: Annotated[int, Meta(ge=1, le=m.MAX_HISTORY_LIMIT)] = 50


class AskContact(Struct, frozen=True, kw_only=True):
    """A word with the request."""

    text: Annotated[str, Meta(max_length=m.MAX_CONTACT_TEXT)] | None = None


class NewReport(Struct, frozen=True, kw_only=True):
    """About a `user`, or about a message: `conv` and `message_id`."""

    user: UserText | None = None
    conv: ConvText | None = None
    message_id: m.PositiveNumber | None = None
    reason: Annotated[str, Meta(min_length=1, max_length=m.MAX_REASON)]
    text: Annotated[str, Meta(max_length=m.MAX_REPORT_TEXT)] | None = None


class ContactBody(Struct, frozen=True, kw_only=True):
    """How one stands to `user` now."""

    user: str
    state: str


class ContactsBody(Struct, frozen=True, kw_only=True):
    contacts: list[m.Contact]
    more: bool


class BlocksBody(Struct, frozen=True, kw_only=True):
    blocks: list[m.BlockedUser]
    more: bool


class FoundBody(Struct, frozen=True, kw_only=True):
    users: list[m.FoundUser]
    more: bool


class ReportBody(Struct, frozen=True, kw_only=True):
    """The number under which the moderators have it; `dup`: they had it before."""

    report: int
    dup: bool


class ReportedBody(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A report. `user` is whom it is about; `content` is what the message said when it was reported."""

    report: int
    ts: int
    reporter: str
    user: str
    reason: str
    conv: str | None = None
    message_id: int | None = None
    text: str | None = None
    content: m.ReportedContent | UnsetType = UNSET


class ReportsBody(Struct, frozen=True, kw_only=True):
    reports: list[ReportedBody]
    more: bool
