"""`pabal admin push …`: the queue of pushes, its dead letters, and what to do with one."""

import contextlib
import time
from collections.abc import Iterator
from typing import Annotated

import typer

from bridge.push.jobs import JobKey
from bridge.store.engine import open_engine
from bridge.store.push_desk import PushDesk, PushEntry
from cli import database, output, times
from cli.errors import CliError, UsageError
from cli.flags import DATABASE, Flags, with_settings
from cli.output import Json
from pabal.errors import BadRequest
from pabal.ids import parse_device, parse_user

COLUMNS = ("push", "state", "service", "tries", "due", "answer")
_PARTS = 4

admin = typer.Typer(help="What somebody who runs a server looks after.", no_args_is_help=True)
push = typer.Typer(help="The queue of pushes, and those that were given up.", no_args_is_help=True)
admin.add_typer(push, name="push")

Limit = Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")]
Named = Annotated[
    str, typer.Argument(metavar="PUSH", help="As `list` and `dead` name it: USER/DEVICE/SEQ/KIND.")
]


@push.command("list")
@with_settings(*DATABASE)
def list_(flags: Flags, *, limit: Limit = 100, as_json: Json = False) -> None:
    """Show the pushes that wait, those that are due first come first."""
    with _desk(flags) as desk:
        output.table(COLUMNS, [_row(entry) for entry in desk.open_jobs(limit)], as_json=as_json)


@push.command("dead")
@with_settings(*DATABASE)
def dead(flags: Flags, *, limit: Limit = 100, as_json: Json = False) -> None:
    """Show the pushes that were given up, or of which nobody knows whether they were sent; newest first."""
    with _desk(flags) as desk:
        output.table(COLUMNS, [_row(entry) for entry in desk.dead(limit)], as_json=as_json)


@push.command("retry")
@with_settings(*DATABASE)
def retry(flags: Flags, name: Named) -> None:
    """Queue one that was given up again."""
    key = _key(name)
    with _desk(flags) as desk:
        if not desk.retry(key, time.time_ns() // 1_000_000):
            raise CliError(f"no push {name} was given up", "'pabal admin push dead' lists those that were")
    output.line(f"{name} is queued again")


@push.command("forget")
@with_settings(*DATABASE)
def forget(flags: Flags, name: Named) -> None:
    """Take one away that waits or was given up."""
    key = _key(name)
    with _desk(flags) as desk:
        if not desk.forget(key):
            raise CliError(
                f"no push {name} waits or was given up", "one that is being sent cannot be taken back"
            )
    output.line(f"{name} is gone")


@contextlib.contextmanager
def _desk(flags: Flags) -> Iterator[PushDesk]:
    settings = flags.load().settings
    database.require_existing(settings)
    engine = open_engine(settings.url, pool_size=1)
    try:
        yield PushDesk(engine)
    finally:
        engine.dispose()


def _key(name: str) -> JobKey:
    """Raises: UsageError."""
    parts = name.split("/")
    if len(parts) != _PARTS or not parts[2].isascii() or not parts[2].isdigit():
        raise UsageError(f"PUSH = {name!r} is not right; expected USER/DEVICE/SEQ/KIND, as 'dead' shows it")
    try:
        user, device = parse_user(parts[0]), parse_device(parts[1])
    except BadRequest as error:
        raise UsageError(f"PUSH = {name!r} is not right; {error}") from None
    match parts[3]:
        case "message" | "clear" as kind:
            return JobKey(user, device, int(parts[2]), kind)
    raise UsageError(f"PUSH = {name!r} is not right; its last part is message or clear")


def _row(entry: PushEntry) -> dict[str, object]:
    return {
        "push": "/".join(map(str, entry.key)),
        "state": entry.state,
        "service": entry.service,
        "tries": entry.tries,
        "due": times.shown(entry.due_ts),
        "answer": entry.answer,
        "conv": entry.conv,
        "message_id": entry.message_id,
        "expires": times.shown(entry.expires_ts),
    }
