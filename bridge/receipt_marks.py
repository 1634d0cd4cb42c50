"""What a batch notes for others beside its entries: marks that moved, and who is named by what. Pure."""

from bridge.commands import EVERYBODY, ReadCommand, SendCommand
from bridge.entries import Batch
from pabal import ids
from pabal.ids import UserId
from pabal.receipts import DELIVERED, READ


def moved_by_reading(batch: Batch, command: ReadCommand) -> None:
    """Others may be told that somebody read on; in a large group nobody is. What was read has been delivered.

    One's own message moves one's own `read` too and is not noted here: it says so itself.
    """
    key = command.conv, command.user
    state = batch.facts.conversations.get(command.conv)
    if state is None or state.is_large:
        return
    what = READ
    if command.message_id > batch.facts.delivered_upto.get(key, 0):
        batch.facts.delivered_upto[key] = command.message_id
        what |= DELIVERED
    batch.plan.moved[key] = batch.plan.moved.get(key, 0) | what


def note_mentions(batch: Batch, command: SendCommand, message_id: int) -> None:
    """Of a group's members who are named, and of all of them by one word. Nobody is mentioned by oneself."""
    if ids.is_direct(command.conv):
        return
    members = batch.facts.roles.get(command.conv, {})
    for name in dict.fromkeys(command.mentions):
        if name == EVERYBODY or (name in members and name != command.user):
            batch.plan.mentions.append((command.conv, UserId(name), message_id))
