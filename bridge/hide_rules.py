"""Deleting for oneself: one member no longer sees a message, and nobody else notices."""

from bridge.commands import HideMessage
from bridge.entries import Batch, done
from bridge.message_rules import visible
from bridge.plan import InboxEntry
from pabal import codec
from pabal import messages as m
from pabal.errors import Unauthorized


def hide_message(batch: Batch, command: HideMessage) -> bytes | None:
    """What is hidden already stays so, and is not told again.

    Raises: Unauthorized, NotFound, NotAMember.
    """
    user, conv, target = command.user, command.conv, command.target
    if user not in batch.facts.accounts:
        raise Unauthorized("this account is not active")
    visible(batch, user, conv, target)
    if (conv, target, user) not in batch.facts.hidden:
        batch.facts.hidden.add((conv, target, user))
        batch.plan.hidden.append((user, conv, target))
        update = m.DeletedUpdate(ts=batch.ts, conv=conv, target=target)
        tail = codec.update_tail(batch.epoch, update)
        data = codec.encode(update).decode()
        batch.plan.inbox.append(InboxEntry(user, "deleted", conv, target, data, tail))
    return done(command)
