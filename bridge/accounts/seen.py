"""When devices were last seen over MQTT: gathered for some seconds, and written together, never for each login."""

import asyncio
import logging
from concurrent.futures import Executor
from itertools import islice

from bridge.accounts.service import Accounts
from bridge.ports import Login
from pabal.errors import Unavailable
from pabal.ids import DeviceId, UserId

EVERY_S = 5.0
AT_ONCE = 200
# Devices that wait to be written; beyond it a login is not remembered.
MAX_WAITING = 20_000

logger = logging.getLogger("pabal.bridge")


class SeenDevices:
    """Used in the event loop. End it with `close`, which writes what there is."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._waiting: dict[tuple[UserId, DeviceId], int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def came(self, login: Login, pool: Executor) -> None:
        """This device has just logged in; `pool` is where writing may block."""
        if self._closed or len(self._waiting) >= MAX_WAITING:
            return
        self._waiting[login.user, login.device] = self._accounts.now_ms()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(EVERY_S, self._write_soon, pool)

    def _write_soon(self, pool: Executor) -> None:
        self._timer = None
        waiting, self._waiting = self._waiting, {}
        pool.submit(self._write, waiting)

    def close(self) -> None:
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, {}
        self._write(waiting)

    def _write(self, seen: dict[tuple[UserId, DeviceId], int]) -> None:
        rows = iter([(user, device, ts) for (user, device), ts in seen.items()])
        try:
            while some := list(islice(rows, AT_ONCE)):
                self._accounts.devices_seen(some)
        except Unavailable as error:
            logger.warning("when devices were last seen could not be written: %s", error)
