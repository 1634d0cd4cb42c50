"""Replies about how one's devices are reached when their app is closed."""

from typing import Literal

from msgspec import Struct

from pabal.push import Lang, Preview, QuietHours


class PushState(Struct, frozen=True, kw_only=True):
    """How a device is reached. `ended`: the service takes nothing for it any more, and the client is to subscribe anew."""

    re: str | None
    ok: Literal[True] = True
    device: str
    service: str
    preview: Preview
    lang: Lang
    since: int
    quiet: QuietHours | None = None
    ended: bool = False


class QuietState(Struct, frozen=True, kw_only=True):
    """`quiet` are the hours for everything, `conversations` those of single ones."""

    re: str | None
    ok: Literal[True] = True
    quiet: QuietHours | None
    conversations: dict[str, QuietHours]
