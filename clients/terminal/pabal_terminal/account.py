"""One's own account: profile and privacy, password, devices, the list of conversations, export, and the end."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import UNSET, UnsetType, structs

from pabal_client.me import Me, Profile
from pabal_client.updates import Conversation
from pabal_terminal import wording
from pabal_terminal.asking import asking
from pabal_terminal.errors import TerminalError
from pabal_terminal.output import Output
from pabal_terminal.profile import ProfileFile

_PAGE = 100
_WIDTH = 14


def show(*, profile_path: Path | None = None, output: Output | None = None) -> Profile:
    """The profile and the privacy settings. Raises: TerminalError."""
    with asking(profile_path) as asker:
        profile = Me(asker.http).show()
    _show(profile, output or Output())
    return profile


def update(
    *,
    display_name: str | UnsetType | None = UNSET,
    about: str | UnsetType | None = UNSET,
    privacy: Mapping[str, str | bool] | None = None,
    profile_path: Path | None = None,
    output: Output | None = None,
) -> Profile:
    """Change what is given. Raises: TerminalError."""
    with asking(profile_path) as asker:
        profile = Me(asker.http).update(display_name=display_name, about=about, privacy=privacy)
    _show(profile, output or Output())
    return profile


def _show(profile: Profile, output: Output) -> None:
    if output.json:
        output.data(profile)
        return
    rows: dict[str, Any] = {
        "user": profile.user,
        "display name": profile.display_name,
        "about": profile.about,
    }
    for name, value in {**rows, **structs.asdict(profile.privacy)}.items():
        shown = {None: "-", True: "yes", False: "no"}.get(value, value)
        output.line((name.replace("_", " ").ljust(_WIDTH), "dim"), f"  {shown}")


def password(old: str, new: str, *, profile_path: Path | None = None, output: Output | None = None) -> None:
    """A new password; all other sessions of the account end. Raises: TerminalError."""
    with asking(profile_path, password=True) as asker:
        Me(asker.http).set_password(old, new)
    if output is not None:
        output.done("the password is changed; all other logins have ended")


def security(*, limit: int = 50, profile_path: Path | None = None, output: Output | None = None) -> int:
    """What happened to the account, newest first; returns how many lines. Raises: TerminalError."""
    output = output or Output()
    with asking(profile_path) as asker:
        rows = Me(asker.http).security(limit=limit)
    for row in rows:
        if output.json:
            output.data(row)
        else:
            where = "".join(f"  {value}" for value in (row.device, row.address) if value)
            more = "".join(f"  {name}: {value}" for name, value in row.detail.items())
            output.line((wording.local(row.ts), "dim"), f"  {row.event.ljust(_WIDTH)}", (where + more, "dim"))
    return len(rows)


def export(path: Path, *, profile_path: Path | None = None, output: Output | None = None) -> None:
    """Everything that the server has of this user, as a zip of JSON files. Raises: TerminalError."""
    with asking(profile_path) as asker:
        content = Me(asker.http).export()
    try:
        with path.open("xb") as file:
            file.write(content)
    except OSError as error:
        raise TerminalError(f"cannot write {path}: {error.strerror}") from error
    if output is not None:
        output.done(f"{len(content)} bytes are in {path}", path=str(path), bytes=len(content))


def delete(password_: str, *, profile_path: Path | None = None, output: Output | None = None) -> None:
    """The account is gone for good, and with it this login. Raises: TerminalError."""
    with asking(profile_path, password=True) as asker:
        Me(asker.http).delete(password_)
    ProfileFile(profile_path).path.unlink(missing_ok=True)
    if output is not None:
        output.done("the account is gone")


def devices(*, profile_path: Path | None = None, output: Output | None = None) -> int:
    """What is logged in, or has a secret; returns how many. Raises: TerminalError."""
    output = output or Output()
    with asking(profile_path) as asker:
        rows = Me(asker.http).devices()
    for row in rows:
        if output.json:
            output.data(row)
            continue
        how = "secret" if row.has_secret else "login" if row.logged_in else "logged out"
        seen = "" if row.seen_ts is None else f"  {wording.local(row.seen_ts)}"
        here = "  (this one)" if row.current else ""
        output.line((row.device.ljust(_WIDTH), "cyan"), f"  {how}  {','.join(row.allow)}{seen}{here}")
    return len(rows)


def device_add(
    device: str,
    password_: str,
    allow: Sequence[str] | None = None,
    *,
    profile_path: Path | None = None,
    output: Output | None = None,
) -> str:
    """A secret for a thing without a login. Returns it. Raises: TerminalError."""
    with asking(profile_path, password=True) as asker:
        rights = None if allow is None else list(allow)
        made = asker.http.do(lambda rest: rest.add_device(device, password_, rights), password=True)
    if output is not None and output.json:
        output.data(made)
    elif output is not None:
        output.line(made.secret)
    return made.secret


def device_remove(device: str, *, profile_path: Path | None = None, output: Output | None = None) -> None:
    """It is logged out, and its secret is good no more. Raises: TerminalError."""
    with asking(profile_path) as asker:
        Me(asker.http).remove_device(device)
    if output is not None:
        output.done(f"removed {device}", device=device)


def conversations(*, profile_path: Path | None = None, output: Output | None = None) -> int:
    """All conversations; returns how many. Raises: TerminalError."""
    output = output or Output()
    rows: list[Conversation] = []
    with asking(profile_path) as asker:
        while True:
            after = rows[-1].conv if rows else None
            page = asker.until(
                lambda rest, _timeout, after=after: rest.conversations(after=after, limit=_PAGE)  # type: ignore[misc] # the default keeps the value of this round
            )
            rows += page.conversations
            if not page.more or not page.conversations:
                break
    for row in rows:
        if output.json:
            output.data(row)
        else:
            _conversation(row, output)
    return len(rows)


def _conversation(row: Conversation, output: Output) -> None:
    unread = f"{row.unread} unread" if row.unread else ""
    mentions = f", {row.mentions} of you" if row.mentions else ""
    last = "" if row.last is None else f"  {row.last.from_}: {wording.content(row.last)}"
    name = "" if row.name is None else f"  {row.name}"
    muted = "" if row.muted_until is None else "  (muted)"
    output.line((row.conv, "cyan"), f"{name}  #{row.head}  ", (unread + mentions, "yellow"), f"{muted}{last}")
