"""What a group is called and allows, and its end."""

from bridge.entries import Batch, again, answer, append, copy_to
from bridge.facts import Conversation
from bridge.group_commands import DissolveGroup, UpdateGroup
from bridge.group_rules import MEMBER, OWNER, dismiss
from bridge.member_entries import tell, the_group
from bridge.plan import Extra
from pabal import codec
from pabal import messages as m
from pabal.errors import Forbidden


def update_group(batch: Batch, command: UpdateGroup) -> bytes | None:
    """Raises: Unauthorized, NotFound, NotAMember, Forbidden, Conflict."""
    if (known := again(command, batch.facts)) is not None:
        return known[1]
    state, _roles, role = the_group(batch, command.conv, command.user)
    if role == MEMBER:
        raise Forbidden("only the owner and admins change a group")
    state.name = command.name or state.name
    state.history = command.history or state.history
    state.posting = command.posting or state.posting
    update = _note(batch, command, state)
    tell(batch, command, state, update)
    return answer(command, update.message_id, batch.ts, dup=False)


def dissolve_group(batch: Batch, command: DissolveGroup) -> bytes | None:
    """Raises: Unauthorized, NotFound, NotAMember, Forbidden, Conflict."""
    if (known := again(command, batch.facts)) is not None:
        return known[1]
    state, roles, role = the_group(batch, command.conv, command.user)
    if role != OWNER:
        raise Forbidden("only the owner dissolves a group")
    update = _note(batch, command, state)
    # Also of a large one: nobody could look it up afterwards.
    copy_to(batch, command, list(roles), update)
    if state.is_large:
        batch.plan.rooms.append((command.conv, codec.room_entry(update)))
    for user in list(roles):
        dismiss(batch, command.conv, user, update.message_id)
    return answer(command, update.message_id, batch.ts, dup=False)


def _note(batch: Batch, command: UpdateGroup | DissolveGroup, state: Conversation) -> m.ConversationUpdate:
    match command:
        case UpdateGroup(name=name, history=history, posting=posting):
            extra = Extra(
                action="renamed" if history is None and posting is None else "settings",
                mode=state.mode,
                name=name,
                history=history,
                posting=posting,
            )
        case DissolveGroup():
            extra = Extra(action="dissolved", mode=state.mode)
    message_id = append(batch, command, state, "conversation", extra=extra)
    return m.ConversationUpdate(
        ts=batch.ts,
        conv=command.conv,
        message_id=message_id,
        action=extra.action,
        by=command.user,
        mode=state.mode,
        name=extra.name,
        history=extra.history,
        posting=extra.posting,
    )
