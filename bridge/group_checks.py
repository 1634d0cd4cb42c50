"""What can be known of a request about a group without the database."""

import secrets

from bridge.commands import ChangeMember, digest, own_conv
from bridge.group_commands import (
    DissolveGroup,
    EndInvite,
    GroupCommand,
    JoinByInvite,
    MakeInvite,
    MuteConversation,
    SilenceMember,
    UpdateGroup,
)
from bridge.ports import Source
from pabal import ids
from pabal import messages as m
from pabal.errors import BadRequest
from pabal.ids import ConvId

# 128 bits of chance in 22 characters.
_CODE_BYTES = 16

GroupRequest = (
    m.GroupUpdate | m.GroupDissolve | m.GroupMute | m.Mute | m.GroupInvite | m.GroupUninvite | m.GroupJoin
)


def check_group(source: Source, request: GroupRequest) -> GroupCommand:  # noqa: PLR0911 -- one for each request
    """Raises: errors.PabalError, the refusal."""
    user, device, id_ = source.user, source.device, request.id
    match request:
        case m.GroupUpdate():
            return _update(source, request)
        case m.GroupDissolve():
            conv = group_of(request.conv)
            return DissolveGroup(user, device, id_, conv, _digest(request, conv, "dissolved"))
        case m.GroupMute():
            return _silence(source, request)
        case m.Mute():
            if request.remove and request.until is not None:
                raise BadRequest("not together with 'remove'", field="until")
            until = None if request.remove else request.until or m.MAX_NUMBER
            return MuteConversation(user, device, id_, own_conv(source, request.conv), until)
        case m.GroupInvite():
            conv, seconds, uses = group_of(request.conv), request.expires_in, request.uses
            made = _digest(request, conv, "invite", seconds, uses)
            code = secrets.token_urlsafe(_CODE_BYTES)
            lifetime_ms = None if seconds is None else seconds * 1000
            return MakeInvite(user, device, id_, conv, made, code, lifetime_ms, uses)
        case m.GroupUninvite():
            return EndInvite(user, device, id_, group_of(request.conv), _code(request.code))
        case m.GroupJoin():
            code = _code(request.code)
            return JoinByInvite(user, device, id_, _digest(request, "join", code), code)


def _update(source: Source, request: m.GroupUpdate) -> UpdateGroup:
    conv, name = group_of(request.conv), request.name
    if name is None and request.history is None and request.posting is None:
        raise BadRequest("what is to change: 'name', 'history' or 'posting'", field="name")
    if name is not None:
        check_name(name)
    return UpdateGroup(
        source.user,
        source.device,
        request.id,
        conv,
        _digest(request, conv, "settings", name, request.history, request.posting),
        name,
        request.history,
        request.posting,
    )


def _silence(source: Source, request: m.GroupMute) -> SilenceMember:
    conv, target = group_of(request.conv), ids.parse_user(request.user)
    if request.remove and request.until is not None:
        raise BadRequest("not together with 'remove'", field="until")
    return SilenceMember(
        source.user,
        source.device,
        request.id,
        conv,
        _digest(request, conv, "muted", target, request.until, request.remove),
        target,
        request.until,
        request.remove,
    )


def check_name(name: str) -> None:
    """Raises: BadRequest unless people can read it."""
    if not name.strip() or "\0" in name:
        raise BadRequest("a name that can be read, without U+0000", field="name")


def group_of(conv: str) -> ConvId:
    """Raises: BadRequest for whatever is no group's id."""
    parsed = ids.parse_conv(conv)
    if ids.is_direct(parsed):
        raise BadRequest("a direct conversation is no group", field="conv")
    return parsed


def _code(code: str) -> str:
    if "\0" in code:
        raise BadRequest("must not contain U+0000", field="code")
    return code


def _digest(request: m.Request, *content: object) -> str:
    return "" if request.id is None else digest(content)


def joining(command: JoinByInvite, conv: ConvId) -> ChangeMember:
    """The change of members that a link stands for."""
    user = command.user
    return ChangeMember(user, command.device, command.request_id, conv, command.digest, "joined", user)
