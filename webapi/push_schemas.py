"""Bodies of the calls about pushes."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from pabal.push import Lang, Preview, QuietHours


class NewPush(Struct, frozen=True, kw_only=True):
    """How a device is to be reached. Which of `endpoint` to `secret` a service needs, it says itself."""

    service: Annotated[str, Meta(min_length=1, max_length=16)] = "stdout"
    endpoint: str | None = None
    keys: dict[str, Any] | None = None
    p256dh: str | None = None
    auth: str | None = None
    token: str | None = None
    url: str | None = None
    secret: str | None = None
    preview: Preview = "full"
    lang: Lang = "ko"
    quiet: QuietHours | None = None


class PushBody(Struct, frozen=True, kw_only=True):
    """`since`: when it was set. `ended`: the service takes nothing for it any more; the app is to subscribe anew."""

    device: str
    service: str
    preview: Preview
    lang: Lang
    since: int
    quiet: QuietHours | None = None
    ended: bool = False


class QuietBody(Struct, frozen=True, kw_only=True):
    """Hours for everything, and those of single conversations."""

    quiet: QuietHours | None
    conversations: dict[str, QuietHours]
