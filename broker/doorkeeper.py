"""How many connections there may be, of an address and in all, and how often an address may try."""

from broker.settings import BrokerSettings
from pabal.ratelimit import RateLimiter

_ADDRESSES = 100_000


class Doorkeeper:
    """Counts connections, before a byte of them is read. Those without an address count in all only."""

    __slots__ = ("_attempts", "_held", "_most", "_most_in_all", "held")

    def __init__(self, settings: BrokerSettings) -> None:
        per_minute = settings.connection_attempts_per_minute
        self._attempts = None if per_minute is None else RateLimiter(per_minute / 60, per_minute, _ADDRESSES)
        self._most = settings.connections_per_address
        self._most_in_all = settings.connections
        self._held: dict[str, int] = {}
        self.held = 0

    def enter(self, address: str, now: float) -> bool:
        """Whether one more connection of this address is taken. If not, it is not counted, and must not leave."""
        if address:
            held = self._held.get(address, 0)
            if self._attempts is not None and self._attempts.take(address, now) > 0:
                return False
            if self._most is not None and held >= self._most:
                return False
        if self._most_in_all is not None and self.held >= self._most_in_all:
            return False
        if address:
            self._held[address] = held + 1
        self.held += 1
        return True

    def leave(self, address: str) -> None:
        """A connection that was taken is closed."""
        self.held -= 1
        if not address:
            return
        left = self._held[address] - 1
        if left:
            self._held[address] = left
        else:
            del self._held[address]
