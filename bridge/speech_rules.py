"""Who may write in a group. Reading, reacting and taking back one's own is everybody's, always."""

from bridge.entries import Batch, again, answer
from bridge.group_commands import SilenceMember
from bridge.group_rules import MEMBER
from bridge.member_entries import Action, note, tell, the_group
from pabal.errors import BadRequest, Conflict, Forbidden, NotFound
from pabal.ids import ConvId, UserId, is_direct
from pabal.messages import MAX_NUMBER


def check_speech(batch: Batch, conv: ConvId, user: UserId) -> None:
    """Whether this member may write now; the owner and admins always may.

    Raises: Forbidden.
    """
    facts = batch.facts
    if is_direct(conv) or facts.roles[conv][user] != MEMBER:
        return
    if facts.conversations[conv].posting == "admins":
        raise Forbidden("only the owner and admins write in this group", field="conv")
    if facts.group.silenced.get((conv, user), 0) > batch.ts:
        raise Forbidden("the admins of this group have silenced you", field="conv")


def silence_member(batch: Batch, command: SilenceMember) -> bytes | None:
    """Raises: Unauthorized, NotFound, NotAMember, Forbidden, BadRequest, Conflict."""
    if (known := again(command, batch.facts)) is not None:
        return known[1]
    state, roles, role = the_group(batch, command.conv, command.user)
    check_silence(batch, command, role, roles.get(command.target))
    key, silenced = (command.conv, command.target), batch.facts.group.silenced
    if command.remove:
        del silenced[key]
        batch.plan.group.silenced[key] = None
    else:
        silenced[key] = batch.plan.group.silenced[key] = command.until or MAX_NUMBER
    action: Action = "unmuted" if command.remove else "muted"
    update = note(batch, command, state, action, command.target, until=command.until)
    tell(batch, command, state, update, [command.target])
    return answer(command, update.message_id, batch.ts, dup=False)


def check_silence(batch: Batch, command: SilenceMember, role: str, theirs: str | None) -> None:
    """Raises: Forbidden, NotFound, BadRequest, Conflict."""
    if role == MEMBER:
        raise Forbidden("only the owner and admins silence members")
    if theirs is None:
        raise NotFound(f"{command.target!r} is not a member", field="user")
    if theirs != MEMBER:
        raise Forbidden("the owner and admins cannot be silenced", field="user")
    now = batch.facts.group.silenced.get((command.conv, command.target), 0)
    if command.remove:
        if now <= batch.ts:
            raise NotFound(f"{command.target!r} is not silenced", field="user")
    elif command.until is not None and command.until <= batch.ts:
        raise BadRequest("this moment has passed", field="until")
    elif now == (command.until or MAX_NUMBER):
        raise Conflict(f"{command.target!r} is silenced so already", field="user")
