"""Failed logins, counted per user and address."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pabal.errors import Forbidden, RateLimited, Unauthorized
from pabal.ratelimit import RateLimiter

PER_MINUTE = 10
# Names come from strangers and may have any length.
_NAME_CHARS = 64


class FailedLogins:
    """Lets `per_minute` fail, and then refuses until a minute has given some back.

    Thread-safe. `attempt` is for passwords, which can be guessed: it refuses without looking. An attempt counts from its start, so that many at once are not let through; one that was good
    or never got as far as being judged is given back.
    """

    def __init__(
        self,
        *,
        per_minute: int = PER_MINUTE,
        enabled: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limiter = RateLimiter(per_minute / 60, per_minute) if enabled else None
        self._clock = clock
        self._guard = threading.Lock()

    @contextmanager
    def attempt(self, user: str, address: str) -> Iterator[None]:
        """Around one login; the block raises Unauthorized where it is not good.

        Raises: RateLimited after too many failures, before the block is entered.
        """
        if self._limiter is None:
            yield
            return
        self.failed(user, address)
        failed = False
        try:
            yield
        except (Unauthorized, Forbidden):
            failed = True
            raise
        finally:
            if not failed:
                with self._guard:
                    self._limiter.give_back(_key(user, address), self._clock())

    def failed(self, user: str, address: str) -> None:
        """Count one that was found not to be good.

        For credentials that cannot be guessed and cost little to check: a good one is let in however many failed
        before it, so that strangers cannot shut its owner out.

        Raises: RateLimited where too many have failed already; this one is then not counted.
        """
        if self._limiter is None:
            return
        with self._guard:
            wait = self._limiter.take(_key(user, address), self._clock())
        if wait > 0:
            raise RateLimited("too many failed logins", retry_after=math.ceil(wait))


def _key(user: str, address: str) -> tuple[str, str]:
    return user[:_NAME_CHARS], address
