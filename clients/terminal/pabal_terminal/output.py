"""How results are shown: lines for people (colour only on a terminal) or JSON lines for programs."""

import os
import sys
import unicodedata
from datetime import datetime
from typing import Any, TextIO

import msgspec
from rich.console import Console
from rich.text import Text

from pabal.ids import UserId, members_of
from pabal_client.updates import (
    ConversationList,
    GroupChange,
    MemberChange,
    Mention,
    Message,
    ReadUpTo,
    Snapshot,
    Update,
)

_NAME_WIDTH = 12
# Control characters (which begin every escape sequence), and the invisible ones that turn text around.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_KEPT = frozenset("\u200d\u200c")  # joiners, which emoji and some scripts need


def clean(text: str) -> str:
    """What somebody else wrote, safe to print: nothing in it reaches the terminal as a command."""
    return "".join(
        char
        if unicodedata.category(char) not in _HIDDEN or char in _KEPT
        else " "
        if char in "\t\n\r"
        else ""
        for char in text
    )


class Output:
    """Where and how a command prints.

    Args:
        stream: where to; standard output as it is at the time of the call if None.
        json: one JSON object a line instead of text.
        colour: None means: if the stream is a terminal and NO_COLOR is not set.
    """

    def __init__(
        self, stream: TextIO | None = None, *, json: bool = False, colour: bool | None = None
    ) -> None:
        self.stream = stream if stream is not None else sys.stdout
        self.json = json
        self.colour = (
            colour if colour is not None else self.stream.isatty() and not os.environ.get("NO_COLOR")
        )
        self._console = Console(
            file=self.stream,
            force_terminal=self.colour,
            no_color=not self.colour,
            color_system="standard" if self.colour else None,
            highlight=False,
            markup=False,
            emoji=False,
        )

    def data(self, value: Any) -> None:
        """One JSON line, in --json. Everything but ASCII is escaped, so no terminal can be commanded by it."""
        text = msgspec.json.encode(value).decode()
        escaped = "".join(_escape(char) for char in text)
        self.stream.write(escaped + "\n")
        self.stream.flush()

    def line(self, *parts: tuple[str, str] | str) -> None:
        """One line for people; each part is text, or text with a style. Control characters are dropped."""
        text = Text()
        for part in parts:
            words, style = (part, "") if isinstance(part, str) else part
            text.append(clean(words), style=style)
        self._console.print(text, soft_wrap=True)
        self.stream.flush()

    def message(self, message: Message, me: UserId) -> None:
        """A message as a line: time, who to whom, what."""
        if self.json:
            self.data(message)
            return
        mine = message.from_ == me
        self.line(
            (_local(message.ts), "dim"),
            "  ",
            (message.from_.ljust(_NAME_WIDTH), "green" if mine else "cyan"),
            (_target(message, me), "dim"),
            _content(message),
        )

    def update(self, update: Update) -> None:
        """What is no message, as a line. Types that this version does not know are passed over."""
        match update.typed():
            case Snapshot() as snapshot:
                self.snapshot(snapshot)
            case Mention() | MemberChange() | GroupChange() | ReadUpTo() as happened:
                if self.json:
                    self.data({**update.fields(), "type": update.type})
                else:
                    stamp = (_local(happened.ts), "dim")
                    self.line(stamp, "  ", (f"[{happened.conv}] ", "dim"), (_told(happened), "yellow"))
            case _:
                return

    def snapshot(self, snapshot: Snapshot | ConversationList) -> None:
        """Said when the position could not be continued from."""
        if self.json:
            self.data({"type": "snapshot", "conversations": snapshot.conversations})
            return
        self.line(("the server no longer has everything since last time; see `pabal history`", "yellow"))
        for row in snapshot.conversations:
            self.line("  ", row.conv, f"  {row.unread} unread")


def _local(ts: int) -> str:
    try:
        return datetime.fromtimestamp(ts / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return "----------- --:--:--"


def _target(message: Message, me: UserId) -> str:
    members = members_of(message.conv)  # type: ignore[arg-type] # the server's word
    if members:
        if message.from_ != me:
            return ""
        others = [member for member in members if member != me]
        return f"-> {others[0]}: " if others else "-> (saved): "
    return f"[{message.conv}] " if message.conv else ""


def _told(happened: Mention | MemberChange | GroupChange | ReadUpTo) -> str:
    match happened:
        case Mention(from_=sender, text=text):
            return f"{sender} mentioned you" + ("" if text is None else f": {text}")
        case MemberChange():
            return _told_of_member(happened)
        case GroupChange(action="created", by=by, name=name):
            return f"{by} made the group {name or ''}".rstrip()
        case GroupChange(action=action, mode=mode):
            return f"the group is {mode} now" if action == "mode" else f"the group: {action}"
        case ReadUpTo(message_id=message_id):
            return f"you read up to #{message_id} on another device"


def _told_of_member(change: MemberChange) -> str:
    user, by = change.user, change.by
    known = {
        "joined": f"{user} joined" if by in {user, ""} else f"{user} joined, added by {by}",
        "left": f"{user} left",
        "removed": f"{user} was removed by {by}",
    }
    return known.get(change.action, f"{user}: {change.action}")


def _content(message: Message) -> str:
    if message.truncated:
        return "(too large for this connection; see `pabal history`)"
    if message.text is not None:
        return message.text
    if message.body is not None:
        return msgspec.json.encode(message.body).decode()
    if message.action is not None:
        about = message.user or message.name or message.mode
        return f"({message.action})" if about is None else f"({message.action}: {about})"
    return f"({message.kind})"


def _escape(char: str) -> str:
    code = ord(char)
    if 0x20 <= code < 0x7F:  # noqa: PLR2004 -- printable ASCII
        return char
    if code > 0xFFFF:  # noqa: PLR2004 -- JSON escapes are UTF-16
        code -= 0x10000
        return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
    return f"\\u{code:04x}"
