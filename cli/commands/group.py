"""`pabal group …`: groups and their members."""

from typing import Annotated, Literal

import typer

from cli import output, passwords
from cli.commands.entries import RequestId, Seconds, until
from cli.output import Json
from pabal_terminal import Output, groups

app = typer.Typer(help="Groups and their members.", no_args_is_help=True)

GroupId = Annotated[str, typer.Argument(metavar="GROUP", help="The group's id.")]
User = Annotated[str, typer.Argument(metavar="USER", help="A user's name.")]
History = Annotated[
    Literal["join", "all"] | None,
    typer.Option(help="What newcomers see: what comes after they joined, or all."),
]
Posting = Annotated[Literal["all", "admins"] | None, typer.Option(help="Who may write.")]


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the group is called.")],
    members: Annotated[list[str] | None, typer.Argument(metavar="USER", help="Who else is in it.")] = None,
    *,
    history: History = None,
    posting: Posting = None,
    request_id: RequestId = None,
    as_json: Json = False,
) -> None:
    """Make a group.

    Example: pabal group create Riders bob carol
    """
    groups.create(
        name,
        members or (),
        history=history,
        posting=posting,
        request_id=request_id,
        output=Output(json=as_json),
    )


@app.command("show")
def show(conv: GroupId, *, as_json: Json = False) -> None:
    """Print a group, its settings and its members.

    Example: pabal group show gaaaaaaaaaaaa
    """
    groups.show(conv, output=Output(json=as_json))


@app.command("rename")
def rename(
    conv: GroupId,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is called from now on.")],
    *,
    request_id: RequestId = None,
    as_json: Json = False,
) -> None:
    """Give a group another name.

    Example: pabal group rename gaaaaaaaaaaaa 'Night riders'
    """
    groups.update(conv, name=name, request_id=request_id, output=Output(json=as_json))


@app.command("set")
def set_(
    conv: GroupId,
    *,
    history: History = None,
    posting: Posting = None,
    request_id: RequestId = None,
    as_json: Json = False,
) -> None:
    """Change a group's settings.

    Example: pabal group set gaaaaaaaaaaaa --posting admins
    """
    groups.update(conv, history=history, posting=posting, request_id=request_id, output=Output(json=as_json))


@app.command("add")
def add(conv: GroupId, user: User, *, request_id: RequestId = None, as_json: Json = False) -> None:
    """Add a member.

    Example: pabal group add gaaaaaaaaaaaa dave
    """
    groups.add(conv, user, request_id=request_id, output=Output(json=as_json))


@app.command("remove")
def remove(conv: GroupId, user: User, *, request_id: RequestId = None, as_json: Json = False) -> None:
    """Remove a member.

    Example: pabal group remove gaaaaaaaaaaaa dave
    """
    groups.remove(conv, user, request_id=request_id, output=Output(json=as_json))


@app.command("role")
def role(
    conv: GroupId,
    user: User,
    role_: Annotated[
        Literal["owner", "admin", "member"],
        typer.Argument(metavar="ROLE", help="admin or member; owner hands the group over."),
    ],
    *,
    request_id: RequestId = None,
    as_json: Json = False,
) -> None:
    """Give a member another role.

    Example: pabal group role gaaaaaaaaaaaa bob admin
    """
    groups.add(conv, user, role=role_, request_id=request_id, output=Output(json=as_json))


@app.command("leave")
def leave(conv: GroupId, *, request_id: RequestId = None, as_json: Json = False) -> None:
    """Leave a group.

    Example: pabal group leave gaaaaaaaaaaaa
    """
    groups.leave(conv, request_id=request_id, output=Output(json=as_json))


@app.command("dissolve")
def dissolve(
    conv: GroupId,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    request_id: RequestId = None,
    as_json: Json = False,
) -> None:
    """End a group for all its members.

    Example: pabal group dissolve gaaaaaaaaaaaa --yes
    """
    if not yes:
        passwords.confirm(f"Dissolve {conv} for all its members?")
    groups.dissolve(conv, request_id=request_id, output=Output(json=as_json))


@app.command("mute")
def mute(
    conv: GroupId,
    user: User,
    *,
    seconds: Seconds = None,
    request_id: RequestId = None,
    as_json: Json = False,
) -> None:
    """Silence a member.

    For owners and admins.

    Example: pabal group mute gaaaaaaaaaaaa dave --for 3600
    """
    groups.mute(conv, user, until=until(seconds), request_id=request_id, output=Output(json=as_json))


@app.command("unmute")
def unmute(conv: GroupId, user: User, *, request_id: RequestId = None, as_json: Json = False) -> None:
    """Let a silenced member write again.

    Example: pabal group unmute gaaaaaaaaaaaa dave
    """
    groups.mute(conv, user, remove=True, request_id=request_id, output=Output(json=as_json))


@app.command("invite")
def invite(
    conv: GroupId,
    *,
    expires_in: Annotated[
        int | None, typer.Option(metavar="SECONDS", help="How long the code is good.", min=1)
    ] = None,
    uses: Annotated[int | None, typer.Option(metavar="N", help="For how many people.", min=1)] = None,
    as_json: Json = False,
) -> None:
    """Make a code that lets its holder in.

    Example: pabal group invite gaaaaaaaaaaaa --uses 5
    """
    groups.invite(conv, expires_in=expires_in, uses=uses, output=Output(json=as_json))


@app.command("invites")
def invites(conv: GroupId, *, as_json: Json = False) -> None:
    """Print the codes that are still good.

    Example: pabal group invites gaaaaaaaaaaaa
    """
    if not groups.invites(conv, output=Output(json=as_json)):
        output.note("no codes")


Code = Annotated[str, typer.Argument(metavar="CODE", help="The invitation's code.")]


@app.command("uninvite")
def uninvite(conv: GroupId, code: Code, *, as_json: Json = False) -> None:
    """Make a code good for nothing.

    Example: pabal group uninvite gaaaaaaaaaaaa CODE
    """
    groups.uninvite(conv, code, output=Output(json=as_json))


@app.command("join")
def join(code: Code, *, request_id: RequestId = None, as_json: Json = False) -> None:
    """Join a group by a code.

    Example: pabal group join CODE
    """
    groups.join(code, request_id=request_id, output=Output(json=as_json))
