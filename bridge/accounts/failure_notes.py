"""Failed logins on their way to the audit log: strangers make as many as they like, and cost few writes.

The first of a user are written at once. What follows is counted in memory, and written along with a later one, with
the next login that is good, or when somebody looks. What is not written yet goes with the process.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from bridge.accounts.origin import Origin
from bridge.store.audit_log import SHOWN_ADDRESSES
from pabal.ids import UserId
from pabal.ratelimit import RateLimiter

# Writes a second: of one user, and of all together.
OF_ONE = (1 / 10, 3)
OF_ALL = (2.0, 20)
MAX_USERS = 10_000


@dataclass(slots=True)
class Failures:
    """Not written yet. `addresses` are some of those they came from, the newest last."""

    count: int = 0
    addresses: dict[str, None] = field(default_factory=dict)
    via: str = ""


class FailureNotes:
    """Thread-safe. `clock` tells seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._guard = threading.Lock()
        self._pending: dict[UserId, Failures] = {}
        self._of_one = RateLimiter(*OF_ONE, max_keys=MAX_USERS)
        self._of_all = RateLimiter(*OF_ALL)

    def add(self, user: UserId, origin: Origin) -> Failures | None:
        """One more. Returns all that is to be written now; None: later."""
        with self._guard:
            noted = self._pending.get(user)
            if noted is None:
                if len(self._pending) >= MAX_USERS:
                    return None
                noted = self._pending[user] = Failures()
            noted.count += 1
            noted.via = origin.via or ""
            if origin.address is not None:
                noted.addresses.pop(origin.address, None)
                noted.addresses[origin.address] = None
                if len(noted.addresses) > SHOWN_ADDRESSES:
                    del noted.addresses[next(iter(noted.addresses))]
            now = self._clock()
            if self._of_one.take(user, now) > 0 or self._of_all.take("", now) > 0:
                return None
            return self._pending.pop(user)

    def take(self, user: UserId) -> Failures | None:
        """What was not written yet of this user, to be written now. Returns None if there is nothing."""
        with self._guard:
            return self._pending.pop(user, None)
