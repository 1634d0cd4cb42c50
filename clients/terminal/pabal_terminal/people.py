"""Other people: contacts, blocks, who is there, who can be found, and what the admins should hear of."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pabal_client.contacts import all_blocks, all_contacts, read_blocks, read_contacts, read_state
from pabal_client.looking import read_presence
from pabal_terminal.asking import asking
from pabal_terminal.output import Output
from pabal_terminal.wording import local

_STATES: Final = {"accepted": "", "requested": "you asked", "received": "waits for your answer"}
_WIDTH = 12


def contact_request(
    user: str, text: str | None = None, *, profile_path: Path | None = None, output: Output | None = None
) -> None:
    """Ask to be contacts; where they have asked already, both are from now on. Raises: TerminalError."""
    name = user.removeprefix("@")
    with asking(profile_path) as asker:
        state = asker.ask("contact.request", read_state, user=name, text=text).state
    if output is not None:
        words = f"{name} is a contact" if state == "accepted" else f"asked {name} to be a contact"
        output.done(words, user=name, state=state)


def contact_accept(user: str, *, profile_path: Path | None = None, output: Output | None = None) -> None:
    """Say yes to a request. Raises: TerminalError."""
    _about("contact.accept", user, "{user} is a contact now", profile_path, output)


def contact_remove(user: str, *, profile_path: Path | None = None, output: Output | None = None) -> None:
    """No contact any more, or a no to a request. Raises: TerminalError."""
    _about("contact.remove", user, "{user} is no contact", profile_path, output)


def block_add(user: str, *, profile_path: Path | None = None, output: Output | None = None) -> None:
    """Raises: TerminalError."""
    _about("block.add", user, "{user} is blocked", profile_path, output)


def block_remove(user: str, *, profile_path: Path | None = None, output: Output | None = None) -> None:
    """Raises: TerminalError."""
    _about("block.remove", user, "{user} is no longer blocked", profile_path, output)


def _about(
    op: str, user: str, words: str, profile_path: Path | None, output: Output | None, **fields: Any
) -> None:
    name = user.removeprefix("@")
    with asking(profile_path) as asker:
        asker.done(op, user=name, **fields)
    if output is not None:
        output.done(words.format(user=name), user=name)


def contact_list(*, profile_path: Path | None = None, output: Output | None = None) -> int:
    """Contacts, and requests both ways; returns how many. Raises: TerminalError."""
    output = output or Output()
    with asking(profile_path) as asker:
        found = all_contacts(lambda after: asker.ask("contacts", read_contacts, after=after))
    for one in found:
        if output.json:
            output.data(one)
        else:
            name = "" if one.display_name is None else f"  {one.display_name}"
            state = _STATES.get(one.state, one.state) + ("" if one.text is None else f": {one.text}")
            output.line((one.user.ljust(_WIDTH), "cyan"), name, (f"  {state}", "dim"))
    return len(found)


def block_list(*, profile_path: Path | None = None, output: Output | None = None) -> int:
    """Who is blocked; returns how many. Raises: TerminalError."""
    output = output or Output()
    with asking(profile_path) as asker:
        found = all_blocks(lambda after: asker.ask("blocks", read_blocks, after=after))
    for one in found:
        if output.json:
            output.data(one)
        else:
            output.line(one.user)
    return len(found)


def who(users: Sequence[str], *, profile_path: Path | None = None, output: Output | None = None) -> None:
    """Who is there. Raises: TerminalError."""
    output = output or Output()
    names = [user.removeprefix("@") for user in users]
    with asking(profile_path) as asker:
        found = asker.ask("presence", read_presence, users=names).presence
    for one in found:
        if output.json:
            output.data({"user": one.user, "state": one.state, "last_seen": one.last_seen})
        else:
            seen = "" if one.last_seen is None else f", last seen {local(one.last_seen)}"
            style = {"online": "green", "away": "yellow"}.get(one.state, "dim")
            output.line((one.user.ljust(_WIDTH), "cyan"), "  ", (one.state + seen, style))


def search(
    text: str, *, limit: int = 20, profile_path: Path | None = None, output: Output | None = None
) -> int:
    """Who can be found by this; returns how many. Raises: TerminalError."""
    output = output or Output()
    with asking(profile_path) as asker:
        found = asker.until(lambda rest, _timeout: rest.search_users(text, limit=limit))
    for one in found.users:
        if output.json:
            output.data(one)
        else:
            output.line((one.user.ljust(_WIDTH), "cyan"), f"  {one.display_name or ''}".rstrip())
    return len(found.users)


def report(
    reason: str,
    *,
    user: str | None = None,
    conversation: str | None = None,
    message_id: int | None = None,
    text: str | None = None,
    profile_path: Path | None = None,
    output: Output | None = None,
) -> None:
    """Tell the server's admins about a user, or about a message. Raises: TerminalError."""
    with asking(profile_path) as asker:
        asker.done(
            "report",
            reason=reason,
            user=None if user is None else user.removeprefix("@"),
            conv=None if conversation is None else asker.conversation(conversation),
            message_id=message_id,
            text=text,
        )
    if output is not None:
        output.done("the server's admins were told")
