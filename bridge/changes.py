"""Acts on what the command line or webapi changed in the database: polled, so it works across processes, and at once
where somebody rings.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from typing import NamedTuple

from bridge.outage import Outage
from bridge.ports import Outbound
from bridge.store.failures import answering
from bridge.store.read_store import ReadStore
from pabal.errors import Unavailable
from pabal.ids import DeviceId, UserId

POLL_S = 0.25


class _Change(NamedTuple):
    kind: str
    user: UserId
    device: DeviceId | None
    reason: str
    credential: str | None


class ChangePoller:
    """Owns one task. Logout, kick, disable and password change end live connections within a second, and the MQTT
    sessions of a device that is deleted end with it.
    """

    def __init__(
        self,
        store: ReadStore,
        readers: Executor,
        outbound: Outbound,
        on_deleted: Callable[[], None] = lambda: None,
        on_related: Callable[[], None] = lambda: None,
    ) -> None:
        """Called in the loop: `on_deleted` when an account was deleted, `on_related` then too, and when somebody
        chose anew what others may.
        """
        self._on_deleted = on_deleted
        self._on_related = on_related
        self._store = store
        self._readers = readers
        self._outbound = outbound
        self._after = 0
        self._task: asyncio.Task[None] | None = None
        self._outage = Outage("changes cannot be read", "changes are read again")
        self._woken = asyncio.Event()

    async def start(self) -> None:
        """From here on nothing is missed; what was changed before has nobody connected.

        Raises: errors.Unavailable.
        """
        self._after = await asyncio.get_running_loop().run_in_executor(self._readers, self._last)
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def wake(self) -> None:
        """There is something; to be called in the loop."""
        self._woken.set()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._woken.clear()
            try:
                changes = await loop.run_in_executor(self._readers, self._poll)
            except Unavailable as error:
                self._outage.goes_on(error)
            else:
                self._outage.ends()
                for change in changes:
                    self._act(change)
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._woken.wait()

    def _act(self, change: _Change) -> None:
        if change.kind == "gone":
            self._outbound.forget(change.user, change.device)
            if change.device is None:
                self._on_deleted()
                self._on_related()
        elif change.kind == "related":
            self._outbound.review(change.user)
            self._on_related()
        else:
            self._outbound.kick(change.user, change.device, change.reason, change.credential)

    def _last(self) -> int:
        with answering(), self._store.snapshot() as snapshot:
            return snapshot.last_change()

    def _poll(self) -> list[_Change]:
        with answering(), self._store.snapshot() as snapshot:
            found = snapshot.changes(self._after)
        if found:
            self._after = found[-1][0]
        return [
            _Change(
                kind,
                UserId(user),
                None if device is None else DeviceId(device),
                reason or "kicked",
                credential,
            )
            for _id, kind, user, device, reason, credential in found
        ]
