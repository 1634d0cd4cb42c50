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
    EraseContacts,
    ExpireMessage,
    HideMessage,
    ReadCommand,
    SendCommand,
)
from bridge.drop_rules import drop_member
from bridge.entries import MAX_MEMBERS, Batch, again, answer, append, copy_to, done
from bridge.facts import Conversation, Facts
from bridge.group_commands import (
    DissolveGroup,
    EndInvite,
    JoinByInvite,
    MakeInvite,
    MuteConversation,
    SilenceMember,
    UpdateGroup,
)
from bridge.group_rules import create_group
from bridge.hide_rules import hide_message
from bridge.invite_rules import end_invite, join_by_invite, make_invite
from bridge.message_rules import change_message, expire_message
from bridge.mute_rules import mute_conversation
from bridge.people_commands import ChangeBlock, ChangeContact, MakeReport
from bridge.people_rules import change_block, change_contact, check_writes, forget_requests
from bridge.plan import Extra, InboxEntry, Plan, ReadRow
from bridge.push_commands import EndPush, RemovePush, SetPush, SetQuiet
from bridge.push_rules import end_push, remove_push, set_push, set_quiet
from bridge.receipt_marks import moved_by_reading, note_mentions
from bridge.report_rules import make_report
from bridge.role_rules import add_or_promote
from bridge.send_rules import check_everybody, check_reply, content_of, expiry_of
from bridge.settings_rules import dissolve_group, update_group
from bridge.speech_rules import check_speech, silence_member
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
    max_members: int = MAX_MEMBERS,
) -> Plan:
    """Outcomes are in the order of the commands. `ts` is the commit's time in milliseconds."""
    batch = Batch(facts, Plan(), epoch, ts, small_limit, recall_window_ms, max_members)
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
    check_reply(batch, command, state)
    check_everybody(batch, command)
    content, forward_of = content_of(batch, command)
    expires = expiry_of(batch, command)
    if state.kind == "direct" and state.head == 0:
        for user in recipients:
            batch.plan.reads[command.conv, user] = ReadRow(command.conv, user, 0, 0)
    message_id = append(
        batch,
        command,
        state,
        "message",
        kind=content.kind,
        text=content.text,
        body=content.body,
        extra=_extra(command, forward_of),
        expires=expires,
    )
    if command.mentions:
        note_mentions(batch, command, message_id)
    update = m.MessageUpdate(
        ts=batch.ts,
        conv=command.conv,
        message_id=message_id,
        from_=command.user,
        kind=content.kind,
        text=content.text,
        body=raw_body(content.body),
        reply_to=command.reply_to,
        mentions=list(command.mentions),
        forward_of=forward_of,
        expires=expires,
    )
    if state.is_large:
        batch.plan.rooms.append((command.conv, codec.room_entry(update)))
        _tell_mentioned(batch, command, update)
    else:
        copy_to(batch, command, recipients, update)
    return answer(command, message_id, batch.ts, dup=False)


def _recipients(batch: Batch, command: SendCommand) -> tuple[Conversation, Sequence[UserId]]:
    """The conversation, and who gets a copy.

    Raises: NotFound, NotAMember, Blocked, Forbidden.
    """
    conv, facts = command.conv, batch.facts
    state = facts.conversations.get(conv)
    if not ids.is_direct(conv):
        if state is None:
            raise NotFound("no such conversation", field="conv")
        members = facts.roles.get(conv, {})
        if command.user not in members:
            raise NotAMember("you are not in this group", field="conv")
        check_speech(batch, conv, command.user)
        return state, list(members)
    members_of = ids.members_of(conv)
    for user in members_of:
        if user not in facts.accounts:
            raise NotFound(f"no such user {user!r}", field="to")
    check_writes(facts.people, conv, command.user)
    if state is None:
        state = facts.conversations[conv] = Conversation("direct", "small", 0, 0)
    return state, members_of


def _tell_mentioned(batch: Batch, command: SendCommand, update: m.MessageUpdate) -> None:
    members = batch.facts.roles.get(command.conv, {})
    mentioned = (UserId(name) for name in dict.fromkeys(command.mentions))
    named = [user for user in mentioned if user in members and user != command.user]
    if named:
        copy_to(batch, command, named, mention_update(update))


def _extra(command: SendCommand, forward_of: m.Forwarded | None) -> Extra | None:
    if command.reply_to is None and not command.mentions and forward_of is None:
        return None
    return Extra(reply_to=command.reply_to, mentions=list(command.mentions), forward_of=forward_of)


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
        moved_by_reading(batch, command)
        update = m.ReadUpdate(ts=batch.ts, conv=conv, message_id=command.message_id)
        tail = codec.update_tail(batch.epoch, update)
        data = codec.encode(update).decode()
        plan.inbox.append(InboxEntry(user, "read", conv, command.message_id, data, tail, command.device))
    return done(command)


def _ack(batch: Batch, command: AckCommand) -> bytes | None:
    head = batch.facts.heads.get(command.user, 0)
    if command.seq > head:
        raise BadRequest(f"above the head of the inbox, which is {head}", field="seq")
    cursors, key = batch.plan.cursors, (command.user, command.device)
    cursors[key] = max(command.seq, cursors.get(key, 0))
    return done(command)


# The rest is the broker's own upkeep, which needs no decision.
_RULES: dict[type, Callable[[Batch, Any], bytes | None]] = {
    SendCommand: _send,
    ChangeMessage: change_message,
    ReadCommand: _read,
    AckCommand: _ack,
    CreateGroup: create_group,
    DropMember: drop_member,
    ChangeContact: change_contact,
    ChangeBlock: change_block,
    EraseContacts: forget_requests,
    MakeReport: make_report,
    ChangeMember: add_or_promote,
    UpdateGroup: update_group,
    DissolveGroup: dissolve_group,
    SilenceMember: silence_member,
    MuteConversation: mute_conversation,
    MakeInvite: make_invite,
    EndInvite: end_invite,
    JoinByInvite: join_by_invite,
    ExpireMessage: expire_message,
    HideMessage: hide_message,
    SetPush: set_push,
    RemovePush: remove_push,
    EndPush: end_push,
    SetQuiet: set_quiet,
}
