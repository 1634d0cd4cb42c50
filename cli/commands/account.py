"""`pabal me …`, `devices …`, `conversations`: one's own account."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from msgspec import UNSET

from cli import output, passwords
from cli.errors import UsageError
from cli.output import Json
from pabal_terminal import Output, account

me = typer.Typer(help="Your own account.", no_args_is_help=True)
devices = typer.Typer(help="Where you are logged in.", no_args_is_help=True)

Whom = Literal["everyone", "contacts"]
WhomOrNobody = Literal["everyone", "contacts", "nobody"]
PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read passwords from standard input, a line each.")
]


@me.command("show")
def show(*, as_json: Json = False) -> None:
    """Print your profile and who may do what.

    Example: pabal me show
    """
    account.show(output=Output(json=as_json))


@me.command("set")
def set_(
    *,
    display_name: Annotated[
        str | None, typer.Option(metavar="NAME", help="How you are shown; empty removes it.")
    ] = None,
    about: Annotated[
        str | None, typer.Option(metavar="WORDS", help="A word about you; empty removes it.")
    ] = None,
    write: Annotated[Whom | None, typer.Option(help="Who may write to you.")] = None,
    groups: Annotated[Whom | None, typer.Option(help="Who may add you to groups.")] = None,
    presence: Annotated[WhomOrNobody | None, typer.Option(help="Who sees whether you are there.")] = None,
    last_seen: Annotated[
        WhomOrNobody | None, typer.Option(help="Who is told when you were last there.")
    ] = None,
    read_receipts: Annotated[
        bool | None, typer.Option(help="Whether others are told what you have read.")
    ] = None,
    search: Annotated[bool | None, typer.Option(help="Whether a search finds you.")] = None,
    as_json: Json = False,
) -> None:
    """Change your profile, and who may do what.

    Example: pabal me set --display-name 'Alice L.' --last-seen nobody
    """
    privacy = {
        "write": write,
        "groups": groups,
        "presence": presence,
        "last_seen": last_seen,
        "read_receipts": read_receipts,
        "search": search,
    }
    given = {name: value for name, value in privacy.items() if value is not None}
    if display_name is None and about is None and not given:
        raise UsageError("nothing to change was given", "pabal me set --help says what there is")
    account.update(
        display_name=UNSET if display_name is None else display_name or None,
        about=UNSET if about is None else about or None,
        privacy=given,
        output=Output(json=as_json),
    )


@me.command("password")
def password(*, password_stdin: PasswordStdin = False, as_json: Json = False) -> None:
    """Set a new password.

    All your other logins end.

    Example: pabal me password
    """
    old = passwords.ask("Old password", from_stdin=password_stdin)
    new = passwords.ask("New password", from_stdin=password_stdin, twice=True)
    account.password(old, new, output=Output(json=as_json))


@me.command("security")
def security(
    *,
    limit: Annotated[int, typer.Option(metavar="N", help="How many lines.", min=1, max=200)] = 50,
    as_json: Json = False,
) -> None:
    """Print what happened to your account, newest first.

    Example: pabal me security --limit 10
    """
    account.security(limit=limit, output=Output(json=as_json))


@me.command("export")
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that is not there yet.")],
    *,
    as_json: Json = False,
) -> None:
    """Save everything that the server has of you.

    A zip of JSON files.

    Example: pabal me export alice.zip
    """
    account.export(file, output=Output(json=as_json))


@me.command("delete")
def delete(
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether you are sure.")] = False,
    password_stdin: PasswordStdin = False,
    as_json: Json = False,
) -> None:
    """Delete your account for good.

    Nobody can have its name again.

    Example: pabal me delete
    """
    if not yes:
        passwords.confirm("Delete your account for good?")
    account.delete(passwords.ask("Password", from_stdin=password_stdin), output=Output(json=as_json))


@devices.command("list")
def list_devices(*, as_json: Json = False) -> None:
    """Print your devices.

    Example: pabal devices list
    """
    account.devices(output=Output(json=as_json))


@devices.command("add")
def add_device(
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="A name for it.")],
    *,
    allow: Annotated[
        Literal["send", "receive"] | None,
        typer.Option(help="The one thing it may do; without it, both."),
    ] = None,
    password_stdin: PasswordStdin = False,
    as_json: Json = False,
) -> None:
    """Make a secret for a thing without a login, and print it this once.

    Example: pabal devices add sensor --allow send
    """
    password_ = passwords.ask("Password", from_stdin=password_stdin)
    account.device_add(device, password_, None if allow is None else [allow], output=Output(json=as_json))


@devices.command("remove")
def remove_device(
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="Its name.")], *, as_json: Json = False
) -> None:
    """Log a device out, and end its secret.

    Example: pabal devices remove phone
    """
    account.device_remove(device, output=Output(json=as_json))


def conversations(*, as_json: Json = False) -> None:
    """Print your conversations.

    Example: pabal conversations
    """
    if not account.conversations(output=Output(json=as_json)):
        output.note("no conversations")
