"""What all requests have in common."""

from msgspec import Struct

from pabal.messages.limits import RequestIdText


class Request(Struct, frozen=True, kw_only=True, tag_field="op", omit_defaults=True):
    """What a device asks. Without `id` there is no reply and no protection against sending twice."""

    id: RequestIdText | None = None
