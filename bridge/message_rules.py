"""Who may change a message that is there, and what the change makes: another content, none, or a reaction.

Each change is an entry of its own, so that it is ordered, synced and kept for who is away like a message. The
newest content stands in the message's own row alone: an `edited` entry points there, and so a recall takes away
every copy of what was said.
"""

from collections.abc import Iterable

import msgspec

from bridge.commands import ChangeMessage, ExpireMessage
from bridge.entries import Batch, again, answer, append, copy_to
from bridge.facts import Conversation, Target
from bridge.group_rules import MEMBER
from bridge.people_rules import check_writes
from bridge.plan import ContentRow, Extra
from bridge.speech_rules import check_speech
from bridge.updates import Change, change_update
from pabal import codec, ids
from pabal import messages as m
from pabal.errors import Conflict, Forbidden, NotAMember, NotFound, TooLarge, Unauthorized
from pabal.ids import ConvId, UserId

# Of one member under one message.
MAX_REACTIONS = 20


def change_message(batch: Batch, command: ChangeMessage) -> bytes | None:
    """Raises: Unauthorized, NotFound, NotAMember, Blocked, Forbidden, Conflict, TooLarge."""
    if (known := again(command, batch.facts)) is not None:
        return known[1]
    if command.user not in batch.facts.accounts:
        raise Unauthorized("this account is not active")
    state, target = check_target(batch, command)
    extra = None
    if ids.is_direct(command.conv) and command.action != "recalled":
        # To take back what one said is always allowed.
        check_writes(batch.facts.people, command.conv, command.user)
    match command.action:
        case "edited":
            check_edit(command, target)
            check_speech(batch, command.conv, command.user)
        case "recalled":
            check_recall(batch, command, target)
            target.recalled = True
        case "reaction":
            check_reaction(batch, command)
            extra = Extra(emoji=command.emoji, removed=command.removed)
    message_id = _change(batch, command, state, extra)
    return answer(command, message_id, batch.ts, dup=False)


def expire_message(batch: Batch, command: ExpireMessage) -> None:
    """The time of a message is over. Nothing is left to do if it was recalled meanwhile."""
    state = batch.facts.conversations.get(command.conv)
    target = batch.facts.targets.get((command.conv, command.target))
    if state is None or target is None or target.recalled or not is_over(target, batch.ts):
        return
    target.recalled = True
    _change(batch, command, state, Extra(expired=True))


def is_over(target: Target, ts: int) -> bool:
    """Whether the time of this message is over."""
    return target.expires is not None and target.expires <= ts


def _change(batch: Batch, command: ChangeMessage, state: Conversation, extra: Extra | None) -> int:
    """Write the entry and what it does, and tell everybody who may see the message. Returns the message_id."""
    message_id = append(batch, command, state, command.action, extra=extra, target=command.target)
    _write(batch, command, message_id)
    update = _update(batch, command, message_id)
    if state.is_large:
        batch.plan.rooms.append((command.conv, codec.room_entry(_for_room(batch, command, update))))
    else:
        copy_to(batch, command, _witnesses(batch, command), update)
    return message_id


def _witnesses(batch: Batch, command: ChangeMessage) -> Iterable[UserId]:
    """Those who may see the message: nobody is told of changes from before one's time."""
    conv, facts = command.conv, batch.facts
    if ids.is_direct(conv):
        return [user for user in ids.members_of(conv) if user not in facts.people.gone]
    return [user for user in facts.roles.get(conv, ()) if facts.visible_from[conv, user] <= command.target]


def _for_room(batch: Batch, command: ChangeMessage, update: Change) -> Change:
    """A room is one for all. Where some of them may not see the message, its new content is left to history,
    which knows who asks.
    """
    if isinstance(update, m.EditedUpdate) and batch.facts.latest_join.get(command.conv, 0) > command.target:
        return msgspec.structs.replace(update, text=None, body=msgspec.UNSET, truncated=True)
    return update


