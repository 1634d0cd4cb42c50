"""Failed logins, counted per user and address: by broker and webapi together where they share what counts."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

from bridge.backplane.buckets import Counting, counting_here
from pabal.errors import Forbidden, RateLimited, Unauthorized

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
        counting: Counting | None = None,
    ) -> None:
        """`counting` None: in this process alone."""
        count = counting or counting_here()
        self._buckets = count("login", per_minute / 60, per_minute) if enabled else None

    @contextmanager
    def attempt(self, user: str, address: str) -> Iterator[None]:
        """Around one login; the block raises Unauthorized where it is not good.

        Raises: RateLimited after too many failures, before the block is entered.
        """
        if self._buckets is None:
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
                self._buckets.give_back(_key(user, address))

    def failed(self, user: str, address: str) -> None:
        """Count one that was found not to be good.

        For credentials that cannot be guessed and cost little to check: a good one is let in however many failed
        before it, so that strangers cannot shut its owner out.

        Raises: RateLimited where too many have failed already; this one is then not counted.
        """
        if self._buckets is None:
            return
        wait = self._buckets.take(_key(user, address))
        if wait > 0:
            raise RateLimited("too many failed logins", retry_after=math.ceil(wait))


def _key(user: str, address: str) -> str:
    return f"{address} {user[:_NAME_CHARS]}"
