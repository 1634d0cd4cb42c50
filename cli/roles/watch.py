"""The listener for those who watch a role: `/metrics`, `/healthz`, `/readyz`."""

import contextlib
import logging
from typing import TYPE_CHECKING

from cli import sockets
from cli.errors import CliError
from cli.metrics import MetricsListener
from cli.roles.health import Health
from cli.settings import Address, Settings

if TYPE_CHECKING:
    import socket

    from prometheus_client.registry import Collector

logger = logging.getLogger("pabal.serve")


class Watch:
    """Owner of that listener, which is not there where `metrics` is off.

    Where nobody has chosen an address, a second server on this machine goes without rather than not at all.
    """

    def __init__(self, settings: Settings, health: Health) -> None:
        self._settings = settings
        self._chosen = "metrics" in settings.model_fields_set
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
        """Nothing if it listens already. Raises: CliError if the address that was chosen cannot be had."""
        if self._socket is not None or self._settings.metrics is None:
            return
        try:
            # The usual address in use is waited for by nobody.
            patience_s = patience_s if self._chosen else 0.0
            listening = sockets.listen("metrics", self._settings.metrics, patience_s=patience_s)
        except CliError:
            if self._chosen:
                raise
            return
        self._socket = listening
        await self._listener.start(listening)

    def expose(self, collector: "Collector") -> None:
        """Its metrics too, from here on."""
        self._listener.expose(collector)

    def tell(self) -> None:
        """Where it does not listen although nobody said so. Not before the server is ready: what stops a start is
        told in one line.
        """
        if self._socket is None and self._settings.metrics is not None:
            logger.warning(
                "there are no metrics: %s is in use (choose another address for metrics, or off)",
                self._settings.metrics,
            )

    async def stop(self) -> None:
        await self._listener.stop()
