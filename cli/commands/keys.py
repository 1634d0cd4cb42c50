"""`pabal keys …`: the keys that sign access tokens."""

import typer

from cli import database, output, times
from cli.flags import DATABASE, KEYS, Flags, with_settings
from cli.output import Json

app = typer.Typer(help="The keys that sign access tokens.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Makes `rotate` a command of its own; with one command, typer would take the group for it."""


@app.command("rotate")
@with_settings(*DATABASE, *KEYS)
def rotate(flags: Flags, *, as_json: Json = False) -> None:
    """Sign with a new key from now on.

    The old one verifies until its tokens are gone.
    """
    settings = flags.load().settings
    database.require_existing(settings)
    now = times.now_s()
    kid = database.keys(settings).rotate(now)
    if as_json:
        output.data({"kid": kid})
    else:
        output.line(f"tokens are signed with key {kid} now")
