"""Who may change a group, and what each change makes: entries, members, and the one-way switch to large.

A small group copies each entry into every member's inbox. Once it has more members than the limit it is large,
for ever: its entries go out once, by `room/{conv}`, and are read by message_id. The switch is an entry itself,
the first of the new way, and the last that every inbox gets a copy of.
"""

from typing import Final

from bridge.commands import ChangeMember, CreateGroup
from bridge.entries import Batch, again, answer, append, copy_to
from bridge.facts import Conversation, Mode
from bridge.member_entries import note, size, tell, the_group
from bridge.people_rules import check_invites
from bridge.plan import Extra, JoinRow, LeaveRow
from pabal import codec
from pabal import messages as m
from pabal.errors import Conflict, Forbidden, NotFound, TooLarge, Unauthorized
from pabal.ids import ConvId, UserId

OWNER: Final = "owner"
ADMIN: Final = "admin"
MEMBER: Final = "member"


def create_group(batch: Batch, command: CreateGroup) -> bytes | None:
    """Raises: Unauthorized, NotFound, Blocked, Forbidden, Conflict, TooLarge."""
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
    if len(everybody) > batch.max_members:
        raise TooLarge(f"a group has at most {batch.max_members} members", field="members")
    mode: Mode = "large" if len(everybody) > batch.small_limit else "small"
    state = Conversation("group", mode, 0, 0, command.name, command.history, command.posting)
    batch.facts.conversations[command.conv] = state
    batch.facts.roles[command.conv] = dict.fromkeys(everybody, MEMBER) | {command.user: OWNER}
    batch.facts.group.counts[command.conv] = len(everybody)
    members: list[str] = list(everybody)
    history = None if command.history == "join" else command.history
    posting = None if command.posting == "all" else command.posting
    extra = Extra(
        action="created", name=command.name, mode=mode, members=members, history=history, posting=posting
    )
    message_id = append(batch, command, state, "conversation", extra=extra)
    for user in everybody:
        role = OWNER if user == command.user else MEMBER
        batch.plan.member_changes.append(JoinRow(command.conv, user, message_id, role, 0, message_id))
        batch.facts.visible_from[command.conv, user] = message_id
        _begin_reading(batch, command.conv, user, message_id)
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
            history=history,
            posting=posting,
        ),
    )
    return answer(command, message_id, batch.ts, dup=False)


def change_member(batch: Batch, command: ChangeMember) -> bytes | None:
    """Raises: Unauthorized, NotFound, NotAMember, Blocked, Forbidden, Conflict, TooLarge."""
    if (known := again(command, batch.facts)) is not None:
        return known[1]
    state, roles, role = the_group(batch, command.conv, command.user)
    check_change(batch, command, state, role)
    if command.action == "joined":
        return admit(batch, command, state, roles)
    update = note(batch, command, state, command.action, command.target)
    tell(batch, command, state, update, [command.target])
    dismiss(batch, command.conv, command.target, update.message_id)
    return answer(command, update.message_id, batch.ts, dup=False)


def check_change(batch: Batch, command: ChangeMember, state: Conversation, role: str) -> None:
    """Whether who has this role may do so.

    Raises: Forbidden, NotFound, Conflict, TooLarge.
    """
    if command.action == "left":
        if role == OWNER and size(batch, command.conv, state) > 1:
            raise Forbidden("you own this group: hand it over first, or dissolve it", field="conv")
    elif role == MEMBER:
        raise Forbidden("only the owner and admins add and remove members")
    elif command.action == "joined":
        check_add(batch, command, state, role)
    else:
        check_removal(batch, command, role)


def check_add(batch: Batch, command: ChangeMember, state: Conversation, role: str) -> None:
    """Raises: Forbidden, NotFound, Conflict, Blocked, TooLarge."""
    if command.role == ADMIN and role != OWNER:
        raise Forbidden("only the owner makes admins", field="role")
    if command.role == OWNER:
        raise Forbidden("a group is handed over by its owner, to one of its members", field="role")
    if command.target not in batch.facts.accounts:
        raise NotFound(f"no such user {command.target!r}", field="user")
    if command.target in batch.facts.roles[command.conv]:
        raise Conflict(f"{command.target!r} is a member already", field="user")
    check_invites(batch.facts.people, command.user, [command.target], field="user")
    check_room(batch, command.conv, state)


