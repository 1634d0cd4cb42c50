"""Which conversations one wants no notifications of. It is nobody else's business, and so no entry."""

from bridge.entries import Batch, done
from bridge.group_commands import MuteConversation
from bridge.plan import InboxEntry
from pabal import codec, ids
from pabal import messages as m
from pabal.errors import NotAMember, NotFound


def mute_conversation(batch: Batch, command: MuteConversation) -> bytes | None:
    """One's own devices are told if that changes anything.

    Raises: NotFound, NotAMember.
    """
    conv, user, until, muted = command.conv, command.user, command.until, batch.facts.group.muted
    if (conv, user) not in muted:
        if not ids.is_direct(conv) and conv in batch.facts.conversations:
            raise NotAMember("you are not in this group", field="conv")
        raise NotFound("no such conversation", field="conv")
    if muted[conv, user] != until:
        muted[conv, user] = batch.plan.group.muted[conv, user] = until
        update = m.MuteUpdate(
            ts=batch.ts, conv=conv, action="unmuted" if until is None else "muted", until=until
        )
        data, tail = codec.encode(update).decode(), codec.update_tail(batch.epoch, update)
        batch.plan.inbox.append(InboxEntry(user, "conversation", conv, None, data, tail))
    return done(command)
