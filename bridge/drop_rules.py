"""Who is no more leaves a group, whatever that one was in it: what an owner leaves behind goes to another."""

from collections.abc import Collection, Sequence

from bridge.commands import DropMember
from bridge.entries import Batch
from bridge.group_rules import OWNER, dismiss
from bridge.member_entries import note, tell
from bridge.role_rules import give
from pabal.ids import UserId


def drop_member(batch: Batch, command: DropMember) -> None:
    """An entry that says so for the others; nothing where one is no member (any more)."""
    conv, user, facts = command.conv, command.user, batch.facts
    state, roles = facts.conversations.get(conv), facts.roles.get(conv, {})
    if state is None or state.kind != "group" or user not in roles:
        return
    role = roles[user]
    update = note(batch, command, state, "left", user)
    dismiss(batch, conv, user, update.message_id)
    tell(batch, command, state, update)
    heir = successor(facts.heirs.get(conv, ()), facts.roles[conv]) if role == OWNER else None
    if heir is not None:
        give(batch, conv, heir, OWNER)
        handed = note(batch, command, state, "role", heir, role=OWNER, first=False)
        tell(batch, command, state, handed, [heir])


def successor(heirs: Sequence[UserId], members: Collection[UserId]) -> UserId | None:
    """Who owns a group after its owner: the first of the heirs who is there still. None: nobody is left."""
    return next((heir for heir in heirs if heir in members), min(members, default=None))
