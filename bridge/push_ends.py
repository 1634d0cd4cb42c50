"""Tells people, in their inboxes, that a push subscription of theirs is no more.

The worker that found it out may be another process, and inboxes have one writer: so it leaves the end in the
subscription, and here the committing process looks for it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor

from bridge.commands import Command
from bridge.outage import Outage
from bridge.push_commands import EndPush
from bridge.store.failures import answering
from bridge.store.push_queries import EndedSubscription
from bridge.store.read_store import ReadStore
from pabal.errors import Unavailable

POLL_S = 0.5
AGAIN_S = 2.0
PAGE = 100


class PushEnds:
    """Owns one task."""

    def __init__(
        self,
        commit: Callable[[Command], Awaitable[int | None]],
        store: ReadStore,
        readers: Executor,
        poll_s: float = POLL_S,
    ) -> None:
        self._commit = commit
        self._store = store
        self._readers = readers
        self._poll_s = poll_s
        self._task: asyncio.Task[None] | None = None
        self._outage = Outage(
            "ends of push subscriptions cannot be told", "ends of push subscriptions are told again"
        )

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                found = await loop.run_in_executor(self._readers, self._untold)
                await asyncio.gather(*(self._commit(_command(one)) for one in found))
            except Unavailable as error:
                self._outage.goes_on(error)
                await asyncio.sleep(AGAIN_S)
            else:
                self._outage.ends()
                await asyncio.sleep(self._poll_s)

    def _untold(self) -> list[EndedSubscription]:
        with answering(), self._store.snapshot() as snapshot:
            return snapshot.pushes.untold(PAGE)


def _command(one: EndedSubscription) -> EndPush:
    return EndPush(
        one.user,
        one.device,
        one.since,
        "push_again" if one.ended == "again" else "push_gone",
        one.service,
        one.reason or "",
    )
