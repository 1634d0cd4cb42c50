"""Who may change a group, and what each change makes: entries, members, and the one-way switch to large.

A small group copies each entry into every member's inbox. Once it has more members than the limit it is large,
for ever: its entries go out once, by `room/{conv}`, and are read by message_id. The switch is an entry itself,
the first of the new way, and the last that every inbox gets a copy of.
"""

from bridge.commands import ChangeMember, CreateGroup
from bridge.entries import Batch, again, answer, append, copy_to
from bridge.facts import Conversation, Mode
from bridge.people_rules import check_invites
from bridge.plan import Extra, JoinRow, LeaveRow
from pabal import codec
from pabal import messages as m
from pabal.errors import Conflict, Forbidden, NotAMember, NotFound, Unauthorized
from pabal.ids import UserId

OWNER, ADMIN, MEMBER = "owner", "admin", "member"


def create_group(batch: Batch, command: CreateGroup) -> bytes | None:
    """Raises: Unauthorized, NotFound, Blocked, Forbidden, Conflict."""
    if (known := again(command, batch.facts)) is not None:
        return known[1]
    if command.conv in batch.facts.conversations:
        raise Conflict("this id was used for another request", field="id")
    if command.user not in batch.facts.accounts:
        raise Unauthorized("this account is not active")
    for user in command.members:
        if user not in batch.facts.accounts:
            raise NotFound(f"no such user {user!r}", field="members")
    check_invites(batch.facts.people, command.user, command.members, field="members")
    everybody = [command.user, *command.members]
    mode: Mode = "large" if len(everybody) > batch.small_limit else "small"
    state = Conversation("group", mode, 0, 0, command.name)
    batch.facts.conversations[command.conv] = state
    batch.facts.roles[command.conv] = dict.fromkeys(everybody, MEMBER) | {command.user: OWNER}
    members: list[str] = list(everybody)
    extra = Extra(action="created", name=command.name, mode=mode, members=members)
    message_id = append(batch, command, state, "conversation", extra=extra)
    for user in everybody:
        role = OWNER if user == command.user else MEMBER
        batch.plan.member_changes.append(JoinRow(command.conv, user, message_id, role, 0))
        batch.facts.visible_from[command.conv, user] = message_id
    copy_to(
        batch,
        command,
        everybody,
        m.ConversationUpdate(
            ts=batch.ts,
            conv=command.conv,
            message_id=message_id,
            action="created",
            by=command.user,
            name=command.name,
            mode=mode,
            members=members,
        ),
    )
    return answer(command, message_id, batch.ts, dup=False)


def change_member(batch: Batch, command: ChangeMember) -> bytes | None:
    """Raises: Unauthorized, NotFound, NotAMember, Blocked, Forbidden, Conflict."""
    if (known := again(command, batch.facts)) is not None:
        return known[1]
    if command.user not in batch.facts.accounts:
        raise Unauthorized("this account is not active")
    state = batch.facts.conversations.get(command.conv)
    if state is None:
        raise NotFound("no such group", field="conv")
    roles = batch.facts.roles.setdefault(command.conv, {})
    check_change(command, state, roles, batch.facts.accounts)
    if command.action == "joined":
        check_invites(batch.facts.people, command.user, [command.target], field="user")
    # Who joins is told what it is that one is in now.
    told = (state.name, state.mode) if command.action == "joined" else (None, None)
    extra = Extra(action=command.action, user=command.target, name=told[0], mode=told[1])
    message_id = append(batch, command, state, "member", extra=extra)
    update = m.MemberUpdate(
        ts=batch.ts,
        conv=command.conv,
        message_id=message_id,
        action=command.action,
        user=command.target,
        by=command.user,
        name=told[0],
        mode=told[1],
    )
    if command.action == "joined":
        _join(batch, command, state, roles, message_id)
    else:
        batch.plan.member_changes.append(LeaveRow(command.conv, command.target, message_id))
        batch.plan.left.append((command.conv, command.target))
        if not state.is_large:
            batch.plan.related.append(command.target)
    _tell(batch, command, state, roles, update)
    if command.action != "joined":
        del roles[command.target]
    elif not state.is_large and len(roles) > batch.small_limit:
        _switch(batch, command, state, roles)
    return answer(command, message_id, batch.ts, dup=False)


def check_change(
    command: ChangeMember, state: Conversation, roles: dict[UserId, str], accounts: set[UserId]
) -> None:
    """Raises: NotAMember, Forbidden, NotFound, Conflict."""
    role = roles.get(command.user)
    if role is None:
        raise NotAMember("you are not in this group", field="conv")
    if command.action == "left":
        if role == OWNER and (state.is_large or len(roles) > 1):
            raise Forbidden("the owner is the last to leave")
        return
    if role == MEMBER:
        raise Forbidden("only the owner and admins add and remove members")
    if command.action == "joined":
        if command.target not in accounts:
            raise NotFound(f"no such user {command.target!r}", field="user")
        if command.target in roles:
            raise Conflict(f"{command.target!r} is a member already", field="user")
    elif command.target not in roles:
        raise NotFound(f"{command.target!r} is not a member", field="user")
    elif roles[command.target] == OWNER:
        raise Forbidden("the owner cannot be removed")


def _join(
    batch: Batch, command: ChangeMember, state: Conversation, roles: dict[UserId, str], message_id: int
) -> None:
    roles[command.target] = MEMBER
    batch.facts.visible_from[command.conv, command.target] = message_id
    batch.facts.latest_join[command.conv] = message_id
    batch.plan.member_changes.append(JoinRow(command.conv, command.target, message_id, MEMBER, state.ordinal))


def _tell(
    batch: Batch,
    command: ChangeMember,
    state: Conversation,
    roles: dict[UserId, str],
    update: m.MemberUpdate,
) -> None:
    """A small group tells everybody. A large one tells its room, and the one who it is about."""
    if state.is_large:
        batch.plan.rooms.append((command.conv, codec.room_entry(update)))
        copy_to(batch, command, [command.target], update)
        return
    copy_to(batch, command, list(roles), update)


def _switch(batch: Batch, command: ChangeMember, state: Conversation, roles: dict[UserId, str]) -> None:
    """From this entry on the group is large."""
    state.mode = "large"
    message_id = append(
        batch, command, state, "conversation", extra=Extra(action="mode", mode="large"), first=False
    )
    update = m.ConversationUpdate(
        ts=batch.ts, conv=command.conv, message_id=message_id, action="mode", by=command.user, mode="large"
    )
    copy_to(batch, command, list(roles), update)
    batch.plan.related.extend(roles)
    batch.plan.rooms.append((command.conv, codec.room_entry(update)))
