"""Who is whose contact, who has blocked whom, and what that lets them do.

A contact is kept on both sides: each side says whether its owner has accepted the other one. A block takes the
other out of one's own side alone, so that nothing on the blocked one's side tells of it.
"""

from collections.abc import Iterable

from bridge.commands import EraseContacts
from bridge.entries import Batch
from bridge.people_commands import ChangeBlock, ChangeContact
from bridge.people_facts import ContactRow, PeopleFacts, State
from bridge.plan import InboxEntry
from pabal import codec, ids
from pabal import messages as m
from pabal.errors import Blocked, Forbidden, NotFound, TooLarge, Unauthorized
from pabal.ids import ConvId, UserId

# Of one person: requests that wait for others, and that wait for oneself; contacts; people blocked.
MAX_REQUESTED = 100
MAX_RECEIVED = 1_000
MAX_CONTACTS = 5_000
MAX_BLOCKED = 10_000


def change_contact(batch: Batch, command: ChangeContact) -> bytes | None:
    """Raises: Unauthorized, NotFound, Blocked, TooLarge."""
    _check_active(batch, command.user)
    match command.act:
        case "request":
            state = _request(batch, command)
        case "accept":
            state = _accept(batch, command)
        case "remove":
            _remove(batch, command)
            return _done(command)
    if command.request_id is None:
        return None
    return codec.encode(m.ContactState(re=command.request_id, user=command.other, state=state))


def change_block(batch: Batch, command: ChangeBlock) -> bytes | None:
    """Raises: Unauthorized, NotFound, TooLarge."""
    _check_active(batch, command.user)
    people, user, other = batch.facts.people, command.user, command.other
    if ((user, other) in people.blocks) is command.on:
        return _done(command)
    if not command.on:
        people.blocks.discard((user, other))
        people.counts[user, "blocked"] -= 1
        batch.plan.people.blocks[user, other] = None
        _tell(batch, user, "unblocked", other)
    else:
        _check_there(batch, other)
        if people.counts[user, "blocked"] >= MAX_BLOCKED:
            raise TooLarge(f"at most {MAX_BLOCKED} people are blocked", field="user")
        people.blocks.add((user, other))
        people.counts[user, "blocked"] += 1
        batch.plan.people.blocks[user, other] = batch.ts
        _set(batch, command, user, other, None)
        if people.contacts.get((other, user)) == "received":
            # It was one's own request, and is as good as taken back.
            _set(batch, command, other, user, None)
        _tell(batch, user, "blocked", other)
    batch.plan.related.extend((user, other))
    return _done(command)


def forget_requests(batch: Batch, command: EraseContacts) -> None:
    """Nobody can answer what a deleted account asked for. That no request is left of it, the store sees to."""
    for other in command.others:
        batch.plan.people.answered[other, command.user] = ""


def check_writes(people: PeopleFacts, conv: ConvId, writer: UserId) -> None:
    """Whether `writer` may put something into this direct conversation for the other one to see.

    Raises: Blocked, Forbidden.
    """
    if people.is_open:
        return
    for other in ids.members_of(conv):
        if other == writer:
            continue
        check_not_apart(people, writer, other, field="to")
        if people.privacy_of(other).write == "contacts" and not _is_contact(people, writer, of=other):
            raise Forbidden(f"{other!r} takes messages from contacts only; ask to be one", field="to")


def check_invites(people: PeopleFacts, inviter: UserId, invited: Iterable[UserId], *, field: str) -> None:
    """Whether `inviter` may put these people into a group.

    Raises: Blocked, Forbidden.
    """
    if people.is_open:
        return
    for other in invited:
        if other == inviter:
            continue
        check_not_apart(people, inviter, other, field=field)
        if people.privacy_of(other).groups == "contacts" and not _is_contact(people, inviter, of=other):
            raise Forbidden(f"{other!r} is added to groups by contacts only", field=field)


def check_not_apart(people: PeopleFacts, user: UserId, other: UserId, *, field: str) -> None:
    """Raises: Blocked, whichever of the two has blocked the other."""
    if (other, user) in people.blocks:
        raise Blocked(f"{other!r} does not want to hear from you", field=field)
    if (user, other) in people.blocks:
        raise Blocked(f"you have blocked {other!r}", field=field)


