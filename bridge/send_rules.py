"""What a message may refer to, and what it takes from there: replies, `@all`, forwards, and how long it is kept."""

from bridge.commands import EVERYBODY, SendCommand
from bridge.entries import Batch
from bridge.facts import Content, Conversation
from bridge.group_rules import MEMBER
from bridge.message_rules import check_there, visible
from pabal import ids
from pabal import messages as m
from pabal.errors import Forbidden, NotFound
from pabal.ids import ConvId


def check_reply(batch: Batch, command: SendCommand, state: Conversation) -> None:
    """Any entry that the sender can see is answered, also one that was recalled.

    Raises: NotFound.
    """
    if command.reply_to is None:
        return
    first = 1 if ids.is_direct(command.conv) else batch.facts.visible_from[command.conv, command.user]
    if not first <= command.reply_to <= state.head:
        raise NotFound("no such message in this conversation", field="reply_to")


def check_everybody(batch: Batch, command: SendCommand) -> None:
    """Raises: Forbidden."""
    if EVERYBODY not in command.mentions or ids.is_direct(command.conv):
        return
    if batch.facts.roles[command.conv][command.user] == MEMBER:
        raise Forbidden("only the owner and admins mention everybody", field="mentions")


def expiry_of(batch: Batch, command: SendCommand) -> int | None:
    """When the content goes, in milliseconds since 1970."""
    return None if command.lifetime_ms is None else batch.ts + command.lifetime_ms


def content_of(batch: Batch, command: SendCommand) -> tuple[Content, m.Forwarded | None]:
    """What the message says, and where it comes from if it is forwarded: a copy, unless it has words of its own.

    Raises: NotFound, NotAMember, Conflict.
    """
    own = Content(command.kind, command.text, command.body)
    if command.forward_of is None:
        return own, None
    conv, message_id = command.forward_of
    fields = ("forward_of", "forward_of")
    _state, source = visible(batch, command.user, conv, message_id, fields=fields)
    if (conv, message_id, command.user) in batch.facts.hidden:
        raise NotFound("no such message", field="forward_of")
    check_there(source, batch.ts, field="forward_of")
    forwarded = m.Forwarded(conv=conv, message_id=message_id, from_=source.sender)
    if command.text is not None or command.body is not None:
        return own, forwarded
    return _said(batch, conv, message_id), forwarded


def _said(batch: Batch, conv: ConvId, message_id: int) -> Content:
    """The newest content, which may be of this very batch."""
    plan, content = batch.plan, batch.facts.contents.get((conv, message_id))
    if content is None:
        sent = plan.direct_messages if ids.is_direct(conv) else plan.group_messages
        row = next(row for row in sent if (row.conv_id, row.message_id) == (conv, message_id))
        content = Content(row.kind, row.text, row.body)
    edited = plan.contents.get((conv, message_id))
    return content if edited is None else Content(content.kind, edited.text, edited.body)
