"""What can be found out of another broker before it is used."""

import asyncio
import logging
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from broker.external.errors import LinkError, WrongVersion
from broker.external.link import Link, Welcome
from broker.mqtt.packets import LEVEL_5, LEVEL_311
from pabal import topics
from pabal.ids import DeviceId, UserId

if TYPE_CHECKING:
    from broker.external.endpoint import Endpoint

logger = logging.getLogger("pabal.external")

_HEARD_S: Final = 1.0
# Of the session that is tried; it is ended before.
_KEPT_S: Final = 60
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
    link = (await _open(endpoint, f"{client_id}-check-{secrets.token_hex(4)}")).link
    link.close()


async def keeps_sessions(endpoint: "Endpoint", client_id: str) -> bool:
    """Whether a session outlives its connection there: what devices send while no bridge is connected waits in one. Tried
    with a session of another name, which is gone afterwards.

    Raises: LinkError.
    """
    name = f"{client_id}-check-{secrets.token_hex(4)}"
    kept = False
    for session_s in (_KEPT_S, _KEPT_S, 0):
        opened = await _open(endpoint, name, session_s)
        kept = kept or opened.welcome.present
        opened.link.close()
    return kept


async def warn_if_open(endpoint: "Endpoint", client_id: str) -> None:
    """Whether strangers may publish what the bridge takes for a device's word: then anybody may be anybody."""
    stranger = replace(endpoint, username=None, password=None)
    try:
        sender = (await _open(stranger, f"pabal-stranger-{secrets.token_hex(4)}")).link
    except LinkError:
        return
    try:
        receiver, ear, _ = await _open(endpoint, f"{client_id}-probe-{secrets.token_hex(4)}")
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


class _Opened(NamedTuple):
    link: Link
    ear: _Ear
    welcome: Welcome


async def _open(endpoint: "Endpoint", client_id: str, session_s: int = 0) -> _Opened:
    """Raises: LinkError."""
    ear = _Ear()
    try:
        link = Link(endpoint, client_id, ear, level=LEVEL_5, session_s=session_s)
        welcome = await link.open()
    except WrongVersion:
        link = Link(endpoint, client_id, ear, level=LEVEL_311, session_s=session_s)
        welcome = await link.open()
    return _Opened(link, ear, welcome)