def _is_contact(people: PeopleFacts, user: UserId, *, of: UserId) -> bool:
    return people.contacts.get((of, user)) == "accepted"


def _request(batch: Batch, command: ChangeContact) -> State:
    people, user, other = batch.facts.people, command.user, command.other
    _check_there(batch, other)
    check_not_apart(people, user, other, field="user")
    mine, theirs = people.contacts.get((user, other)), people.contacts.get((other, user))
    if theirs in {"requested", "accepted"}:
        # Both want it, whoever asked first.
        return _both_accept(batch, command)
    if mine == "requested" and theirs == "received":
        return mine
    # What was asked before a block that has ended is still on this side, and gone from the other.
    if people.counts[user, "requested"] - (mine == "requested") >= MAX_REQUESTED:
        raise TooLarge(f"at most {MAX_REQUESTED} open requests; take one back first", field="user")
    if people.counts[other, "received"] >= MAX_RECEIVED:
        raise TooLarge(f"{other!r} has too many open requests", field="user")
    _set(batch, command, user, other, "requested", command.text)
    _set(batch, command, other, user, "received", command.text)
    _tell(batch, user, "requested", other, command.text)
    _tell(batch, other, "received", user, command.text)
    return "requested"


def _accept(batch: Batch, command: ChangeContact) -> State:
    people, user, other = batch.facts.people, command.user, command.other
    _check_there(batch, other)
    check_not_apart(people, user, other, field="user")
    mine = people.contacts.get((user, other))
    if mine == "accepted":
        return mine
    if mine != "received":
        raise NotFound(f"{other!r} has not asked", field="user")
    return _both_accept(batch, command)


def _both_accept(batch: Batch, command: ChangeContact) -> State:
    people, user, other = batch.facts.people, command.user, command.other
    if people.contacts.get((user, other)) == people.contacts.get((other, user)) == "accepted":
        return "accepted"
    for one in (user, other):
        if people.counts[one, "accepted"] >= MAX_CONTACTS:
            raise TooLarge(f"{one!r} has {MAX_CONTACTS} contacts, and no place for more", field="user")
    for one, another in ((user, other), (other, user)):
        _set(batch, command, one, another, "accepted")
        _tell(batch, one, "accepted", another)
    batch.plan.related.extend((user, other))
    return "accepted"


def _remove(batch: Batch, command: ChangeContact) -> None:
    """Ends a contact, refuses a request, or takes one back."""
    people, user, other = batch.facts.people, command.user, command.other
    if (user, other) not in people.contacts:
        return
    for one, another in ((user, other), (other, user)):
        if (one, another) in people.contacts:
            _set(batch, command, one, another, None)
            _tell(batch, one, "removed", another)
    batch.plan.related.extend((user, other))


def _set(
    batch: Batch,
    command: ChangeContact | ChangeBlock,
    user: UserId,
    other: UserId,
    state: State | None,
    text: str | None = None,
) -> None:
    people, pair = batch.facts.people, (user, other)
    before = people.contacts.pop(pair, None)
    if before is not None:
        people.counts[user, before] -= 1
    if before == "received" and state != "received":
        batch.plan.people.answered[pair] = command.device if command.user == user else ""
    if state is not None:
        people.contacts[pair] = state
        people.counts[user, state] += 1
    elif before is None:
        return
    rows = batch.plan.people.contacts
    rows[pair] = None if state is None else ContactRow(user, other, state, text, batch.ts)


def _tell(
    batch: Batch, user: UserId, action: m.ContactAction, other: UserId, text: str | None = None
) -> None:
    """All devices of `user`."""
    update = m.ContactUpdate(ts=batch.ts, action=action, user=other, text=text)
    tail = codec.update_tail(batch.epoch, update)
    batch.plan.inbox.append(InboxEntry(user, "contact", None, None, codec.encode(update).decode(), tail))


def _check_active(batch: Batch, user: UserId) -> None:
    if user not in batch.facts.accounts:
        raise Unauthorized("this account is not active")


def _check_there(batch: Batch, user: UserId) -> None:
    if user not in batch.facts.accounts:
        raise NotFound(f"no such user {user!r}", field="user")


def _done(command: ChangeContact | ChangeBlock) -> bytes | None:
    return None if command.request_id is None else codec.encode(m.Done(re=command.request_id))
