"""From rows back to what goes over the wire."""

from collections.abc import Sequence
from typing import NamedTuple, TypedDict

import msgspec

from bridge.plan import Extra
from pabal import codec
from pabal import messages as m

Change = m.EditedUpdate | m.RecalledUpdate | m.ReactionUpdate
_extra = msgspec.json.Decoder(Extra)
_NO_EXTRA = Extra()
# How many of those who gave a reaction are named.
SHOWN_USERS = 20


class StoredMessage(NamedTuple):
    """A row of a message table, as the store reads it."""

    conv_id: str
    message_id: int
    sender: str
    device: str
    id: str | None
    type: m.EntryType
    kind: str
    text: str | None
    body: str | None
    extra: str | None
    ts: int
    target: int | None = None
    edited_ts: int | None = None
    recalled_ts: int | None = None
    expires_ts: int | None = None
    # By the reader, from the own view.
    hidden: bool = False

    @property
    def expired(self) -> bool:
        """Whether the content is gone because its time was over."""
        return (
            self.recalled_ts is not None
            and self.expires_ts is not None
            and self.recalled_ts >= self.expires_ts
        )


class StoredUpdate(NamedTuple):
    """A row of an inbox."""

    seq: int
    type: str
    conv_id: str | None
    message_id: int | None
    data: str | None
    ts: int


def update(
    row: StoredUpdate,
    message: StoredMessage | None,
    *,
    reader: str,
    epoch: str,
    target: StoredMessage | None = None,
) -> bytes:
    """The update of an inbox row as `reader` gets it; `message` is the row that it points at, if any, and
    `target` the message that an edit is about.
    """
    if row.data is not None:
        tail = b',"epoch":"' + epoch.encode() + b'",' + row.data.encode()[1:]
        return codec.with_seq(row.seq, tail)
    if message is None:
        raise AssertionError(f"inbox row {row.seq} of {reader} points at no message")
    made = entry_update(message, target)
    if row.type == "mention" and isinstance(made, m.MessageUpdate):
        tail = codec.update_tail(epoch, mention_update(made))
        return codec.with_seq(row.seq, tail)
    tail = codec.update_tail(epoch, made)
    if message.sender == reader and message.device:  # none for what the server did itself
        tail = codec.with_sender_fields(tail, message.device, message.id)
    return codec.with_seq(row.seq, tail)


def entry_update(row: StoredMessage, target: StoredMessage | None = None) -> m.EntryUpdate:
    """The update that an entry's row was announced with, but with the newest content."""
    if row.type == "message":
        return message_update(row)
    if row.target is not None:
        return _change_update(row, row.target, target)
    extra = _extra_of(row)
    if row.type == "member":
        return m.MemberUpdate(
            ts=row.ts,
            conv=row.conv_id,
            message_id=row.message_id,
            action=extra.action,
            user=extra.user,
            by=row.sender,
            name=extra.name,
            mode=extra.mode,
            role=extra.role,
            until=extra.until,
        )
    return m.ConversationUpdate(
        ts=row.ts,
        conv=row.conv_id,
        message_id=row.message_id,
        action=extra.action,
        by=row.sender,
        name=extra.name,
        mode=extra.mode or "small",
        members=extra.members,
        history=extra.history,
        posting=extra.posting,
    )


def _change_update(row: StoredMessage, target: int, of: StoredMessage | None) -> Change:
    extra = _extra_of(row)
    return change_update(
        row.type,
        m.RecalledUpdate(
            ts=row.ts,
            conv=row.conv_id,
            message_id=row.message_id,
            from_=row.sender,
            target=target,
            expired=extra.expired,
        ),
        content=(None, None) if of is None else (of.text, of.body),
        reaction=(extra.emoji or "", extra.removed),
    )


