"""Requests about how one's devices are reached when their app is closed."""

from typing import Annotated, Any

from msgspec import Meta

from pabal.messages.request import Request
from pabal.push import Lang, Preview, QuietHours


class PushSet(Request, frozen=True, kw_only=True, tag="push.set", omit_defaults=True):
    """Reach this device by that push service when its app is closed; instead of whatever was set before.

    Which of `endpoint` and keys (`keys` as a browser gives them, or `p256dh` and `auth`), `token`, `url` and `secret`
    a service takes, it says itself. `device`: another one of the user's, where the credential is a login.
    """

    device: str | None = None
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


class PushRemove(Request, frozen=True, kw_only=True, tag="push.remove", omit_defaults=True):
    """No pushes to this device any longer."""

    device: str | None = None


class PushGet(Request, frozen=True, kw_only=True, tag="push.get", omit_defaults=True):
    """How this device is reached, without what is secret."""

    device: str | None = None


class QuietSet(Request, frozen=True, kw_only=True, tag="quiet.set", omit_defaults=True):
    """No pushes in these hours of the day: of this conversation (`conv`), or of all."""

    conv: str | None = None
    hours: QuietHours


class QuietRemove(Request, frozen=True, kw_only=True, tag="quiet.remove", omit_defaults=True):
    conv: str | None = None


class QuietGet(Request, frozen=True, kw_only=True, tag="quiet.get", omit_defaults=True):
    """All of one's quiet hours."""