def check_removal(batch: Batch, command: ChangeMember, role: str) -> None:
    """Raises: Forbidden, NotFound."""
    theirs = batch.facts.roles[command.conv].get(command.target)
    if theirs is None:
        raise NotFound(f"{command.target!r} is not a member", field="user")
    if theirs == OWNER:
        raise Forbidden("the owner cannot be removed", field="user")
    if theirs == ADMIN and role != OWNER:
        raise Forbidden("only the owner removes admins", field="user")


def check_room(batch: Batch, conv: ConvId, state: Conversation) -> None:
    """Raises: TooLarge if there is no room for one more member."""
    if size(batch, conv, state) >= batch.max_members:
        raise TooLarge(f"a group has at most {batch.max_members} members", field="conv")


def admit(batch: Batch, command: ChangeMember, state: Conversation, roles: dict[UserId, str]) -> bytes | None:
    """Whatever had to be checked was: the target is a member from here on."""
    conv, user, facts = command.conv, command.target, batch.facts
    role = command.role or MEMBER
    update = note(batch, command, state, "joined", user, role=None if role == MEMBER else role)
    message_id = update.message_id
    first = 1 if state.history == "all" else message_id
    roles[user] = role
    facts.visible_from[conv, user] = first
    _begin_reading(batch, conv, user, message_id)
    facts.latest_join[conv] = max(first, facts.latest_join.get(conv, 0))
    batch.plan.roles.pop((conv, user), None)
    let_speak(batch, conv, user, role)
    batch.plan.member_changes.append(JoinRow(conv, user, message_id, role, state.ordinal, first))
    tell(batch, command, state, update, [user])
    if state.is_large:
        facts.group.counts[conv] += 1
    elif len(roles) > batch.small_limit:
        _switch(batch, command, state, roles)
    return answer(command, message_id, batch.ts, dup=False)


def let_speak(batch: Batch, conv: ConvId, user: UserId, role: str) -> None:
    """Whoever runs a group is not silenced, or would be silent again when one is no admin any more."""
    if role != MEMBER and batch.facts.group.silenced.pop((conv, user), None) is not None:
        batch.plan.group.silenced[conv, user] = None


def _begin_reading(batch: Batch, conv: ConvId, user: UserId, message_id: int) -> None:
    """Whatever was read in this batch as a member before counts no more."""
    batch.facts.read_upto[conv, user] = message_id
    batch.plan.reads.pop((conv, user), None)


def dismiss(batch: Batch, conv: ConvId, user: UserId, message_id: int) -> None:
    """This entry is the last that is this member's own."""
    batch.plan.member_changes.append(LeaveRow(conv, user, message_id))
    batch.plan.left.append((conv, user))
    if not batch.facts.conversations[conv].is_large:
        batch.plan.related.append(user)
    del batch.facts.roles[conv][user]
    batch.facts.read_upto.pop((conv, user), None)
    batch.plan.reads.pop((conv, user), None)
    if conv in batch.facts.group.counts:
        batch.facts.group.counts[conv] -= 1


def _switch(batch: Batch, command: ChangeMember, state: Conversation, roles: dict[UserId, str]) -> None:
    """From this entry on the group is large."""
    conv, facts = command.conv, batch.facts
    state.mode = "large"
    facts.group.counts[conv] = len(roles)
    # Of a small group nobody had to look it up, and somebody may see less than who joined last.
    facts.latest_join[conv] = max(facts.visible_from[conv, user] for user in roles)
    message_id = append(
        batch, command, state, "conversation", extra=Extra(action="mode", mode="large"), first=False
    )
    update = m.ConversationUpdate(
        ts=batch.ts, conv=conv, message_id=message_id, action="mode", by=command.user, mode="large"
    )
    copy_to(batch, command, list(roles), update)
    batch.plan.related.extend(roles)
    batch.plan.rooms.append((conv, codec.room_entry(update)))
