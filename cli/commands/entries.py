"""`pabal edit`, `recall`, `react`, `delete`, `forward`, `read`, `mute`, `unmute`: what is done about messages."""

import time
from typing import Annotated

import typer

from cli.output import Json
from pabal_terminal import Output, entries

Conversation = Annotated[
    str, typer.Argument(metavar="CONV", help="@USER for the one with that user, or a conversation's id.")
]
MessageId = Annotated[
    int, typer.Argument(metavar="N", help="The message's number, as history shows it.", min=1)
]
RequestId = Annotated[
    str | None, typer.Option("--id", metavar="ID", help="Sent again under the same id, it is done once.")
]
Seconds = Annotated[
    int | None, typer.Option("--for", metavar="SECONDS", help="How long; without it, until unmuted.", min=1)
]


def edit(
    conv: Conversation,
    message_id: MessageId,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What it says from now on.")],
    *,
    request_id: RequestId = None,
    as_json: Json = False,
) -> None:
    """Change a message of yours.

    Example: pabal edit @bob 7 'See you at eight.'
    """
    entries.edit(conv, message_id, text, request_id=request_id, output=Output(json=as_json))


def recall(
    conv: Conversation, message_id: MessageId, *, request_id: RequestId = None, as_json: Json = False
) -> None:
    """Take a message back, for everybody.

    Its number stays. A group's owner and admins may take back all.

    Example: pabal recall @bob 7
    """
    entries.recall(conv, message_id, request_id=request_id, output=Output(json=as_json))


def react(
    conv: Conversation,
    message_id: MessageId,
    emoji: Annotated[str, typer.Argument(metavar="EMOJI", help="One emoji.")],
    *,
    remove: Annotated[bool, typer.Option("--remove", help="Take it back.")] = False,
    request_id: RequestId = None,
    as_json: Json = False,
) -> None:
    """Put an emoji under a message.

    Example: pabal react @bob 7 👍
    """
    entries.react(conv, message_id, emoji, remove=remove, request_id=request_id, output=Output(json=as_json))


def delete(conv: Conversation, message_id: MessageId, *, as_json: Json = False) -> None:
    """Delete a message for yourself.

    The others keep it.

    Example: pabal delete @bob 7
    """
    entries.delete(conv, message_id, output=Output(json=as_json))


def forward(
    conv: Conversation,
    message_id: MessageId,
    to: Annotated[str, typer.Argument(metavar="TO", help="A user, or a conversation's id.")],
    text: Annotated[str | None, typer.Argument(metavar="TEXT", help="Other words for it.")] = None,
    *,
    request_id: RequestId = None,
    as_json: Json = False,
) -> None:
    """Send a message on.

    Example: pabal forward @bob 7 carol
    """
    entries.forward(conv, message_id, to, text=text, request_id=request_id, output=Output(json=as_json))


def read(conv: Conversation, message_id: MessageId, *, as_json: Json = False) -> None:
    """Say that you have read everything up to a message.

    Example: pabal read @bob 7
    """
    entries.read(conv, message_id, output=Output(json=as_json))


def mute(conv: Conversation, *, seconds: Seconds = None, as_json: Json = False) -> None:
    """Have no notifications of a conversation.

    Example: pabal mute @bob --for 3600
    """
    entries.mute(conv, until=until(seconds), output=Output(json=as_json))


def unmute(conv: Conversation, *, as_json: Json = False) -> None:
    """Have notifications of a conversation again.

    Example: pabal unmute @bob
    """
    entries.mute(conv, remove=True, output=Output(json=as_json))


def until(seconds: int | None) -> int | None:
    """That many seconds from now, in milliseconds since 1970 UTC."""
    return None if seconds is None else int(time.time() * 1000) + seconds * 1000
