"""Pushes that are sent by the process that commits, in a thread of their own, unless `push` says off."""

import contextlib
from collections.abc import Callable

from bridge.build import Bridge
from bridge.tracing import NO_TRACING, Tracing
from cli.push_services import push_services
from cli.pushing import BrokerWakes, PushNumbers, start_beside
from cli.settings import Settings


class Pushes:
    """The services are what subscriptions are held against, whoever sends."""

    def __init__(self, settings: Settings, tracing: Tracing = NO_TRACING) -> None:
        """Raises: SettingsError, KeyFileError: a push service cannot be used as it is set."""
        self._url = settings.url
        self._tracing = tracing
        self._wakes = BrokerWakes() if settings.push == "embedded" else None
        self.services = push_services(settings, self._wakes)

    def start(
        self, bridge: Bridge, publish: Callable[[str, bytes, int], None], stack: contextlib.AsyncExitStack
    ) -> PushNumbers | None:
        """In the broker's loop, once it is there; what `stack` gets stops it before bridge and broker do. None if
        pushes are sent by somebody else.
        """
        if self._wakes is None:
            return None
        return start_beside(bridge, self._url, self.services, self._wakes, publish, stack, self._tracing)
