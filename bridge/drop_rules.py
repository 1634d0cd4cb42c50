"""Who is no more leaves a group, whatever that one was in it: what an owner leaves behind goes to another."""

from collections.abc import Mapping

from bridge.commands import DropMember
from bridge.entries import Batch, append, copy_to
from bridge.facts import Conversation
from bridge.group_rules import ADMIN, OWNER
from bridge.plan import Extra, LeaveRow
from pabal import codec
from pabal import messages as m
from pabal.ids import UserId


def drop_member(batch: Batch, command: DropMember) -> None:
    """An entry that says so for the others; nothing where one is no member (any more)."""
    conv, user, facts = command.conv, command.user, batch.facts
    state, roles = facts.conversations.get(conv), facts.roles.get(conv, {})
    if state is None or user not in roles:
        return
    role = roles.pop(user)
    message_id = append(batch, command, state, "member", extra=Extra(action="left", user=user))
    batch.plan.member_changes.append(LeaveRow(conv, user, message_id))
    batch.plan.left.append((conv, user))
    update = m.MemberUpdate(ts=batch.ts, conv=conv, message_id=message_id, action="left", user=user, by=user)
    _tell(batch, command, state, update)
    joined = {one: facts.visible_from[conv, one] for one in roles}
    heir = successor(roles, joined) if role == OWNER else None
    if heir is not None:
        _hand_over(batch, command, state, heir)


def successor(roles: Mapping[UserId, str], joined: Mapping[UserId, int]) -> UserId | None:
    """Who owns a group after its owner: of the admins, or else of all, who is in it for longest. None: nobody is."""
    return min(roles, key=lambda user: (roles[user] != ADMIN, joined[user], user), default=None)


def _hand_over(batch: Batch, command: DropMember, state: Conversation, heir: UserId) -> None:
    batch.facts.roles[command.conv][heir] = OWNER
    batch.plan.roles[command.conv, heir] = OWNER
    extra = Extra(action="role", user=heir, role=OWNER)
    message_id = append(batch, command, state, "member", extra=extra)
    update = m.MemberUpdate(
        ts=batch.ts,
        conv=command.conv,
        message_id=message_id,
        action="role",
        user=heir,
        by=command.user,
        role=OWNER,
    )
    _tell(batch, command, state, update)
    if state.is_large:
        copy_to(batch, command, [heir], update)


def _tell(batch: Batch, command: DropMember, state: Conversation, update: m.MemberUpdate) -> None:
    """Those who stay; who goes has no inbox any more."""
    if state.is_large:
        batch.plan.rooms.append((command.conv, codec.room_entry(update)))
    else:
        copy_to(batch, command, list(batch.facts.roles[command.conv]), update)
