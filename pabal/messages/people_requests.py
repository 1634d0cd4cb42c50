"""Requests about other users: presence, contacts, blocks, search and reports."""

from typing import Annotated

from msgspec import Meta

from pabal.messages.limits import (
    MAX_CONTACT_TEXT,
    MAX_FOUND,
    MAX_HISTORY_LIMIT,
    MAX_PEOPLE_LIMIT,
    MAX_PRESENCE_USERS,
    MAX_REASON,
    MAX_REPORT_TEXT,
    MAX_SEARCH,
    Number,
    PositiveNumber,
)
from pabal.messages.request import Request


class Presence(Request, frozen=True, kw_only=True, tag="presence", omit_defaults=True):
    """What these users are doing, as far as each of them shows it to who asks."""

    users: Annotated[list[str], Meta(max_length=MAX_PRESENCE_USERS)]


class ContactRequest(Request, frozen=True, kw_only=True, tag="contact.request", omit_defaults=True):
    """Ask somebody to be a contact, with a word if one likes; if they asked already, both are contacts."""

    user: str
    text: Annotated[str, Meta(max_length=MAX_CONTACT_TEXT)] | None = None


class ContactAccept(Request, frozen=True, kw_only=True, tag="contact.accept", omit_defaults=True):
    """Take the request of that user."""

    user: str


class ContactRemove(Request, frozen=True, kw_only=True, tag="contact.remove", omit_defaults=True):
    """End a contact, refuse a request, or take one back."""

    user: str


class Contacts(Request, frozen=True, kw_only=True, tag="contacts", omit_defaults=True):
    """A page of one's contacts and open requests, by user."""

    after: str | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_PEOPLE_LIMIT)] = MAX_PEOPLE_LIMIT


class BlockAdd(Request, frozen=True, kw_only=True, tag="block.add", omit_defaults=True):
    """That user and oneself hear and see nothing of each other any more. Nobody else is told."""

    user: str


class BlockRemove(Request, frozen=True, kw_only=True, tag="block.remove", omit_defaults=True):
    user: str


class Blocks(Request, frozen=True, kw_only=True, tag="blocks", omit_defaults=True):
    """A page of those whom one has blocked, by user."""

    after: str | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_PEOPLE_LIMIT)] = MAX_PEOPLE_LIMIT


class Users(Request, frozen=True, kw_only=True, tag="users", omit_defaults=True):
    """People whose user name or display name begins so."""

    q: Annotated[str, Meta(max_length=MAX_SEARCH)]
    limit: Annotated[int, Meta(ge=1, le=MAX_FOUND)] = 20


class UserGet(Request, frozen=True, kw_only=True, tag="user.get", omit_defaults=True):
    """Whether there is somebody of this name, and to those who know them what they say of themselves."""

    user: str


class Reports(Request, frozen=True, kw_only=True, tag="reports", omit_defaults=True):
    """What was reported, oldest first, from above number `after` on. For admins."""

    after: Number = 0
    limit: Annotated[int, Meta(ge=1, le=MAX_HISTORY_LIMIT)] = 50


class Report(Request, frozen=True, kw_only=True, tag="report", omit_defaults=True):
    """Tell the moderators of a user, or of a message (`conv` and `message_id`) that one sees."""

    user: str | None = None
    conv: str | None = None
    message_id: PositiveNumber | None = None
    reason: Annotated[str, Meta(min_length=1, max_length=MAX_REASON)]
    text: Annotated[str, Meta(max_length=MAX_REPORT_TEXT)] | None = None
