"""How often each user and each address may call: of all webapi processes together where they share what counts."""

import math

from bridge.accounts.failures import FailedLogins
from bridge.backplane.buckets import Buckets, Counting
from pabal.errors import RateLimited
from webapi.settings import WebSettings

EXPORT_EVERY_S = 60


class Limits:
    """Thread-safe. With `rate_limits` off everything is let through."""

    def __init__(self, settings: WebSettings, counting: Counting) -> None:
        per_hour = settings.sign_ups_per_hour
        self._on = settings.rate_limits
        self._requests = counting("request", settings.requests_per_s, settings.request_burst)
        self._sign_ups = counting("sign-up", per_hour / 3600, per_hour)
        # Of one user.
        self._exports = counting("export", 1 / EXPORT_EVERY_S, 1)
        self.failed_logins = FailedLogins(
            per_minute=settings.failed_logins_per_minute, enabled=self._on, counting=counting
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

    def _take(self, buckets: Buckets, key: str, detail: str) -> None:
        if not self._on:
            return
        wait = buckets.take(key)
        if wait > 0:
            raise RateLimited(detail, retry_after=math.ceil(wait))
