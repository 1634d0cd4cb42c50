"""`pabal contact …`, `block …`, `who`, `search`, `report`: other people."""

from typing import Annotated

import typer

from cli import output
from cli.output import Json
from pabal_terminal import Output, people

contact = typer.Typer(help="Contacts, and requests to be one.", no_args_is_help=True)
block = typer.Typer(help="Who may not reach you.", no_args_is_help=True)

User = Annotated[str, typer.Argument(metavar="USER", help="A user's name.")]


@contact.command("request")
def contact_request(
    user: User,
    text: Annotated[str | None, typer.Argument(metavar="TEXT", help="Who asks, in your words.")] = None,
    *,
    as_json: Json = False,
) -> None:
    """Ask somebody to be a contact.

    Example: pabal contact request bob 'We met on the road.'
    """
    people.contact_request(user, text, output=Output(json=as_json))


@contact.command("accept")
def contact_accept(user: User, *, as_json: Json = False) -> None:
    """Say yes to a request.

    Example: pabal contact accept alice
    """
    people.contact_accept(user, output=Output(json=as_json))


@contact.command("remove")
def contact_remove(user: User, *, as_json: Json = False) -> None:
    """Remove a contact, say no to a request, or take one back.

    Example: pabal contact remove bob
    """
    people.contact_remove(user, output=Output(json=as_json))


@contact.command("list")
def contact_list(*, as_json: Json = False) -> None:
    """Print contacts, and requests both ways.

    Example: pabal contact list
    """
    if not people.contact_list(output=Output(json=as_json)):
        output.note("no contacts")


@block.command("add")
def block_add(user: User, *, as_json: Json = False) -> None:
    """Block somebody, who is not told.

    Example: pabal block add mallory
    """
    people.block_add(user, output=Output(json=as_json))


@block.command("remove")
def block_remove(user: User, *, as_json: Json = False) -> None:
    """Let somebody reach you again.

    Example: pabal block remove mallory
    """
    people.block_remove(user, output=Output(json=as_json))


@block.command("list")
def block_list(*, as_json: Json = False) -> None:
    """Print who is blocked.

    Example: pabal block list
    """
    if not people.block_list(output=Output(json=as_json)):
        output.note("nobody is blocked")


def who(
    users: Annotated[list[str], typer.Argument(metavar="USER", help="Up to 200 users.")],
    *,
    as_json: Json = False,
) -> None:
    """Print who is there.

    Who does not want you to see it is offline.

    Example: pabal who bob carol
    """
    people.who(users, output=Output(json=as_json))


def search(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Part of a name.")],
    *,
    limit: Annotated[int, typer.Option(metavar="N", help="How many at most.", min=1, max=100)] = 20,
    as_json: Json = False,
) -> None:
    """Search for people.

    Example: pabal search bo
    """
    if not people.search(text, limit=limit, output=Output(json=as_json)):
        output.note(f"nobody is found by {text}")


def report(
    reason: Annotated[str, typer.Argument(metavar="REASON", help="What is wrong, in a word.")],
    *,
    user: Annotated[str | None, typer.Option(metavar="USER", help="Who it is about.")] = None,
    conv: Annotated[
        str | None, typer.Option(metavar="CONV", help="Or: the conversation of the message it is about.")
    ] = None,
    message_id: Annotated[
        int | None, typer.Option("--message", metavar="N", help="The number of that message.", min=1)
    ] = None,
    text: Annotated[str | None, typer.Option(metavar="WORDS", help="More about it.")] = None,
    as_json: Json = False,
) -> None:
    """Tell the server's admins about a user or a message.

    Example: pabal report spam --conv @mallory --message 3
    """
    people.report(
        reason, user=user, conversation=conv, message_id=message_id, text=text, output=Output(json=as_json)
    )
