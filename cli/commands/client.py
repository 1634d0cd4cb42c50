"""`pabal login`, `send`, `listen`, `history`: a chat client in the terminal."""

import sys
from typing import Annotated

import typer

import pabal_terminal
from cli import output, passwords
from cli.output import Json
from pabal_terminal import Output

ServerUrl = Annotated[
    str, typer.Option("--server", metavar="URL", help="The server's HTTP address.", envvar="PABAL_SERVER")
]


def login(
    user: Annotated[str, typer.Argument(metavar="USER", help="Your user name.")],
    *,
    server: ServerUrl = "http://127.0.0.1:8080",
    device: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A name for this terminal; without it, the name of this machine."),
    ] = None,
    sign_up: Annotated[bool, typer.Option("--sign-up", help="Make the account first.")] = False,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Log this terminal in.

    The session is kept in a profile file ($PABAL_PROFILE, or pabal/profile.json in your configuration folder).
    """
    password = passwords.ask("Password", from_stdin=password_stdin, twice=sign_up)
    pabal_terminal.login(server, user, password, device, sign_up=sign_up, output=Output(json=as_json))


def send(
    to: Annotated[str, typer.Argument(metavar="TO", help="A user, or a conversation's id.")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The message; - reads it from standard input.")],
    *,
    reply_to: Annotated[
        int | None, typer.Option(metavar="N", help="The number of the message that it answers.", min=1)
    ] = None,
    mentions: Annotated[
        list[str] | None,
        typer.Option("--mention", metavar="USER", help="Who is meant; may be given again. @all: everybody."),
    ] = None,
    expires_in: Annotated[
        int | None, typer.Option(metavar="SECONDS", help="After how long its content goes.", min=1)
    ] = None,
    request_id: Annotated[
        str | None,
        typer.Option("--id", metavar="ID", help="Sent again under the same id, it is stored once."),
    ] = None,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", help="How long to try for, all in all.", min=0.1)
    ] = 30.0,
    as_json: Json = False,
) -> None:
    """Send a message.

    Returns when the server has it on disk.
    """
    words = sys.stdin.read().rstrip("\n") if text == "-" else text
    pabal_terminal.send(
        to,
        words,
        reply_to=reply_to,
        mentions=mentions or (),
        expires_in=expires_in,
        request_id=request_id,
        timeout=timeout,
        output=Output(json=as_json),
    )


def listen(
    count: Annotated[int | None, typer.Option(metavar="N", help="End after so many messages.", min=1)] = None,
    *,
    live: Annotated[
        bool, typer.Option("--live", help="Also who types, and how far others have received and read.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Print messages as they come.

    What was missed comes first. Ctrl-C ends it.
    """
    pabal_terminal.listen(count=count, live=live, output=Output(json=as_json))


def history(
    conversation: Annotated[str, typer.Argument(metavar="TO", help="A user, or a conversation's id.")],
    *,
    limit: Annotated[int, typer.Option(metavar="N", help="How many messages.", min=1, max=200)] = 50,
    before: Annotated[
        int | None, typer.Option(metavar="N", help="Only older than the message of this number.", min=1)
    ] = None,
    as_json: Json = False,
) -> None:
    """Print messages of a conversation.

    The newest ones, oldest of them first.
    """
    shown = pabal_terminal.history(conversation, limit=limit, before=before, output=Output(json=as_json))
    if not shown:
        older = "" if before is None else f" before {before}"
        output.note(f"no messages with {conversation}{older}")
