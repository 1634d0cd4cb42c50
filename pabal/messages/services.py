"""What services ask in a user's name, and their answers, on `svc/…`."""

from msgspec import Raw, Struct


class ServiceRequest(Struct, frozen=True, kw_only=True, rename={"as_": "as"}):
    """What a service asks in a user's name, on `svc/{instance}/up`. `ref` comes back with the reply."""

    ref: str
    as_: "ActingAs"
    request: Raw
    traceparent: str | None = None


class ActingAs(Struct, frozen=True, kw_only=True):
    user: str
    device: str


class ServiceReply(Struct, frozen=True, kw_only=True):
    """The answer on `svc/{instance}/down`; `reply` is a JSON null where the request had no id and was done.

    (msgspec reads no union of Raw and None, so the null is raw too.)
    """

    ref: str
    reply: Raw
