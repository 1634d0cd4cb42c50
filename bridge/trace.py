"""One message's way, for "why didn't Bob get it?": committed, fanned out, acknowledged, pushed.

Whoever runs the server sees all of it. Who wrote the message sees of others only what a chat shows anyway, and whether
a push was sent: which devices people have, and how they are reached, is their own.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from bridge.store.failures import answering
from bridge.store.read_store import ReadStore, Snapshot
from bridge.store.trace_queries import Acked, Copy, PushRow
from bridge.updates import StoredMessage
from pabal import ids
from pabal.errors import Forbidden, NotAMember, NotFound
from pabal.ids import ConvId, UserId


class DeviceTrace(msgspec.Struct, frozen=True, kw_only=True):
    """`acknowledged`: its cursor is at or above the seq of the update."""

    device: str
    cursor: int
    acknowledged: bool


class PushTrace(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A job. `answer` is what the push service said to the newest try, or why there was none."""

    device: str
    kind: str
    state: str
    service: str | None = None
    tries: int
    answer: str | None = None
    created: int
    due: int
    sending: int | None = None
    done: int | None = None


class RecipientTrace(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody to whom the message went. `seq` is that of the inbox; without it the update is not kept there any longer,
    or the message goes by the room. `in_outbox`: it is not known yet that the broker has it. `delivered` and `read` as
    far as they are known to who asks. `pushed`: a push was sent.
    """

    user: str
    seq: int | None = None
    in_outbox: bool = False
    delivered: bool = False
    read: bool | None = None
    pushed: bool = False
    devices: list[DeviceTrace] = []
    pushes: list[PushTrace] = []


class Trace(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Times are milliseconds since 1970. `way`: `inbox` where everybody has a copy, `room` in a large group, where those
    who are named have one.
    """

    conv: str
    message_id: int
    type: str
    kind: str
    from_: str = msgspec.field(name="from")
    device: str | None = None
    id: str | None = None
    committed: int
    edited: int | None = None
    recalled: int | None = None
    expires: int | None = None
    way: Literal["inbox", "room"]
    recipients: list[RecipientTrace]


class TraceReads:
    """Safe for use by several threads. Every method raises errors.Unavailable if the database fails."""

    def __init__(self, store: ReadStore) -> None:
        self._store = store

    def whole(self, conv: ConvId, message_id: int) -> Trace:
        """All of it. Raises: NotFound."""
        with answering(), self._store.snapshot() as snapshot:
            message = _message(snapshot, conv, message_id)
            return _trace(snapshot, message, None)

    def own(self, viewer: UserId, conv: ConvId, message_id: int) -> Trace:
        """Of what `viewer` wrote, as much as that is the viewer's business.

        Raises: NotAMember, NotFound, Forbidden.
        """
        if ids.is_direct(conv) and viewer not in ids.members_of(conv):
            raise NotAMember("this conversation is between others", field="conv")
        with answering(), self._store.snapshot() as snapshot:
            if not ids.is_direct(conv) and snapshot.visible_from(conv, viewer) is None:
                raise NotAMember("you are not in this group", field="conv")
            message = _message(snapshot, conv, message_id)
            if message.sender != viewer:
                raise Forbidden("only who wrote a message is told of its way, and admins", field="message_id")
            return _trace(snapshot, message, viewer)


def _message(snapshot: Snapshot, conv: ConvId, message_id: int) -> StoredMessage:
    found = snapshot.messages([(conv, message_id)]).get((conv, message_id))
    if found is None:
        raise NotFound("no such message", field="message_id")
    return found


def _trace(snapshot: Snapshot, message: StoredMessage, viewer: UserId | None) -> Trace:
    conv, message_id = ConvId(message.conv_id), message.message_id
    copies = snapshot.traces.copies(conv, message_id, message.ts)
    users = [copy.user for copy in copies]
    acked: dict[UserId, list[Acked]] = {}
    for one in snapshot.traces.acknowledged(users):
        acked.setdefault(one.user, []).append(one)
    pushes: dict[UserId, list[PushRow]] = {}
    for row in snapshot.traces.pushes(users, conv, message_id):
        pushes.setdefault(row.user, []).append(row)
    outbox = snapshot.traces.outbox()
    # To whom what may be shown, is decided where the history of a conversation is.
    shown = {} if viewer is None else {receipt.user: receipt for receipt in snapshot.receipts(conv, viewer)}
    recipients = []
    for copy in copies:
        devices, sent = acked.get(copy.user, []), pushes.get(copy.user, [])
        waits = any(first <= (copy.seq or 0) <= last for first, last in outbox.get(copy.user, ()))
        if viewer is None or copy.user == viewer:
            recipients.append(_in_full(copy, devices, sent, message_id, in_outbox=waits))
        elif (receipt := shown.get(copy.user)) is not None:
            recipients.append(
                RecipientTrace(
                    user=copy.user,
                    delivered=receipt.delivered >= message_id,
                    read=receipt.read >= message_id if isinstance(receipt.read, int) else None,
                    pushed=_is_pushed(sent),
                )
            )
    return Trace(
        conv=conv,
        message_id=message_id,
        type=message.type,
        kind=message.kind,
        from_=message.sender,
        device=message.device or None,
        id=message.id,
        committed=message.ts,
        edited=message.edited_ts,
        recalled=message.recalled_ts,
        expires=message.expires_ts,
        way="room" if snapshot.traces.is_large(conv) else "inbox",
        recipients=recipients,
    )


def _in_full(
    copy: Copy, devices: Sequence[Acked], sent: Sequence[PushRow], message_id: int, *, in_outbox: bool
) -> RecipientTrace:
    return RecipientTrace(
        user=copy.user,
        seq=copy.seq,
        in_outbox=in_outbox,
        delivered=copy.delivered_upto >= message_id,
        read=copy.read_upto >= message_id,
        pushed=_is_pushed(sent),
        devices=[
            DeviceTrace(
                device=one.device,
                cursor=one.cursor,
                acknowledged=copy.seq is not None and one.cursor >= copy.seq,
            )
            for one in devices
        ],
        pushes=[
            PushTrace(
                device=row.device,
                kind=row.kind,
                state=row.state,
                service=row.service,
                tries=row.tries,
                answer=row.answer,
                created=row.created_ts,
                due=row.due_ts,
                sending=row.sending_ts,
                done=row.done_ts,
            )
            for row in sent
        ],
    )


def _is_pushed(sent: Sequence[PushRow]) -> bool:
    return any(row.kind == "message" and row.state == "sent" for row in sent)
