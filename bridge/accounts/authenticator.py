"""The broker's question "who is this?", answered without holding up its event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from bridge.accounts.failures import FailedLogins
from bridge.accounts.origin import Origin
from bridge.accounts.service import Accounts
from bridge.accounts.tokens import TokenExpired
from bridge.ports import Login
from pabal.errors import Forbidden, Unauthorized, Unavailable
from pabal.ids import DeviceId, UserId

T = TypeVar("T")

THREADS = 4
MAX_PENDING = 2_000


class AccountAuthenticator:
    """`bridge.ports.Authenticator` over `Accounts`, in a few threads of its own. End it with `close`.

    `failures` counts failed logins; give it `enabled=False` where rate limits are lifted.
    """

    def __init__(
        self,
        accounts: Accounts,
        failures: FailedLogins,
        *,
        threads: int = THREADS,
        max_pending: int = MAX_PENDING,
    ) -> None:
        self._accounts = accounts
        self._failures = failures
        self._max_pending = max_pending
        self._pending = 0
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="pabal-login")

    async def authenticate(self, username: str, password: str, address: str) -> Login:
        """As `bridge.ports.Authenticator`; called in the event loop."""
        return await self._ask(self._check, username, password, address)

    async def vouched(self, user: UserId, device: DeviceId) -> Login:
        """As `bridge.ports.Authenticator`; called in the event loop."""
        return await self._ask(self._accounts.authenticate_vouched, user, device)

    async def standing(self, user: UserId, device: DeviceId) -> Login:
        """The device, if a login or a secret of it is good still; called in the event loop.

        Raises: errors.Unauthorized; errors.Unavailable if the database does not answer.
        """
        return await self._ask(self._accounts.standing, user, device)

    async def devices_of(self, user: UserId) -> list[DeviceId]:
        """By name; called in the event loop. Raises: errors.Unavailable if the database does not answer."""
        return await self._ask(self._names, user)

    def _names(self, user: UserId) -> list[DeviceId]:
        return [info.device for info in self._accounts.list_devices(user)]

    async def _ask(self, check: Callable[..., T], *about: str) -> T:
        if self._pending >= self._max_pending:
            raise Unavailable("too many logins at once", retry_after=1)
        self._pending += 1
        asked = asyncio.get_running_loop().run_in_executor(self._pool, check, *about)
        # Counted until the thread is done, even if whoever asked has gone away meanwhile.
        asked.add_done_callback(self._done)
        return await asyncio.shield(asked)

    def close(self) -> None:
        """Waits for the checks under way; those that have not begun are cancelled."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _check(self, username: str, password: str, address: str) -> Login:
        try:
            return self._accounts.authenticate_mqtt(username, password)
        except (Unauthorized, Forbidden) as error:
            # Beyond the limit it is only refused. A token that is too old is nobody's attack.
            self._failures.failed(username, address)
            if not isinstance(error, TokenExpired):
                self._accounts.note_failure(UserId(username), Origin(address, via="mqtt"))
            raise

    def _done(self, asked: "asyncio.Future[Any]") -> None:
        self._pending -= 1
        if not asked.cancelled():
            asked.exception()  # seen, so that nobody is warned of an answer that nobody waited for