def check_target(batch: Batch, command: ChangeMessage) -> tuple[Conversation, Target]:
    """The conversation and the message, if this user sees both and there is still something to change.

    Raises: NotFound, NotAMember, Conflict.
    """
    state, target = visible(batch, command.user, command.conv, command.target)
    check_there(target, batch.ts)
    return state, target


def visible(
    batch: Batch, user: UserId, conv: ConvId, message_id: int, *, fields: tuple[str, str] = ("conv", "target")
) -> tuple[Conversation, Target]:
    """The conversation and the message, if this user sees both, recalled or not. `fields` are those that say where
    it is.

    Raises: NotFound, NotAMember.
    """
    facts = batch.facts
    state = facts.conversations.get(conv)
    if state is None:
        raise NotFound("no such conversation", field=fields[0])
    first = 1
    if not ids.is_direct(conv):
        if user not in facts.roles.get(conv, {}):
            raise NotAMember("you are not in this group", field=fields[0])
        first = facts.visible_from[conv, user]
    target = facts.targets.get((conv, message_id))
    if target is None or target.type != "message" or message_id < first:
        raise NotFound("no such message", field=fields[1])
    return state, target


def check_there(target: Target, ts: int, *, field: str = "target") -> None:
    """Raises: Conflict if nothing is left of what it said."""
    if target.recalled:
        raise Conflict("this message was recalled", field=field)
    if is_over(target, ts):
        raise Conflict("the time of this message is over", field=field)


def check_edit(command: ChangeMessage, target: Target) -> None:
    """Raises: Forbidden."""
    if target.sender != command.user:
        raise Forbidden("only who wrote a message edits it", field="target")


def check_recall(batch: Batch, command: ChangeMessage, target: Target) -> None:
    """One's own for a while; whoever runs the group, everybody's at any time.

    Raises: Forbidden.
    """
    if batch.facts.roles.get(command.conv, {}).get(command.user, MEMBER) != MEMBER:
        return
    if target.sender != command.user:
        raise Forbidden("only who wrote a message recalls it, and who runs the group", field="target")
    window_ms = batch.recall_window_ms
    if window_ms and batch.ts - target.ts > window_ms:
        raise Forbidden(f"messages are recalled within {window_ms // 1000} seconds", field="target")


def check_reaction(batch: Batch, command: ChangeMessage) -> None:
    """Raises: Conflict, NotFound, TooLarge."""
    given = batch.facts.reactions.get((command.conv, command.target, command.user), set())
    if command.removed:
        if command.emoji not in given:
            raise NotFound("you did not react so", field="emoji")
    elif command.emoji in given:
        raise Conflict("you reacted so already", field="emoji")
    elif len(given) >= MAX_REACTIONS:
        raise TooLarge(f"at most {MAX_REACTIONS} reactions of one member to a message", field="emoji")


def _write(batch: Batch, command: ChangeMessage, message_id: int) -> None:
    conv, target, plan = command.conv, command.target, batch.plan
    match command.action:
        case "edited":
            row = ContentRow(conv, target, command.text, command.body, batch.ts, None)
            plan.contents[conv, target] = row
        case "recalled":
            plan.contents[conv, target] = ContentRow(conv, target, None, None, None, batch.ts)
        case "reaction":
            emoji = command.emoji or ""
            given = batch.facts.reactions.setdefault((conv, target, command.user), set())
            (given.discard if command.removed else given.add)(emoji)
            plan.reactions[conv, target, command.user, emoji] = None if command.removed else message_id


def _update(batch: Batch, command: ChangeMessage, message_id: int) -> Change:
    about = m.RecalledUpdate(
        ts=batch.ts,
        conv=command.conv,
        message_id=message_id,
        from_=command.user,
        target=command.target,
        expired=isinstance(command, ExpireMessage),
    )
    return change_update(
        command.action,
        about,
        content=(command.text, command.body),
        reaction=(command.emoji or "", command.removed),
    )
