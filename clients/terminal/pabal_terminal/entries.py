"""What is done about messages that were sent: edit, recall, react, delete, forward, read."""

from pathlib import Path

from pabal.ids import is_direct, members_of
from pabal.messages import Committed
from pabal_terminal.asking import asking
from pabal_terminal.output import Output


def edit(
    conversation: str,
    message_id: int,
    text: str,
    *,
    request_id: str | None = None,
    profile_path: Path | None = None,
    output: Output | None = None,
) -> Committed:
    """Another text for one's own message. Raises: TerminalError."""
    with asking(profile_path) as asker:
        conv = asker.conversation(conversation)
        name, committed = asker.entry("edit", request_id, conv=conv, target=message_id, text=text)
    if output is not None:
        output.committed(f"edited: {conv} #{message_id}", name, committed)
    return committed


def recall(
    conversation: str,
    message_id: int,
    *,
    request_id: str | None = None,
    profile_path: Path | None = None,
    output: Output | None = None,
) -> Committed:
    """The content goes, for everybody. Raises: TerminalError."""
    with asking(profile_path) as asker:
        conv = asker.conversation(conversation)
        name, committed = asker.entry("recall", request_id, conv=conv, target=message_id)
    if output is not None:
        output.committed(f"recalled: {conv} #{message_id}", name, committed)
    return committed


def react(
    conversation: str,
    message_id: int,
    emoji: str,
    *,
    remove: bool = False,
    request_id: str | None = None,
    profile_path: Path | None = None,
    output: Output | None = None,
) -> Committed:
    """An emoji under a message, or taken back. Raises: TerminalError."""
    with asking(profile_path) as asker:
        conv = asker.conversation(conversation)
        name, committed = asker.entry(
            "react", request_id, conv=conv, target=message_id, emoji=emoji, remove=remove or None
        )
    if output is not None:
        what = f"took {emoji} back from" if remove else f"put {emoji} on"
        output.committed(f"{what}: {conv} #{message_id}", name, committed)
    return committed


def forward(
    conversation: str,
    message_id: int,
    to: str,
    *,
    text: str | None = None,
    request_id: str | None = None,
    profile_path: Path | None = None,
    output: Output | None = None,
) -> Committed:
    """Send a message on. Raises: TerminalError."""
    with asking(profile_path) as asker:
        source = {"conv": asker.conversation(conversation), "message_id": message_id}
        into = asker.conversation(to)
        other = next((name for name in members_of(into) if name != asker.me), asker.me)
        where = {"to": other} if is_direct(into) else {"conv": into}
        name, committed = asker.entry("send", request_id, text=text, forward_of=source, **where)
    if output is not None:
        output.committed(f"sent: {committed.conv} #{committed.message_id}", name, committed)
    return committed


def delete(
    conversation: str,
    message_id: int,
    *,
    profile_path: Path | None = None,
    output: Output | None = None,
) -> None:
    """The message goes for oneself alone. Raises: TerminalError."""
    with asking(profile_path) as asker:
        conv = asker.conversation(conversation)
        asker.done("delete", conv=conv, target=message_id)
    if output is not None:
        output.done(f"deleted for you: {conv} #{message_id}", conv=conv, target=message_id)


def read(
    conversation: str,
    message_id: int,
    *,
    profile_path: Path | None = None,
    output: Output | None = None,
) -> None:
    """Everything up to here was read. Raises: TerminalError."""
    with asking(profile_path) as asker:
        conv = asker.conversation(conversation)
        asker.done("read", conv=conv, message_id=message_id)
    if output is not None:
        output.done(f"read: {conv} up to #{message_id}", conv=conv, message_id=message_id)


def mute(
    conversation: str,
    *,
    until: int | None = None,
    remove: bool = False,
    profile_path: Path | None = None,
    output: Output | None = None,
) -> None:
    """No notifications of it, up to `until` (milliseconds since 1970 UTC) or for good. Raises: TerminalError."""
    with asking(profile_path) as asker:
        conv = asker.conversation(conversation)
        asker.done("mute", conv=conv, until=until, remove=remove or None)
    if output is not None:
        output.done(f"{'no longer muted' if remove else 'muted'}: {conv}", conv=conv, muted=not remove)
