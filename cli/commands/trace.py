"""`pabal trace`: one message's way, straight from the database."""

from collections.abc import Iterator
from typing import Annotated

import msgspec
import typer

from bridge.trace import PushTrace, RecipientTrace, Trace
from cli import database, output
from cli.flags import DATABASE, Flags, with_settings
from cli.output import Json
from cli.times import shown
from pabal.ids import parse_conv


@with_settings(*DATABASE)
def trace(
    flags: Flags,
    *,
    conv: Annotated[
        str, typer.Argument(metavar="CONV", help="The conversation, such as alice~bob or a group's id.")
    ],
    message_id: Annotated[int, typer.Argument(metavar="MESSAGE_ID", min=1, help="The message's number.")],
    as_json: Json = False,
) -> None:
    """Print one message's way: committed, fanned out, acknowledged by each device, pushed."""
    parsed = parse_conv(conv)
    settings = flags.load().settings
    database.require_existing(settings)
    with database.reads(settings) as reads:
        found = reads.traces.whole(parsed, message_id)
    if as_json:
        output.line(msgspec.json.encode(found).decode())
        return
    for text in _lines(found):
        output.line(text)


def _lines(found: Trace) -> Iterator[str]:
    by = "by the server" if found.device is None else f"from the device {found.device}"
    asked = "" if found.id is None else f" as {found.id!r}"
    yield f"{found.conv} {found.message_id}: {found.type} of {found.from_}, {by}{asked}"
    yield f"  committed {shown(found.committed)}"
    for word, when in (("edited", found.edited), ("recalled", found.recalled), ("expires", found.expires)):
        if when is not None:
            yield f"  {word} {shown(when)}"
    yield f"  fanned out by {found.way}"
    for one in found.recipients:
        yield from _recipient(one, found)


def _recipient(one: RecipientTrace, found: Trace) -> Iterator[str]:
    if one.seq is not None:
        where = f"seq {one.seq}{', still in the outbox' if one.in_outbox else ''}"
    else:
        where = "by the room" if found.way == "room" else "no copy is kept any longer"
    yield f"{one.user}: {where}; {'delivered' if one.delivered else 'not delivered'}, {'read' if one.read else 'not read'}"
    for device in one.devices:
        word = "acknowledged" if device.acknowledged else "not acknowledged"
        yield f"  {device.device}: {word} (cursor {device.cursor})"
    for push in one.pushes:
        yield f"  {_push(push)}"


def _push(push: PushTrace) -> str:
    said = [f"push to {push.device}: {push.kind} {push.state}"]
    if push.service is not None:
        said.append(f"by {push.service}, {push.tries} {'try' if push.tries == 1 else 'tries'}")
    if push.answer:
        said.append(push.answer)
    when = push.done or push.sending or push.due
    tried = "sending since" if push.state == "sending" else "tried"
    word = "done" if push.done else tried if push.sending else "due"
    said.append(f"{word} {shown(when)}")
    return "; ".join(said)
