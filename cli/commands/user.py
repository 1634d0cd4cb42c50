"""`pabal user …`: accounts, straight on the database; a running server acts on a change within a second."""

from typing import Annotated

import typer

from bridge.accounts.values import Profile
from cli import database, output, passwords, times
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
        profile = accounts.sign_up(name, password, admin=admin)
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
        accounts.set_password(user, password)
    _tell(f"{name} has a new password", user, "password", as_json=as_json)


@app.command("disable")
@with_settings(*DATABASE)
def disable(flags: Flags, *, name: Name, as_json: Json = False) -> None:
    """Keep a user out, until enabled again.

    Logins and live connections end; device secrets rest.
    """
    user = parse_user(name)
    with database.accounts(flags.load().settings, make=False) as accounts:
        accounts.disable(user)
    _tell(f"{name} is disabled", user, "disabled", as_json=as_json)


@app.command("enable")
@with_settings(*DATABASE)
def enable(flags: Flags, *, name: Name, as_json: Json = False) -> None:
    """Let a disabled user in again."""
    user = parse_user(name)
    with database.accounts(flags.load().settings, make=False) as accounts:
        accounts.enable(user)
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
    """Delete an account and its devices.

    The name is never given again.
    """
    user = parse_user(name)
    settings = flags.load().settings
    if not yes:
        passwords.confirm(f"Delete {name} for good?")
    with database.accounts(settings, make=False) as accounts:
        accounts.delete(user)
    _tell(f"{name} is deleted", user, "deleted", as_json=as_json)


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
