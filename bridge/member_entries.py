"""An entry about a member, and who is told of it: one way for all that can happen to one."""

from collections.abc import Sequence
from typing import Literal

from bridge.commands import LogCommand
from bridge.entries import Batch, append, copy_to
from bridge.facts import Conversation
from bridge.plan import Extra
from pabal import codec
from pabal import messages as m
from pabal.errors import NotAMember, NotFound, Unauthorized
from pabal.ids import ConvId, UserId

Action = Literal["joined", "left", "removed", "role", "muted", "unmuted"]


def the_group(batch: Batch, conv: ConvId, user: UserId) -> tuple[Conversation, dict[UserId, str], str]:
    """The group, the roles in it, and that of who acts.

    Raises: Unauthorized, NotFound, NotAMember.
    """
    if user not in batch.facts.accounts:
        raise Unauthorized("this account is not active")
    state = batch.facts.conversations.get(conv)
    if state is None:
        raise NotFound("no such group", field="conv")
    roles = batch.facts.roles.setdefault(conv, {})
    role = roles.get(user)
    if role is None:
        raise NotAMember("you are not in this group", field="conv")
    return state, roles, role


def size(batch: Batch, conv: ConvId, state: Conversation) -> int:
    """How many members there are. Of a large group only if the batch asked for it."""
    return batch.facts.group.counts[conv] if state.is_large else len(batch.facts.roles.get(conv, {}))


def note(
    batch: Batch,
    command: LogCommand,
    state: Conversation,
    action: Action,
    user: UserId,
    *,
    role: m.Role | None = None,
    until: int | None = None,
    first: bool = True,
) -> m.MemberUpdate:
    """The entry, and the update that tells of it. Who joins is told what it is that one is in now."""
    name, mode = (state.name, state.mode) if action == "joined" else (None, None)
    extra = Extra(action=action, user=user, name=name, mode=mode, role=role, until=until)
    message_id = append(batch, command, state, "member", extra=extra, first=first)
    return m.MemberUpdate(
        ts=batch.ts,
        conv=command.conv,
        message_id=message_id,
        action=action,
        user=user,
        by=command.user,
        name=name,
        mode=mode,
        role=role,
        until=until,
    )


def tell(
    batch: Batch,
    command: LogCommand,
    state: Conversation,
    update: m.MemberUpdate | m.ConversationUpdate,
    concerned: Sequence[UserId] = (),
) -> None:
    """A small group tells everybody. A large one tells its room, and those whom it is about."""
    if state.is_large:
        batch.plan.rooms.append((command.conv, codec.room_entry(update)))
        copy_to(batch, command, concerned, update)
    else:
        copy_to(batch, command, list(batch.facts.roles[command.conv]), update)
