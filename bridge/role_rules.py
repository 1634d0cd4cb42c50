"""Who is what in a group: the owner makes admins and takes that back, and hands the group over."""

from bridge.commands import ChangeMember
from bridge.entries import Batch, again, answer
from bridge.group_rules import ADMIN, MEMBER, OWNER, change_member, let_speak
from bridge.member_entries import note, tell, the_group
from pabal.errors import Conflict, Forbidden
from pabal.ids import ConvId, UserId
from pabal.messages import Role


def add_or_promote(batch: Batch, command: ChangeMember) -> bytes | None:
    """A change of members, or of the role of one who is a member.

    Raises: Unauthorized, NotFound, NotAMember, Forbidden, Conflict, TooLarge.
    """
    is_member = command.target in batch.facts.roles.get(command.conv, {})
    if command.action != "joined" or command.role is None or not is_member:
        return change_member(batch, command)
    if (known := again(command, batch.facts)) is not None:
        return known[1]
    _state, _roles, role = the_group(batch, command.conv, command.user)
    check_role(batch, command, command.role, role)
    return _change(batch, command, command.role)


def check_role(batch: Batch, command: ChangeMember, wanted: Role, role: str) -> None:
    """Raises: Forbidden, Conflict."""
    gives_up = command.target == command.user and role == ADMIN and wanted == MEMBER
    if role == MEMBER or not (role == OWNER or gives_up or command.target == command.user):
        raise Forbidden("only the owner says who is an admin", field="role")
    if batch.facts.roles[command.conv][command.target] == wanted:
        raise Conflict(f"{command.target!r} has this role already", field="role")
    if command.target == command.user and not gives_up:
        raise Forbidden("an owner hands the group over to somebody else, and nobody to oneself", field="role")


def _change(batch: Batch, command: ChangeMember, wanted: Role) -> bytes | None:
    state = batch.facts.conversations[command.conv]
    give(batch, command.conv, command.target, wanted)
    update = note(batch, command, state, "role", command.target, role=wanted)
    tell(batch, command, state, update, [command.target])
    if wanted == OWNER:
        give(batch, command.conv, command.user, ADMIN)
        second = note(batch, command, state, "role", command.user, role=ADMIN, first=False)
        tell(batch, command, state, second, [command.user])
    return answer(command, update.message_id, batch.ts, dup=False)


def give(batch: Batch, conv: ConvId, user: UserId, role: Role) -> None:
    """This member has that role from now on; whoever asked was allowed to."""
    batch.facts.roles[conv][user] = role
    batch.plan.roles[conv, user] = role
    let_speak(batch, conv, user, role)
