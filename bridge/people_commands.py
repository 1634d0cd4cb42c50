"""What people ask about each other: contacts, blocks, and reports to moderators."""

from typing import Literal

import msgspec

from bridge.ports import Source
from pabal import ids
from pabal import messages as m
from pabal.errors import BadRequest, NotAMember
from pabal.ids import ConvId, DeviceId, UserId

ContactAct = Literal["request", "accept", "remove"]


class ChangeContact(msgspec.Struct, frozen=True, gc=False):
    """`text` is what a request says."""

    user: UserId
    device: DeviceId
    request_id: str | None
    act: ContactAct
    other: UserId
    text: str | None = None


class ChangeBlock(msgspec.Struct, frozen=True, gc=False):
    user: UserId
    device: DeviceId
    request_id: str | None
    other: UserId
    on: bool


class MakeReport(msgspec.Struct, frozen=True, gc=False):
    """About a user (`about`), or about a message (`conv` and `message_id`)."""

    user: UserId
    device: DeviceId
    request_id: str | None
    about: UserId | None
    conv: ConvId | None
    message_id: int
    reason: str
    text: str | None


PeopleCommand = ChangeContact | ChangeBlock | MakeReport


def check_contact(
    source: Source, request: m.ContactRequest | m.ContactAccept | m.ContactRemove
) -> ChangeContact:
    """Raises: BadRequest."""
    other = _another(source, request.user)
    text: str | None = None
    match request:
        case m.ContactRequest():
            act: ContactAct = "request"
            text = _kept(request.text, "text")
        case m.ContactAccept():
            act = "accept"
        case m.ContactRemove():
            act = "remove"
    return ChangeContact(source.user, source.device, request.id, act, other, text)


def check_block(source: Source, request: m.BlockAdd | m.BlockRemove) -> ChangeBlock:
    """Raises: BadRequest."""
    other = _another(source, request.user)
    return ChangeBlock(source.user, source.device, request.id, other, isinstance(request, m.BlockAdd))


def check_report(source: Source, request: m.Report) -> MakeReport:
    """Raises: BadRequest, NotAMember."""
    if not request.reason.strip():
        raise BadRequest("a word or two that can be read", field="reason")
    reason, text = _kept(request.reason, "reason") or "", _kept(request.text, "text")
    about, conv, message_id = None, None, 0
    if request.user is not None:
        if request.conv is not None or request.message_id is not None:
            raise BadRequest("either a 'user', or a message by 'conv' and 'message_id'", field="user")
        about = _another(source, request.user)
    else:
        conv = ids.parse_conv(request.conv)
        if ids.is_direct(conv) and source.user not in ids.members_of(conv):
            raise NotAMember("this conversation is between others", field="conv")
        if request.message_id is None:
            raise BadRequest("this field is required", field="message_id")
        message_id = request.message_id
    return MakeReport(source.user, source.device, request.id, about, conv, message_id, reason, text)


def _another(source: Source, name: str) -> UserId:
    user = ids.parse_user(name)
    if user == source.user:
        raise BadRequest("somebody else than yourself", field="user")
    return user


def _kept(text: str | None, field: str) -> str | None:
    if "\0" in (text or ""):
        raise BadRequest("U+0000 cannot be kept", field=field)
    return text or None
