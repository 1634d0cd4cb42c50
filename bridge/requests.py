"""From payloads to what is to be done: reading requests, whether they may be asked, and what each of them means."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from bridge.commands import (
    Command,
    check_ack,
    check_change,
    check_group_create,
    check_hide,
    check_member_change,
    check_read,
    check_send,
)
from bridge.group_checks import check_group, group_of
from bridge.people_commands import check_block, check_contact, check_report
from bridge.ports import Source
from bridge.push_commands import PushTargets, check_push, own_device
from bridge.reads import Reads
from pabal import codec
from pabal import messages as m
from pabal.acl import EVERYTHING, check_right
from pabal.codec import Format, Rejected
from pabal.errors import PabalError
from pabal.ids import UserId, parse_conv, parse_user

# Up to so many bytes, a payload has too few containers for `no_collecting` to matter.
SMALL = 1024


def read_one(payload: bytes, form: Format, refusal: PabalError | None) -> m.AnyRequest | Rejected:
    """The request; of one that is refused, only the id to answer under."""
    if refusal is not None:
        return Rejected(codec.request_id_of(payload, form), refusal)
    return codec.decode_request(payload, form)


@contextmanager
def no_collecting() -> Iterator[None]:
    """Around the reading of a large payload. Python looks for cycles after so many new containers, from time to
    time in all that there is. A document has none, and large ones made it look so often that everybody waited.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def op_of(request: m.AnyRequest | Rejected) -> str:
    """What was asked for, for those who follow it."""
    return "?" if isinstance(request, Rejected) else str(request.__struct_config__.tag)


def right_refusal(source: Source, request: m.AnyRequest) -> PabalError | None:
    """Why this credential may not ask for this, None if it may."""
    if source.allow != EVERYTHING:
        try:
            check_right(source.allow, request)
        except PabalError as refusal:
            return refusal
    return None


def command_of(source: Source, request: m.AnyRequest, targets: PushTargets) -> Command:
    """What the committer is to do for a request that writes.

    Raises: errors.PabalError, the refusal.
    """
    if isinstance(request, m.PushSet | m.PushRemove | m.QuietSet | m.QuietRemove):
        return check_push(source, request, targets)
    return _WRITES[type(request)](source, request)


_WRITES: dict[type, Callable[[Source, Any], Command]] = {
    m.Send: check_send,
    m.Edit: check_change,
    m.Recall: check_change,
    m.React: check_change,
    m.Read: check_read,
    m.Ack: check_ack,
    m.Delete: check_hide,
    m.GroupCreate: check_group_create,
    m.GroupAdd: check_member_change,
    m.GroupRemove: check_member_change,
    m.GroupLeave: check_member_change,
    m.GroupUpdate: check_group,
    m.GroupDissolve: check_group,
    m.GroupMute: check_group,
    m.Mute: check_group,
    m.GroupInvite: check_group,
    m.GroupUninvite: check_group,
    m.GroupJoin: check_group,
    m.ContactRequest: check_contact,
    m.ContactAccept: check_contact,
    m.ContactRemove: check_contact,
    m.BlockAdd: check_block,
    m.BlockRemove: check_block,
    m.Report: check_report,
}


def reads_only(request: object) -> bool:
    """Whether a request is answered from the database as it is, and changes nothing."""
    return type(request) in _READS or isinstance(request, m.PushGet)


def read(reads: Reads, source: Source, request: m.AnyRequest | PabalError) -> bytes:
    """The reply to a request that reads.

    Raises: errors.PabalError, the refusal.
    """
    user = source.user
    if isinstance(request, m.PushGet):
        return reads.pushes.subscription(user, own_device(source, request.device), request.id)
    return _READS[type(request)](reads, user, request)


def _sync(reads: Reads, user: UserId, request: m.Sync) -> bytes:
    return reads.sync(user, request.after, request.epoch, request.limit, request.id)


def _history(reads: Reads, user: UserId, request: m.History) -> bytes:
    conv = parse_conv(request.conv)
    return reads.history(user, conv, request.before, request.after, request.limit, request.id)


def _conversations(reads: Reads, user: UserId, request: m.Conversations) -> bytes:
    after = None if request.after is None else parse_conv(request.after, field="after")
    return reads.conversations(user, after, request.limit, request.id)


def _presence(reads: Reads, user: UserId, request: m.Presence) -> bytes:
    users = [parse_user(name, field="users") for name in request.users]
    return reads.presence(user, users, re=request.id)


def _contacts(reads: Reads, user: UserId, request: m.Contacts) -> bytes:
    return codec.encode(reads.people.contacts(user, _user_or_none(request.after), request.limit, request.id))


def _blocks(reads: Reads, user: UserId, request: m.Blocks) -> bytes:
    return codec.encode(reads.people.blocks(user, _user_or_none(request.after), request.limit, request.id))


def _users(reads: Reads, user: UserId, request: m.Users) -> bytes:
    return codec.encode(reads.people.search(user, request.q, request.limit, request.id))


def _profile(reads: Reads, user: UserId, request: m.UserGet) -> bytes:
    found = reads.people.profile(user, parse_user(request.user))
    said = {name: told for name in ("display_name", "about") if (told := getattr(found, name)) is not None}
    return codec.encode(m.ProfileReply(re=request.id, user=found.user, **said))


def _reports(reads: Reads, user: UserId, request: m.Reports) -> bytes:
    reads.people.check_admin(user)
    return codec.encode(reads.people.report_page(request.after, request.limit, request.id))


def _group(reads: Reads, user: UserId, request: m.GroupGet) -> bytes:
    after = _user_or_none(request.after)
    return reads.group(user, group_of(request.conv), after, request.limit, request.id)


def _invites(reads: Reads, user: UserId, request: m.GroupInvites) -> bytes:
    return reads.invites(user, group_of(request.conv), request.id)


def _quiet(reads: Reads, user: UserId, request: m.QuietGet) -> bytes:
    return reads.pushes.quiet(user, request.id)


def _user_or_none(after: str | None) -> UserId | None:
    return None if after is None else parse_user(after, field="after")


_READS: dict[type, Callable[[Reads, UserId, Any], bytes]] = {
    m.Sync: _sync,
    m.History: _history,
    m.Conversations: _conversations,
    m.Presence: _presence,
    m.Contacts: _contacts,
    m.Blocks: _blocks,
    m.Users: _users,
    m.UserGet: _profile,
    m.Reports: _reports,
    m.GroupGet: _group,
    m.GroupInvites: _invites,
    m.QuietGet: _quiet,
}
