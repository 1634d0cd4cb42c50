"""Asking the relay for what writes, or is told at once: a request of the protocol, and its reply or refusal."""

import uuid
from collections.abc import Mapping
from typing import Any

import msgspec

from pabal import errors
from pabal import messages as m
from pabal.errors import PabalError, TooLarge, Unavailable
from pabal.ids import DeviceId
from webapi.ports import RelayClient
from webapi.routing import Call

# The relay gets a request in an envelope, and both have to fit into one packet.
_MAX_REQUEST_BYTES = m.MAX_PACKET_BYTES - 1024


class _Outcome(msgspec.Struct, frozen=True):
    ok: bool


def ask(
    relay: RelayClient,
    call: Call,
    request: m.AnyRequest,
    fields: Mapping[str, Any],
    *,
    device: DeviceId | None = None,
) -> bytes:
    """The relay's reply that it is done. `fields` are those of the request, as they are sent; `device` is another one of
    the caller's in whose name it is asked.

    Raises: what the relay refused with; Unavailable if it did not answer.
    """
    # Without an id there would be no reply to wait for.
    named = {**fields, "id": request.id or str(uuid.uuid4())}
    content = msgspec.json.encode(named)
    if len(content) > _MAX_REQUEST_BYTES:
        raise TooLarge(f"at most {_MAX_REQUEST_BYTES} bytes")
    reply = relay.ask(call.login.user, device or call.login.device, content)
    if not msgspec.json.decode(reply, type=_Outcome).ok:
        raise _refusal(msgspec.json.decode(reply, type=m.Refused))
    return reply


def _refusal(refused: m.Refused) -> PabalError:
    kind = errors.BY_CODE.get(refused.error, Unavailable)
    return kind(refused.detail, retry_after=refused.retry_after)
