"""Adding an entry to a conversation's log: one mechanism for messages, members and settings alike."""

from collections.abc import Iterable
from dataclasses import dataclass

from bridge.commands import Entry, LogCommand
from bridge.facts import Conversation, Facts, Known, Target
from bridge.plan import Extra, InboxEntry, MessageRow, Plan, ReadRow
from pabal import codec, ids
from pabal import messages as m
from pabal.errors import Conflict
from pabal.ids import UserId

# Whoever sends into a large group is heard by all of them at once.
MAX_MEMBERS = 10_000


@dataclass(slots=True)
class Batch:
    """One batch being decided: facts in, plan out, and what its commit will be stamped with."""

    facts: Facts
    plan: Plan
    epoch: str
    ts: int
    small_limit: int
    recall_window_ms: int = 0
    max_members: int = MAX_MEMBERS


def again(command: LogCommand, facts: Facts) -> tuple[Known, bytes | None] | None:
    """What was answered when this request was committed before; None if it was not.

    Raises: Conflict if its id was used for another content.
    """
    if command.request_id is None:
        return None
    before = facts.known.get(command.key)
    if before is None:
        return None
    if before.digest != command.digest:
        raise Conflict("this id was used for another request", field="id")
    return before, answer(command, before.message_id, before.ts, dup=True)


def answer(command: LogCommand, message_id: int, ts: int, *, dup: bool) -> bytes | None:
    if command.request_id is None:
        return None
    return codec.encode(
        m.Committed(re=command.request_id, conv=command.conv, message_id=message_id, ts=ts, dup=dup)
    )


def done(command: Entry) -> bytes | None:
    """It is so, and nothing more is to be said."""
    return None if command.request_id is None else codec.encode(m.Done(re=command.request_id))


def append(
    batch: Batch,
    command: LogCommand,
    state: Conversation,
    type_: str,
    *,
    kind: str = "",
    text: str | None = None,
    body: str | None = None,
    extra: Extra | None = None,
    target: int | None = None,
    expires: int | None = None,
    first: bool = True,
) -> int:
    """Give the entry its number and its row. Returns the message_id.

    Its author has read up to it, unless it is about an earlier entry (`target`). `first` is False for a further entry of the same command: it carries no id of its own.
    """
    conv, facts, plan = command.conv, batch.facts, batch.plan
    state.head += 1
    if type_ == "message":
        state.ordinal += 1
    plan.conversations[conv] = state
    message_id = state.head
    request_id = command.request_id if first else None
    rows = plan.direct_messages if ids.is_direct(conv) else plan.group_messages
    rows.append(
        MessageRow(
            conv,
            message_id,
            command.user,
            command.device,
            request_id,
            command.digest if first else "",
            type_,
            kind,
            state.ordinal,
            text,
            body,
            None if extra is None else codec.encode(extra).decode(),
            batch.ts,
            target,
            expires,
        )
    )
    if facts.looks_back:
        facts.ordinals[conv, message_id] = state.ordinal
        facts.targets[conv, message_id] = Target(command.user, type_, batch.ts, expires=expires)
    if target is None:
        plan.reads[conv, command.user] = ReadRow(conv, command.user, message_id, state.ordinal)
    if request_id is not None:
        facts.known[command.key] = Known(message_id, command.digest, batch.ts)
    return message_id


def copy_to(
    batch: Batch, command: LogCommand, users: Iterable[UserId], update: m.EntryUpdate | m.MentionUpdate
) -> None:
    """Into each inbox; the author's own devices are told which request it was."""
    tail = codec.update_tail(batch.epoch, update)
    type_ = update.__struct_config__.tag
    inbox, author = batch.plan.inbox, command.user
    conv, message_id = update.conv, update.message_id
    for user in users:
        theirs = tail
        if user == author and command.device:  # no device asked for what the server does itself
            theirs = codec.with_sender_fields(tail, command.device, command.request_id)
        inbox.append(InboxEntry(user, str(type_), conv, message_id, None, theirs))