def change_update(
    type_: str, about: m.RecalledUpdate, *, content: tuple[str | None, str | None], reaction: tuple[str, bool]
) -> Change:
    """What a change of a message is announced with. `about` has what every change says, which is all that a recall
    says; `content` is the new text and body, `reaction` the emoji and whether it was taken back.
    """
    if type_ == "recalled":
        return about
    ts, conv, message_id, sender, target = about.ts, about.conv, about.message_id, about.from_, about.target
    if type_ == "edited":
        text, body = content
        return m.EditedUpdate(
            ts=ts,
            conv=conv,
            message_id=message_id,
            from_=sender,
            target=target,
            text=text,
            body=raw_body(body),
        )
    emoji, removed = reaction
    return m.ReactionUpdate(
        ts=ts,
        conv=conv,
        message_id=message_id,
        from_=sender,
        target=target,
        emoji=emoji,
        removed=removed,
    )


def mention_update(message: m.MessageUpdate) -> m.MentionUpdate:
    """A message of a large group as the inbox of somebody who is named in it gets it."""
    fields = m.MentionUpdate.__struct_fields__
    return m.MentionUpdate(**{name: getattr(message, name) for name in fields})


def message_update(row: StoredMessage) -> m.MessageUpdate:
    extra = _extra_of(row)
    return m.MessageUpdate(
        conv=row.conv_id,
        reply_to=extra.reply_to,
        mentions=extra.mentions,
        forward_of=_source(row, extra),
        expires=row.expires_ts,
        expired=row.expired,
        deleted=row.hidden,
        **_content(row),
    )


def history_item(
    row: StoredMessage,
    *,
    reader: str,
    target: StoredMessage | None = None,
    reactions: Sequence[tuple[str, str]] = (),
) -> m.Message:
    """`target` is the message that an edit is about, if the reader may see it; `reactions` those to this
    message, `(emoji, user)` in the order in which they were given.
    """
    extra = _extra_of(row)
    content = _content(row)
    if row.type == "edited" and target is not None:
        content["text"], content["body"] = target.text, raw_body(target.body)
    return m.Message(
        edited=row.edited_ts,
        reactions=[] if row.recalled_ts is not None else _gathered(reactions),
        target=row.target,
        emoji=extra.emoji,
        removed=extra.removed,
        reply_to=extra.reply_to,
        mentions=extra.mentions,
        id=row.id if row.sender == reader else None,
        type=row.type,
        action=extra.action,
        user=extra.user,
        name=extra.name,
        mode=extra.mode,
        members=extra.members,
        role=extra.role,
        history=extra.history,
        posting=extra.posting,
        until=extra.until,
        forward_of=_source(row, extra),
        expires=row.expires_ts,
        expired=row.expired or extra.expired,
        **content,
    )


def _gathered(reactions: Sequence[tuple[str, str]]) -> list[m.Reactions]:
    users: dict[str, list[str]] = {}
    for emoji, user in reactions:
        users.setdefault(emoji, []).append(user)
    return [m.Reactions(emoji=emoji, count=len(by), users=by[:SHOWN_USERS]) for emoji, by in users.items()]


def last_message(row: StoredMessage) -> m.LastMessage:
    return m.LastMessage(**_content(row))


class _Content(TypedDict):
    message_id: int
    from_: str
    kind: str
    ts: int
    text: str | None
    body: msgspec.Raw | msgspec.UnsetType
    recalled: bool


def _content(row: StoredMessage) -> _Content:
    """What every form shows of an entry."""
    return {
        "message_id": row.message_id,
        "from_": row.sender,
        "kind": row.kind,
        "ts": row.ts,
        "text": row.text,
        "body": raw_body(row.body),
        "recalled": row.recalled_ts is not None,
    }


def _source(row: StoredMessage, extra: Extra) -> m.Forwarded | None:
    """Where it was forwarded from; that goes with the content."""
    return None if row.recalled_ts is not None or row.hidden else extra.forward_of


def _extra_of(row: StoredMessage) -> Extra:
    return _NO_EXTRA if row.extra is None else _extra.decode(row.extra)


def raw_body(body: str | None) -> msgspec.Raw | msgspec.UnsetType:
    """JSON of the store, to be set into another document as it is."""
    return msgspec.UNSET if body is None else msgspec.Raw(body.encode())


def within_bytes(items: Sequence[bytes], limit: int) -> int:
    """How many of the items, from the first on, fit into `limit` bytes together; at least one if any."""
    total = 0
    for count, item in enumerate(items):
        total += len(item) + 1
        if total > limit and count:
            return count
    return len(items)
