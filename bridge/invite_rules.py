"""Links that invite into a group: who makes them, who takes them back, who comes in by them.

Uses are counted where members are made, in one transaction, so that two can never share the last use.
"""

from bridge.entries import Batch, again, done
from bridge.group_checks import joining
from bridge.group_commands import EndInvite, JoinByInvite, MakeInvite
from bridge.group_facts import Invite, InviteRow
from bridge.group_rules import MEMBER, admit, check_room
from bridge.member_entries import size, the_group
from bridge.people_rules import check_not_apart
from pabal import codec
from pabal import messages as m
from pabal.errors import Conflict, Forbidden, NotFound, TooLarge, Unauthorized

# Of one group at the same time.
MAX_INVITES = 100


def make_invite(batch: Batch, command: MakeInvite) -> bytes | None:
    """Raises: Unauthorized, NotFound, NotAMember, Forbidden, Conflict, TooLarge."""
    facts, ts = batch.facts.group, batch.ts
    if command.request_id is not None and (made := facts.made.get(command.key)) is not None:
        if made.digest != command.digest:
            raise Conflict("this id was used for another request", field="id")
        return _answer(command, made)
    _state, _roles, role = the_group(batch, command.conv, command.user)
    if role == MEMBER:
        raise Forbidden("only the owner and admins invite by a link")
    there = facts.open.setdefault(command.conv, [])
    for old in there:
        if not old.is_good(ts) and not old.ended:
            old.ended = True
            batch.plan.group.ended[old.code] = ts
    there[:] = [old for old in there if not old.ended]
    if len(there) >= MAX_INVITES:
        raise TooLarge(f"a group has at most {MAX_INVITES} links at a time", field="conv")
    expires = None if command.lifetime_ms is None else ts + command.lifetime_ms
    made = Invite(command.code, command.conv, command.digest, expires, command.uses, command.user)
    there.append(made)
    facts.invites[made.code] = made
    if command.request_id is not None:
        facts.made[command.key] = made
    batch.plan.group.invites.append(
        InviteRow(
            made.code,
            made.conv,
            command.user,
            command.device,
            command.request_id,
            command.digest,
            ts,
            expires,
            command.uses,
        )
    )
    return _answer(command, made)


def end_invite(batch: Batch, command: EndInvite) -> bytes | None:
    """Raises: Unauthorized, NotFound, NotAMember, Forbidden."""
    _state, _roles, role = the_group(batch, command.conv, command.user)
    if role == MEMBER:
        raise Forbidden("only the owner and admins take a link back")
    invite = batch.facts.group.invites.get(command.code)
    if invite is None or invite.conv != command.conv:
        raise NotFound("no such link of this group", field="code")
    if not invite.ended:
        invite.ended = True
        batch.plan.group.ended[invite.code] = batch.ts
    return done(command)


def join_by_invite(batch: Batch, command: JoinByInvite) -> bytes | None:
    """Raises: Unauthorized, NotFound, Conflict, Blocked, TooLarge."""
    invite = batch.facts.group.invites.get(command.code)
    if invite is None:
        raise _no_such_link()
    change = joining(command, invite.conv)
    if (known := again(change, batch.facts)) is not None:
        return known[1]
    if command.user not in batch.facts.accounts:
        raise Unauthorized("this account is not active")
    state = batch.facts.conversations[invite.conv]
    roles = batch.facts.roles.setdefault(invite.conv, {})
    if command.user in roles:
        raise Conflict("you are a member already", field="code")
    if not invite.is_good(batch.ts) or size(batch, invite.conv, state) == 0:
        raise _no_such_link()
    check_not_apart(batch.facts.people, command.user, invite.by, field="code")
    check_room(batch, invite.conv, state)
    invite.used += 1
    batch.plan.group.uses[invite.code] = invite.used
    return admit(batch, change, state, roles)


def _no_such_link() -> NotFound:
    """Which of them it is, is nobody's business who was not invited."""
    return NotFound("no such link, or it has expired or was used up", field="code")


def _answer(command: MakeInvite, made: Invite) -> bytes | None:
    if command.request_id is None:
        return None
    return codec.encode(
        m.Invited(re=command.request_id, code=made.code, expires=made.expires, uses=made.uses)
    )
