"""Takes away the content of messages whose time is over.

What is due is found by an index, a bounded number at a time, and goes through the committer like any request, so
that an expiry is an entry: ordered, synced and on disk. What became due while no server ran is found at the start.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Protocol

from bridge.commands import Command, ExpireMessage
from bridge.outage import Outage
from bridge.store.failures import answering
from bridge.store.read_store import ReadStore
from pabal.errors import Unavailable
from pabal.ids import ConvId, DeviceId, UserId

POLL_S = 0.5
# Of each kind of conversation in one round; requests find room in the same batches.
ROUND = 100
NO_DEVICE = DeviceId("")


class Gate(Protocol):
    async def commit(self, command: Command) -> int | None:
        """Raises: errors.Unavailable."""
        ...


class Sweeper:
    """Owns one task."""

    def __init__(self, store: ReadStore, readers: Executor, gate: Gate) -> None:
        self._store = store
        self._readers = readers
        self._gate = gate
        self._task: asyncio.Task[None] | None = None
        self._outage = Outage(
            "messages whose time is over cannot be swept", "messages whose time is over are swept again"
        )

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                swept = await self.sweep()
            except Unavailable as error:
                self._outage.goes_on(error)
                swept = 0
            else:
                self._outage.ends()
            if swept < ROUND:
                await asyncio.sleep(POLL_S)

    async def sweep(self) -> int:
        """One round. Returns how many messages it was about.

        Raises: errors.Unavailable; what is left is found again.
        """
        due = await asyncio.get_running_loop().run_in_executor(self._readers, self._due)
        outcomes = await asyncio.gather(
            *(self._gate.commit(command) for command in due), return_exceptions=True
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return len(due)

    def _due(self) -> Sequence[ExpireMessage]:
        with answering(), self._store.snapshot() as snapshot:
            found = snapshot.due(ROUND)
        return [
            ExpireMessage(UserId(sender), NO_DEVICE, None, ConvId(conv), "", "recalled", message_id)
            for conv, message_id, sender in found
        ]
