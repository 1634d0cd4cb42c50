"""How results are shown: lines for people (colour only on a terminal) or JSON lines for programs."""

import os
import sys
import threading
import unicodedata
from typing import Any, TextIO

import msgspec
from rich.console import Console
from rich.text import Text

from pabal.ids import UserId
from pabal.messages import Committed
from pabal_client.live import Receipt, Typing
from pabal_client.updates import ConversationList, Message, Snapshot, Update
from pabal_terminal import wording

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
    """Where and how a command prints. Lines are whole, whichever threads print them.

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
        self._one_at_a_time = threading.Lock()
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
        with self._one_at_a_time:
            self.stream.write(escaped + "\n")
            self.stream.flush()

    def line(self, *parts: tuple[str, str] | str) -> None:
        """One line for people; each part is text, or text with a style. Control characters are dropped."""
        text = Text()
        for part in parts:
            words, style = (part, "") if isinstance(part, str) else part
            text.append(clean(words), style=style)
        text.rstrip()
        with self._one_at_a_time:
            self._console.print(text, soft_wrap=True)
            self.stream.flush()

    def committed(self, what: str, request_id: str, committed: Committed) -> None:
        """Something is in a conversation's log: `what`, and where."""
        if self.json:
            fields = {name: getattr(committed, name) for name in ("conv", "message_id", "ts", "dup")}
            self.data({"id": request_id, **fields})
        else:
            self.line(f"{what}{' (it was there already)' if committed.dup else ''}")

    def done(self, what: str, **fields: Any) -> None:
        """Something is so from now on."""
        if self.json:
            self.data({"ok": True, **fields})
        else:
            self.line(what)

    def message(self, message: Message, me: UserId) -> None:
        """A message as a line: time, number, who to whom, what."""
        if self.json:
            self.data(message)
            return
        mine = message.from_ == me
        self.line(
            (f"{wording.local(message.ts)}  #{message.message_id}", "dim"),
            "  ",
            (message.from_.ljust(_NAME_WIDTH), "green" if mine else "cyan"),
            (wording.target(message, me), "dim"),
            wording.content(message),
        )

    def update(self, update: Update) -> None:
        """What is no message, as a line. Types that this version does not know are passed over."""
        match update.typed():
            case Snapshot() as snapshot:
                self.snapshot(snapshot)
            case None | Message():
                return
            case change:
                if self.json:
                    self.data({**update.fields(), "type": update.type})
                    return
                conv = wording.conversation_of(change)
                where = f"[{conv}] " if conv else ""
                stamp = (wording.local(change.ts), "dim")
                self.line(stamp, "  ", (where, "dim"), (wording.told(change), "yellow"))

    def live(self, sign: Typing | Receipt) -> None:
        """What is true for a moment, as a line: who types, and how far others have come."""
        if self.json:
            kind = "typing" if isinstance(sign, Typing) else "receipt"
            said = msgspec.structs.asdict(sign)
            self.data({"type": kind, **{name: value for name, value in said.items() if value is not None}})
            return
        self.line(
            (wording.local(sign.ts), "dim"), "  ", (f"[{sign.conv}] ", "dim"), (wording.sign(sign), "dim")
        )

    def snapshot(self, snapshot: Snapshot | ConversationList) -> None:
        """Said when the position could not be continued from."""
        if self.json:
            self.data({"type": "snapshot", "conversations": snapshot.conversations})
            return
        self.line(("the server no longer has everything since last time; see `pabal history`", "yellow"))
        for row in snapshot.conversations:
            self.line("  ", row.conv, f"  {row.unread} unread")


def _escape(char: str) -> str:
    code = ord(char)
    if 0x20 <= code < 0x7F:  # noqa: PLR2004 -- printable ASCII
        return char
    if code > 0xFFFF:  # noqa: PLR2004 -- JSON escapes are UTF-16
        code -= 0x10000
        return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
    return f"\\u{code:04x}"
