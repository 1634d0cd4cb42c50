"""The decisions of one batch, pure: facts read under the lock go in, rows and outcomes come out.

Numbers are given here in commit order: `message_id` from the conversation's head, places in each inbox by
counting. The store turns counts into seqs, because only the database knows the inbox heads.
"""

from collections.abc import Callable, Sequence
from typing import Any

from bridge.commands import (
    AckCommand,
    ChangeMember,
    ChangeMessage,
    Command,
    CreateGroup,
    DropMember,
    Entry,
    ReadCommand,
    SendCommand,
)
from bridge.drop_rules import drop_member
from bridge.entries import Batch, again, answer, append, copy_to
from bridge.facts import Conversation, Facts
from bridge.group_rules import change_member, create_group
from bridge.message_rules import change_message
from bridge.plan import Extra, InboxEntry, Plan, ReadRow
from bridge.updates import mention_update, raw_body
from pabal import codec, ids
from pabal import messages as m
from pabal.errors import BadRequest, NotAMember, NotFound, PabalError, Unauthorized
from pabal.ids import UserId

SMALL_LIMIT = 100


def decide(
    commands: Sequence[Command],
    facts: Facts,
    *,
    epoch: str,
    ts: int,
    small_limit: int = SMALL_LIMIT,
    recall_window_ms: int = 0,
) -> Plan:
    """Outcomes are in the order of the commands. `ts` is the commit's time in milliseconds."""
    batch = Batch(facts, Plan(), epoch, ts, small_limit, recall_window_ms)
    outcomes = batch.plan.outcomes
    for command in commands:
        try:
            outcomes.append(_decide_one(batch, command))
        except PabalError as refusal:
            outcomes.append(refusal)
    return batch.plan


def _decide_one(batch: Batch, command: Command) -> bytes | None:
    rule = _RULES.get(type(command))
    return None if rule is None else rule(batch, command)


def _send(batch: Batch, command: SendCommand) -> bytes | None:
    if (known := again(command, batch.facts)) is not None:
        return known[1]
    if command.user not in batch.facts.accounts:
        raise Unauthorized("this account is not active")
    state, recipients = _recipients(batch, command)
    if command.reply_to is not None and command.reply_to > state.head:
        raise NotFound("no such message in this conversation", field="reply_to")
    if state.kind == "direct" and state.head == 0:
        for user in recipients:
            batch.plan.reads[command.conv, user] = ReadRow(command.conv, user, 0, 0)
    message_id = append(
        batch,
        command,
        state,
        "message",
        kind=command.kind,
        text=command.text,
        body=command.body,
        extra=_extra(command),
    )
    update = m.MessageUpdate(
        ts=batch.ts,
        conv=command.conv,
        message_id=message_id,
        from_=command.user,
        kind=command.kind,
        text=command.text,
        body=raw_body(command.body),
        reply_to=command.reply_to,
        mentions=list(command.mentions),
    )
    if state.is_large:
        batch.plan.rooms.append((command.conv, codec.room_entry(update)))
        _tell_mentioned(batch, command, update)
    else:
        copy_to(batch, command, recipients, update)
    return answer(command, message_id, batch.ts, dup=False)


def _recipients(batch: Batch, command: SendCommand) -> tuple[Conversation, Sequence[UserId]]:
    """The conversation, and who gets a copy.

    Raises: NotFound, NotAMember.
    """
    conv, facts = command.conv, batch.facts
    state = facts.conversations.get(conv)
    if not ids.is_direct(conv):
        if state is None:
            raise NotFound("no such conversation", field="conv")
        members = facts.roles.get(conv, {})
        if command.user not in members:
            raise NotAMember("you are not in this group", field="conv")
        return state, list(members)
    members_of = ids.members_of(conv)
    for user in members_of:
        if user not in facts.accounts:
            raise NotFound(f"no such user {user!r}", field="to")
    if state is None:
        state = facts.conversations[conv] = Conversation("direct", "small", 0, 0)
    return state, members_of


def _tell_mentioned(batch: Batch, command: SendCommand, update: m.MessageUpdate) -> None:
    members = batch.facts.roles.get(command.conv, {})
    mentioned = (UserId(name) for name in dict.fromkeys(command.mentions))
    named = [user for user in mentioned if user in members and user != command.user]
    if named:
        copy_to(batch, command, named, mention_update(update))


def _extra(command: SendCommand) -> Extra | None:
    if command.reply_to is None and not command.mentions:
        return None
    return Extra(reply_to=command.reply_to, mentions=list(command.mentions))


def _read(batch: Batch, command: ReadCommand) -> bytes | None:
    conv, user, facts, plan = command.conv, command.user, batch.facts, batch.plan
    moved = plan.reads.get((conv, user))
    before = facts.read_upto.get((conv, user)) if moved is None else moved.read_upto
    if before is None and not ids.is_direct(conv) and conv in facts.conversations:
        raise NotAMember("you are not in this group", field="conv")
    ordinal = facts.ordinals.get((conv, command.message_id))
    if before is None or ordinal is None:
        raise NotFound("no such message", field="message_id")
    if command.message_id > before:
        plan.reads[conv, user] = ReadRow(conv, user, command.message_id, ordinal)
        update = m.ReadUpdate(ts=batch.ts, conv=conv, message_id=command.message_id)
        tail = codec.update_tail(batch.epoch, update)
        data = codec.encode(update).decode()
        plan.inbox.append(InboxEntry(user, "read", conv, command.message_id, data, tail))
    return done(command)


def _ack(batch: Batch, command: AckCommand) -> bytes | None:
    head = batch.facts.heads.get(command.user, 0)
    if command.seq > head:
        raise BadRequest(f"above the head of the inbox, which is {head}", field="seq")
    cursors, key = batch.plan.cursors, (command.user, command.device)
    cursors[key] = max(command.seq, cursors.get(key, 0))
    return done(command)


def done(command: Entry) -> bytes | None:
    return None if command.request_id is None else codec.encode(m.Done(re=command.request_id))


# The rest is the broker's own upkeep, which needs no decision.
_RULES: dict[type, Callable[[Batch, Any], bytes | None]] = {
    SendCommand: _send,
    ChangeMessage: change_message,
    ReadCommand: _read,
    AckCommand: _ack,
    CreateGroup: create_group,
    ChangeMember: change_member,
    DropMember: drop_member,
}
