"""From payloads to what is to be done: reading requests, whether they may be asked, and what each of them means."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from bridge.commands import (
    Command,
    check_ack,
    check_change,
    check_group_create,
    check_member_change,
    check_read,
    check_send,
)
from bridge.people_commands import check_block, check_contact, check_report
from bridge.ports import Source
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


def right_refusal(source: Source, request: m.AnyRequest) -> PabalError | None:
    """Why this credential may not ask for this, None if it may."""
    if source.allow != EVERYTHING:
        try:
            check_right(source.allow, request)
        except PabalError as refusal:
            return refusal
    return None


def command_of(  # noqa: PLR0911 -- one line for each kind of request is the table
    source: Source, request: m.AnyRequest
) -> Command:
    """What the committer is to do for a request that writes.

    Raises: errors.PabalError, the refusal.
    """
    match request:
        case m.Send():
            return check_send(source, request)
        case m.Edit() | m.Recall() | m.React():
            return check_change(source, request)
        case m.Read():
            return check_read(source, request)
        case m.Ack():
            return check_ack(source, request)
        case m.GroupCreate():
            return check_group_create(source, request)
        case m.GroupAdd() | m.GroupRemove() | m.GroupLeave():
            return check_member_change(source, request)
        case m.ContactRequest() | m.ContactAccept() | m.ContactRemove():
            return check_contact(source, request)
        case m.BlockAdd() | m.BlockRemove():
            return check_block(source, request)
        case m.Report():
            return check_report(source, request)
        case _:
            raise AssertionError(f"{type(request).__name__} is no write")


def read(  # noqa: PLR0911 -- likewise
    reads: Reads, user: UserId, request: m.AnyRequest | PabalError
) -> bytes:
    """The reply to a request that reads.

    Raises: errors.PabalError, the refusal.
    """
    match request:
        case m.Sync():
            return reads.sync(user, request.after, request.epoch, request.limit, request.id)
        case m.History():
            conv = parse_conv(request.conv)
            return reads.history(user, conv, request.before, request.after, request.limit, request.id)
        case m.Conversations():
            after = None if request.after is None else parse_conv(request.after, field="after")
            return reads.conversations(user, after, request.limit, request.id)
        case m.Presence():
            users = [parse_user(name, field="users") for name in request.users]
            return reads.presence(user, users, request.id)
        case m.Contacts():
            return codec.encode(
                reads.people.contacts(user, _user_or_none(request.after), request.limit, request.id)
            )
        case m.Blocks():
            return codec.encode(
                reads.people.blocks(user, _user_or_none(request.after), request.limit, request.id)
            )
        case m.Users():
            return codec.encode(reads.people.search(user, request.q, request.limit, request.id))
        case _:
            raise AssertionError(f"{type(request).__name__} is no read")


def _user_or_none(after: str | None) -> UserId | None:
    return None if after is None else parse_user(after, field="after")
