"""What can be found out of another broker before it is used."""

import asyncio
import logging
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from broker.external.errors import LinkError, WrongVersion
from broker.external.link import Link
from broker.mqtt.packets import LEVEL_5, LEVEL_311
from pabal import topics
from pabal.ids import DeviceId, UserId

if TYPE_CHECKING:
    from broker.external.endpoint import Endpoint

logger = logging.getLogger("pabal.external")

_HEARD_S: Final = 1.0
# A name that no account can have, so that nothing is done of whatever the bridge hears of it.
_NOBODY: Final = topics.up(UserId("pabal"), DeviceId("probe"))


class _Ear:
    """A listener that waits for one message."""

    def __init__(self) -> None:
        self.heard = asyncio.Event()

    def arrived(self, *_message: object, **_more: object) -> None:
        self.heard.set()

    def acknowledged(self, packet_id: int, refusal: str | None) -> None:
        """Also by a broker that does nothing with it."""


async def check(endpoint: "Endpoint", client_id: str) -> None:
    """Whether one is let in there, without touching the session of a bridge: under a client id of its own that begins
    like the bridge's.

    Raises: LinkError.
    """
    link, _ear = await _open(endpoint, f"{client_id}-check-{secrets.token_hex(4)}")
    link.close()


async def warn_if_open(endpoint: "Endpoint", client_id: str) -> None:
    """Whether strangers may publish what the bridge takes for a device's word: then anybody may be anybody."""
    stranger = replace(endpoint, username=None, password=None)
    try:
        sender, _ = await _open(stranger, f"pabal-stranger-{secrets.token_hex(4)}")
    except LinkError:
        return
    try:
        receiver, ear = await _open(endpoint, f"{client_id}-probe-{secrets.token_hex(4)}")
    except LinkError:
        sender.close()
        return
    try:
        receiver.begin()
        sender.begin()
        await receiver.subscribe([(_NOBODY, False)])
        sender.publish(_NOBODY, b"{}", 1)
        async with asyncio.timeout(_HEARD_S):
            await ear.heard.wait()
    except (LinkError, TimeoutError):
        return
    finally:
        sender.close()
        receiver.close()
    logger.warning(
        "%s lets anybody publish in anybody's name, without a password: docs/brokers.md says how to close it",
        endpoint,
    )


async def _open(endpoint: "Endpoint", client_id: str) -> tuple[Link, _Ear]:
    """Raises: LinkError."""
    ear = _Ear()
    link = Link(endpoint, client_id, ear, level=LEVEL_5)
    try:
        await link.open()
    except WrongVersion:
        link = Link(endpoint, client_id, ear, level=LEVEL_311)
        await link.open()
    return link, ear
