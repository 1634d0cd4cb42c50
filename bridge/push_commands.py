"""What people ask about pushes to their devices: subscriptions, and hours in which they want none."""

from collections.abc import Mapping
from typing import Any, Final, Literal, Protocol
from urllib.parse import urlsplit

import msgspec

from bridge.ports import Source
from bridge.push.zones import check_hours
from pabal import ids
from pabal import messages as m
from pabal.errors import BadRequest, Forbidden, NotAMember
from pabal.ids import ConvId, DeviceId, UserId

_TARGET: Final = ("endpoint", "keys", "p256dh", "auth", "token", "url", "secret")
MAX_TARGET_BYTES = 16 * 1024


class PushTargets(Protocol):
    """What the relay asks of the push services, before it keeps a subscription."""

    def check(self, service: str, target: Mapping[str, Any]) -> dict[str, Any]:
        """What to keep. Raises: errors.BadRequest, with the field, for a service that is not offered here or a target
        that it does not take.
        """
        ...


class NoTargets:
    """Of a server without push."""

    def check(self, service: str, target: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002 -- as the port has it
        raise BadRequest("this server offers no push", field="service")


class SetPush(msgspec.Struct, frozen=True, gc=False):
    """`of` is the device that is reached so. `target` and `quiet` are JSON. `host` is empty where all of a service go to
    the same.
    """

    user: UserId
    device: DeviceId
    request_id: str | None
    of: DeviceId
    service: str
    target: str
    preview: str
    lang: str
    quiet: str | None
    host: str


class RemovePush(msgspec.Struct, frozen=True, gc=False):
    user: UserId
    device: DeviceId
    request_id: str | None
    of: DeviceId


class EndPush(msgspec.Struct, frozen=True, gc=False):
    """A push service will have nothing more for the subscription that is there since `since`; its user is told.
    `event` is that of the update. Nobody asked, and nobody waits for a reply.
    """

    user: UserId
    of: DeviceId
    since: int
    event: Literal["push_gone", "push_again"]
    service: str
    reason: str
    device: DeviceId = DeviceId("")
    request_id: str | None = None


class SetQuiet(msgspec.Struct, frozen=True, gc=False):
    """No pushes in these hours, JSON; None: there are none any longer. Of all conversations, or of one."""

    user: UserId
    device: DeviceId
    request_id: str | None
    conv: ConvId | None
    hours: str | None


PushCommand = SetPush | RemovePush | EndPush | SetQuiet


def check_push(
    source: Source, request: m.PushSet | m.PushRemove | m.QuietSet | m.QuietRemove, targets: PushTargets
) -> PushCommand:
    """Raises: BadRequest, Forbidden, NotAMember."""
    match request:
        case m.PushSet():
            return _subscribe(source, request, targets)
        case m.PushRemove():
            return RemovePush(source.user, source.device, request.id, own_device(source, request.device))
        case m.QuietSet():
            check_hours(request.hours, field="hours")
            hours = msgspec.json.encode(request.hours).decode()
            return SetQuiet(source.user, source.device, request.id, _conv(source, request.conv), hours)
        case m.QuietRemove():
            return SetQuiet(source.user, source.device, request.id, _conv(source, request.conv), None)


def own_device(source: Source, name: str | None) -> DeviceId:
    """A device speaks for itself alone; whoever is logged in reaches the others over HTTP.

    Raises: BadRequest, Forbidden.
    """
    if name is None or (device := ids.parse_device(name)) == source.device:
        return source.device
    raise Forbidden(f"this is {source.device!r}; for {device!r} use HTTP, logged in", field="device")


def _subscribe(source: Source, request: m.PushSet, targets: PushTargets) -> SetPush:
    given = {name: value for name in _TARGET if (value := getattr(request, name)) is not None}
    if request.quiet is not None:
        check_hours(request.quiet)
    kept = targets.check(request.service, given)
    target = msgspec.json.encode(kept)
    if len(target) > MAX_TARGET_BYTES:
        raise BadRequest("too long", field="endpoint" if "endpoint" in given else "token")
    return SetPush(
        source.user,
        source.device,
        request.id,
        own_device(source, request.device),
        request.service,
        target.decode(),
        request.preview,
        request.lang,
        None if request.quiet is None else msgspec.json.encode(request.quiet).decode(),
        urlsplit(str(kept.get("endpoint") or kept.get("url") or "")).netloc.lower(),
    )


def _conv(source: Source, conv: str | None) -> ConvId | None:
    if conv is None:
        return None
    parsed = ids.parse_conv(conv)
    if ids.is_direct(parsed) and source.user not in ids.members_of(parsed):
        raise NotAMember("this conversation is between others", field="conv")
    return parsed
