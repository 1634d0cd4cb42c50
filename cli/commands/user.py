"""`pabal user …`: accounts, straight on the database; a running server acts on a change within a second."""

from pathlib import Path
from typing import Annotated

import typer

from bridge.accounts.origin import OPERATOR
from bridge.accounts.values import Profile
from bridge.archive import zipped
from bridge.export import Export
from bridge.store.audit_log import AuditEvent
from cli import database, output, passwords, times
from cli.files import write_new
from cli.flags import DATABASE, Flags, with_settings
from cli.output import Json
from pabal.ids import UserId, parse_user

app = typer.Typer(help="Accounts, straight on the database.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The user's name.")]
PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input.")
]
_PAGE = 1_000


@app.command("add")
@with_settings(*DATABASE)
def add(
    flags: Flags,
    *,
    name: Name,
    admin: Annotated[
        bool, typer.Option("--admin", help="An administrator, who may read the $SYS topics.")
    ] = False,
    password_stdin: PasswordStdin = False,
    as_json: Json = False,
) -> None:
    """Make an account."""
    settings = flags.load().settings
    password = passwords.ask(f"Password for {name}", from_stdin=password_stdin, twice=True)
    with database.accounts(settings) as accounts:
        profile = accounts.sign_up(name, password, admin=admin, origin=OPERATOR)
    _tell(f"{name} was added", profile.user, "added", as_json=as_json)


@app.command("list")
@with_settings(*DATABASE)
def list_(flags: Flags, *, as_json: Json = False) -> None:
    """Print all accounts."""
    rows: list[dict[str, object]] = []
    with database.accounts(flags.load().settings, make=False) as accounts:
        after: UserId | None = None
        while page := accounts.list_users(after=after, limit=_PAGE):
            rows.extend(_row(profile, as_json=as_json) for profile in page)
            after = page[-1].user
    output.table(("user", "display_name", "admin", "state", "created"), rows, as_json=as_json)


@app.command("passwd")
@with_settings(*DATABASE)
def passwd(flags: Flags, *, name: Name, password_stdin: PasswordStdin = False, as_json: Json = False) -> None:
    """Set a new password.

    It ends the user's logins; device secrets stay good.
    """
    settings = flags.load().settings
    password = passwords.ask(f"New password for {name}", from_stdin=password_stdin, twice=True)
    user = parse_user(name)
    with database.accounts(settings, make=False) as accounts:
        accounts.set_password(user, password, origin=OPERATOR)
    _tell(f"{name} has a new password", user, "password", as_json=as_json)


@app.command("disable")
@with_settings(*DATABASE)
def disable(flags: Flags, *, name: Name, as_json: Json = False) -> None:
    """Keep a user out, until enabled again.

    Logins and live connections end; device secrets rest.
    """
    user = parse_user(name)
    with database.accounts(flags.load().settings, make=False) as accounts:
        accounts.disable(user, origin=OPERATOR)
    _tell(f"{name} is disabled", user, "disabled", as_json=as_json)


@app.command("enable")
@with_settings(*DATABASE)
def enable(flags: Flags, *, name: Name, as_json: Json = False) -> None:
    """Let a disabled user in again."""
    user = parse_user(name)
    with database.accounts(flags.load().settings, make=False) as accounts:
        accounts.enable(user, origin=OPERATOR)
    _tell(f"{name} is enabled", user, "enabled", as_json=as_json)


@app.command("delete")
@with_settings(*DATABASE)
def delete(
    flags: Flags,
    *,
    name: Name,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask; it is asked at a terminal only.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Delete an account, its devices and what it wrote.

    What others wrote stays. A running server does it at once, otherwise the next one that starts. The name is
    never given again.
    """
    user = parse_user(name)
    settings = flags.load().settings
    if not yes:
        passwords.confirm(f"Delete {name} for good?")
    with database.accounts(settings, make=False) as accounts:
        accounts.delete(user, origin=OPERATOR)
    _tell(f"{name} is deleted", user, "deleted", as_json=as_json)


@app.command("audit")
@with_settings(*DATABASE)
def audit(
    flags: Flags,
    *,
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="The user's name; everybody without one.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many events at most.")] = 100,
    as_json: Json = False,
) -> None:
    """Print what happened to accounts, newest first."""
    user = None if name is None else parse_user(name)
    rows: list[dict[str, object]] = []
    with database.accounts(flags.load().settings, make=False) as accounts:
        before: int | None = None
        more = True
        while more and len(rows) < limit:
            page, more = accounts.events(user, before=before, limit=min(_PAGE, limit - len(rows)))
            rows.extend(_event(event, as_json=as_json) for event in page)
            before = page[-1].event_id if page else None
    output.table(("when", "user", "event", "device", "address", "detail"), rows, as_json=as_json)


@app.command("export")
@with_settings(*DATABASE)
def export(
    flags: Flags,
    *,
    name: Name,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write; it may not exist yet.")],
    as_json: Json = False,
) -> None:
    """Write all that an account has into a zip archive of JSON files."""
    user = parse_user(name)
    settings = flags.load().settings
    with database.accounts(settings, make=False) as accounts, database.reads(settings) as reads:
        accounts.note_export(user, origin=OPERATOR)
        now_ms = int(times.now_s() * 1000)
        files = Export(accounts, reads, reads.people, times.shown).files(user, now_ms)
        size = write_new(file, zipped(files, times.parts(now_ms)))
    if as_json:
        output.data({"user": user, "file": str(file), "bytes": size})
    else:
        output.line(f"{name} is in {file} ({size:,} bytes)")


def _event(event: AuditEvent, *, as_json: bool) -> dict[str, object]:
    row: dict[str, object] = {
        "user": event.user,
        "event": event.event,
        "device": event.device,
        "address": event.address,
    }
    if as_json:
        return {"id": event.event_id, "ts": event.ts, **row, "detail": event.detail}
    detail = " ".join(f"{key}={value}" for key, value in event.detail.items())
    return {"when": times.shown(event.ts), **row, "detail": detail or None}


def _row(profile: Profile, *, as_json: bool) -> dict[str, object]:
    row: dict[str, object] = {
        "user": profile.user,
        "display_name": profile.display_name,
        "admin": profile.admin,
        "state": profile.state,
    }
    # For programs the field has the name and the unit that it has in the REST API.
    if as_json:
        return {**row, "created_ts": profile.created_ts}
    return {**row, "created": times.shown(profile.created_ts)}


def _tell(text: str, user: str, done: str, *, as_json: bool) -> None:
    if as_json:
        output.data({"user": user, "done": done})
    else:
        output.line(text)
