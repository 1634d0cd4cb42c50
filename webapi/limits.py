"""How often each user and each address may call, counted in this process."""

import math
import threading
import time
from collections.abc import Callable, Hashable

from bridge.accounts.failures import FailedLogins
from pabal.errors import RateLimited
from pabal.ratelimit import RateLimiter
from webapi.settings import WebSettings

EXPORT_EVERY_S = 60


class Limits:
    """Thread-safe. With `rate_limits` off everything is let through."""

    def __init__(self, settings: WebSettings, clock: Callable[[], float] = time.monotonic) -> None:
        per_hour = settings.sign_ups_per_hour
        self._on = settings.rate_limits
        self._clock = clock
        self._guard = threading.Lock()
        self._requests = RateLimiter(settings.requests_per_s, settings.request_burst)
        self._sign_ups = RateLimiter(per_hour / 3600, per_hour)
        # Of one user.
        self._exports = RateLimiter(1 / EXPORT_EVERY_S, 1)
        self.failed_logins = FailedLogins(
            per_minute=settings.failed_logins_per_minute, enabled=self._on, clock=clock
        )

    def request(self, caller: str) -> None:
        """Raises: RateLimited if this user (or address, before a login) calls too often."""
        self._take(self._requests, caller, "too many requests")

    def sign_up(self, address: str) -> None:
        """Raises: RateLimited if too many accounts were asked for from this address."""
        self._take(self._sign_ups, address, "too many new accounts from this address")

    def export(self, user: str) -> None:
        """Raises: RateLimited if this user has exported the account within the last minute."""
        self._take(self._exports, user, "one export a minute")

    def _take(self, limiter: RateLimiter, key: Hashable, detail: str) -> None:
        if not self._on:
            return
        with self._guard:
            wait = limiter.take(key, self._clock())
        if wait > 0:
            raise RateLimited(detail, retry_after=math.ceil(wait))
