"""What happened, in words for a line."""

from datetime import datetime

import msgspec

from pabal.ids import UserId, members_of
from pabal.messages import MAX_NUMBER
from pabal_client.changes import (
    Change,
    ContactChange,
    Deleted,
    Edited,
    GroupChange,
    MemberChange,
    Mention,
    Reaction,
    ReadUpTo,
    Recalled,
    SystemNotice,
)
from pabal_client.live import Receipt, Typing
from pabal_client.updates import Message


def local(ts: int) -> str:
    """Milliseconds since 1970 as the time here."""
    try:
        return datetime.fromtimestamp(ts / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return "----------- --:--:--"


def until(ts: int | None) -> str:
    """When something ends; nothing of what ends by nobody's clock."""
    return "" if ts is None or ts >= MAX_NUMBER else f" until {local(ts)}"


def target(message: Message, me: UserId) -> str:
    """Where a message went, for who sees its line: nothing where it is plain."""
    members = members_of(message.conv)  # type: ignore[arg-type] # the server's word
    if members:
        if message.from_ != me:
            return ""
        others = [member for member in members if member != me]
        return f"-> {others[0]}: " if others else "-> (saved): "
    return f"[{message.conv}] " if message.conv else ""


def content(message: Message) -> str:
    """What a message says, with what was done to it since."""
    return _before(message) + _said(message) + _after(message)


def _before(message: Message) -> str:
    before = "" if message.reply_to is None else f"(to #{message.reply_to}) "
    return before + ("" if message.forward_of is None else "(forwarded) ")


def _after(message: Message) -> str:
    after = " (edited)" if message.edited is not None and not message.recalled else ""
    given = ", ".join(f"{one.emoji} {one.count}" for one in message.reactions)
    return after + (f" [{given}]" if given else "")


def _said(message: Message) -> str:
    if message.recalled or message.deleted or message.expired:
        return "(recalled)" if message.recalled else "(deleted)" if message.deleted else "(expired)"
    if message.truncated:
        return "(too large for this connection; see `pabal history`)"
    if message.target is not None:
        return _about_target(message)
    if message.text is not None:
        return message.text
    return _without_text(message)


def _without_text(message: Message) -> str:
    if message.body is not None:
        return msgspec.json.encode(message.body).decode()
    if message.action is not None:
        given = (message.user, message.name, message.role, message.history, message.posting)
        about = " ".join(word for word in given if word) if message.action != "joined" else message.user
        about = about or message.mode
        return f"({message.action})" if about is None else f"({message.action}: {about})"
    return f"({message.kind or message.type})"


def _about_target(message: Message) -> str:
    match message.type:
        case "reaction":
            took = "took back " if message.removed else ""
            return f"({took}{message.emoji or ''} on #{message.target})"
        case _:
            return f"({message.type} #{message.target})"


def sign(live: Typing | Receipt) -> str:
    """What may be lost: who types, and how far others have come."""
    match live:
        case Typing(user=user, on=on):
            return f"{user} is typing" if on else f"{user} is no longer typing"
        case Receipt(user=user, delivered=delivered, read=read):
            if read is not None and read >= delivered:
                return f"{user} has read up to #{read}"
            return f"{user} has everything up to #{delivered}" + (f", read up to #{read}" if read else "")


def conversation_of(change: Change) -> str:
    """Where it happened; nothing where it is about people alone."""
    return "" if isinstance(change, ContactChange | SystemNotice) else change.conv


def told(change: Change) -> str:  # noqa: PLR0911 -- one for each kind of change
    match change:
        case MemberChange():
            return _told_of_member(change)
        case GroupChange():
            return _told_of_group(change)
        case ContactChange():
            return _told_of_contact(change)
        case SystemNotice():
            return f"the server: {change.event} on {change.device} ({change.reason})"
        case ReadUpTo(message_id=message_id):
            return f"you read up to #{message_id} on another device"
        case Mention(from_=sender, text=text):
            return f"{sender} mentioned you" + ("" if text is None else f": {text}")
        case _:
            return _told_of_message(change)


def _told_of_message(change: Edited | Recalled | Reaction | Deleted) -> str:
    where = f"#{change.target}"
    match change:
        case Edited(from_=by):
            return f"{by} edited {where}" + _new_content(change)
        case Recalled(from_=by, expired=expired):
            return f"{where} expired" if expired else f"{by} recalled {where}"
        case Reaction(from_=by, emoji=emoji, removed=removed):
            return f"{by} took {emoji} back from {where}" if removed else f"{by} put {emoji} on {where}"
        case Deleted():
            return f"you deleted {where} for yourself"


def _new_content(edited: Edited) -> str:
    if edited.text is not None:
        return f": {edited.text}"
    return "" if edited.body is None else f": {msgspec.json.encode(edited.body).decode()}"


def _told_of_member(change: MemberChange) -> str:
    user, by = change.user, change.by
    end = until(change.until)
    known = {
        "joined": f"{user} joined" if by in {user, ""} else f"{user} joined, added by {by}",
        "left": f"{user} left",
        "removed": f"{user} was removed by {by}",
        "muted": f"{user} was silenced by {by}{end}",
        "unmuted": f"{user} may write again, says {by}",
    }
    if change.action == "role" and change.role is not None:
        return f"{user} is {change.role} now, by {by}"
    return known.get(change.action, f"{user}: {change.action}")


def _told_of_group(change: GroupChange) -> str:
    by, name = change.by, change.name
    end = until(change.until)
    given = {"name": name, "history": change.history, "posting": change.posting}
    changes = ", ".join(f"{key} {value}" for key, value in given.items() if value is not None)
    known = {
        "created": f"{by} made the group {name or ''}".rstrip(),
        "mode": f"the group is {change.mode} now",
        "settings": f"{by} changed the group: {changes}",
        "dissolved": f"{by} dissolved the group",
        "muted": f"muted{end}",
        "unmuted": "no longer muted",
    }
    if change.action == "renamed" and name is not None:
        return f"{by} named the group {name}"
    return known.get(change.action, f"the group: {change.action}")


def _told_of_contact(change: ContactChange) -> str:
    user = change.user
    said = "" if change.text is None else f": {change.text}"
    known = {
        "requested": f"you asked {user} to be a contact",
        "received": f"{user} asks to be a contact{said}",
        "accepted": f"{user} is a contact now",
        "removed": f"{user} is no contact any more",
        "blocked": f"{user} is blocked",
        "unblocked": f"{user} is no longer blocked",
    }
    return known.get(change.action, f"{user}: {change.action}")
