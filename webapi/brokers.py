"""Where devices connect: the brokers that say they are there, and else those of the settings."""

from collections.abc import Callable, Sequence

from bridge.backplane.registry import LiveBroker
from webapi.settings import BrokerEndpoint


class Brokers:
    """Thread-safe if `live` is."""

    def __init__(
        self, configured: Sequence[BrokerEndpoint], live: Callable[[], Sequence[LiveBroker]]
    ) -> None:
        """`live` is asked each time, and knows none where there is no registry, or nothing in it.

        Raises: ValueError if none is configured.
        """
        if not configured:
            raise ValueError("settings.brokers: at least one")
        self._configured = tuple(configured)
        self._live = live

    def all(self) -> Sequence[BrokerEndpoint]:
        """The least loaded first; at least one."""
        return [BrokerEndpoint(one.tcp, one.ws) for one in self._live()] or self._configured

    def best(self) -> BrokerEndpoint:
        return self.all()[0]
