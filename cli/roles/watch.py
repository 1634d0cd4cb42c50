"""The listener for those who watch a role: `/metrics`, `/healthz`, `/readyz`."""

import contextlib
import logging
from typing import TYPE_CHECKING

from cli import sockets
from cli.address import Address
from cli.errors import CliError
from cli.metrics import MetricsListener
from cli.roles.health import Health
from cli.settings import Settings

if TYPE_CHECKING:
    import socket

    from prometheus_client.registry import Collector

logger = logging.getLogger("pabal.serve")


def bind(settings: Settings, name: str, patience_s: float) -> "socket.socket | None":
    """A listening socket for those who watch, by the name of its setting; None if it is off. Where nobody has chosen
    an address, a second server on this machine goes without rather than not at all.

    Raises: CliError if the address that was chosen cannot be had.
    """
    address: Address | None = getattr(settings, name)
    if address is None:
        return None
    if name in settings.model_fields_set:
        return sockets.listen(name, address, patience_s=patience_s)
    with contextlib.suppress(CliError):
        # The usual address in use is waited for by nobody.
        return sockets.listen(name, address)
    return None


def tell(settings: Settings, name: str, listening: object | None) -> None:
    """Where there is none although nobody said so. Not before the server is ready: what stops a start is told in one
    line.
    """
    address: Address | None = getattr(settings, name)
    if listening is None and address is not None:
        logger.warning(
            "there are no metrics: %s is in use (choose another address for %s, or off)", address, name
        )


class Watch:
    """Owner of that listener, which is not there where `metrics` is off."""

    def __init__(self, settings: Settings, health: Health) -> None:
        self._settings = settings
        self._listener = MetricsListener(health)
        self._socket: socket.socket | None = None

    @property
    def address(self) -> Address | None:
        """None where it does not listen."""
        return None if self._socket is None else sockets.address_of(self._socket)

    @property
    def is_told(self) -> bool:
        """Whether people cannot know the address, because it was left to the machine."""
        return self._settings.metrics is not None and self._settings.metrics.port == 0

    async def start_if_free(self) -> None:
        """For a standby: the server that it waits for may have this address now."""
        with contextlib.suppress(CliError):
            await self.start(0.0)

    async def start(self, patience_s: float) -> None:
        """Nothing if it listens already. Raises: as `bind`."""
        if self._socket is None:
            listening = bind(self._settings, "metrics", patience_s)
            if listening is not None:
                await self._listener.start(listening)
                self._socket = listening

    def expose(self, collector: "Collector") -> None:
        """Its metrics too, from here on."""
        self._listener.expose(collector)

    def tell(self) -> None:
        tell(self._settings, "metrics", self._socket)

    async def stop(self) -> None:
        await self._listener.stop()
