"""Which new updates of inboxes are pushed, and when that is due. Pure."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from bridge.plan import InboxEntry, MessageRow, Plan
from pabal import ids
from pabal import messages as m
from pabal.ids import ConvId, UserId

WAIT_S = 10.0
TTL_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class PushTimes:
    """How long a device that is connected may take to acknowledge an update before its user is told of it by push, and
    for how long a push is of use.
    """

    wait_ms: int = round(WAIT_S * 1000)
    ttl_ms: int = round(TTL_S * 1000)


# The columns of `bridge.store.push_jobs`: user, seq, kind, type, conversation, message_id, due, expires, the
# device that needs none, and for a `clear` from which message on it takes anything away. Somebody who asks to be a
# contact does so in the conversation of the two, with no message in it.
JobRow = tuple[str, int, str, str, str, int | None, int, int, str, int]


def jobs(
    plan: Plan,
    seqs: Sequence[int],
    ts: int,
    *,
    pushed: Collection[UserId],
    times: PushTimes,
    reached: Callable[[UserId], bool],
) -> Iterator[JobRow]:
    """One for each update of users who are pushed to; `seqs` are those of `plan.inbox`. `reached` says who has a device
    connected: nobody else is waited for.
    """
    entries: dict[tuple[str, int], MessageRow] = {}
    waits: dict[UserId, bool] = {}
    for entry, seq in zip(plan.inbox, seqs, strict=True):
        user = entry.user
        if user not in pushed:
            continue
        conv = entry.conv_id
        if conv is None or entry.message_id is None:
            if (asks := _who_asks(entry)) is None:
                continue
            conv, kind, upto, first, device = ids.direct(user, asks), "message", None, 1, ""
        elif entry.type == "read":
            kind, upto, first, device = "clear", entry.message_id, 1, entry.device or ""
        elif entry.type in {"message", "mention", "recalled"}:
            if not entries:
                rows = (*plan.direct_messages, *plan.group_messages)
                entries = {(row.conv_id, row.message_id): row for row in rows}
            row = entries[conv, entry.message_id]
            kind, upto, first, device = _of_entry(entry, row)
        else:
            continue
        due = ts
        if kind == "message":
            if user not in waits:
                waits[user] = reached(user)
            due = ts + times.wait_ms if waits[user] else ts
        yield user, seq, kind, entry.type, conv, upto, due, ts + times.ttl_ms, device, first


def taken_back(plan: Plan) -> list[tuple[str, int]]:
    """Conversation and message, of what was recalled or has expired in large groups: no update says so in inboxes."""
    return [
        (row.conv_id, row.target)
        for row in plan.group_messages
        if row.type == "recalled"
        and row.target is not None
        and plan.conversations[ConvId(row.conv_id)].is_large
    ]


def answered(plan: Plan, pushed: Collection[UserId]) -> list[tuple[UserId, ConvId, str]]:
    """Who was asked to be a contact and need not be told of it any more, the conversation of the two, and the device
    that needs no push for that.
    """
    return [
        (user, ids.direct(user, asker), device)
        for (user, asker), device in plan.people.answered.items()
        if user in pushed
    ]


def _who_asks(entry: InboxEntry) -> UserId | None:
    """To be a contact; None where nobody does."""
    if entry.type != "contact" or entry.data is None:
        return None
    update = msgspec.json.decode(entry.data, type=m.ContactUpdate)
    return UserId(update.user) if update.action == "received" else None


def _of_entry(entry: InboxEntry, row: MessageRow) -> tuple[str, int, int, str]:
    """Kind, up to and from which message, and the device that needs none."""
    if row.target is not None:
        return "clear", row.target, row.target, ""
    if row.sender == entry.user:
        # To write is to have read.
        return "clear", row.message_id, 1, row.device
    return "message", row.message_id, 1, ""
