"""Takes away what deleted accounts wrote, in small steps beside everything else; and events that are too old.

An account that is deleted is `deleting` until nothing of it is left, and only then `deleted`: whatever ends a server
in between, the next one begins again, and finds done what was done. Every step is a command to the committer, one at
a time, so that a batch carries at most one of them.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Executor
from functools import partial
from typing import TypeVar

from bridge.commands import (
    Command,
    DropMember,
    EndErasure,
    EraseContacts,
    EraseEntries,
    EraseInbox,
    ForgetEvents,
    ForgetPushes,
)
from bridge.outage import Outage
from bridge.ports import Outbound
from bridge.store.failures import answering
from bridge.store.read_store import ReadStore, Snapshot
from pabal.errors import Unavailable
from pabal.ids import ConvId, UserId, is_direct

T = TypeVar("T")
logger = logging.getLogger("pabal.bridge")

# Entries of a conversation, updates of an inbox or events in one step: some milliseconds.
ENTRIES = 500
PAGE = 200
# Each of them may have a long inbox to look through.
CONTACTS = 5
# After a failure it is tried again, and old events are looked for.
AGAIN_S = 1.0
ROUND_S = 3600.0


class Eraser:
    """Owns one task. `events_since` tells from when on events are kept, in milliseconds since 1970; `pushes_since`
    likewise what became of pushes, and since when a push may be due that nobody has sent.
    """

    def __init__(
        self,
        commit: Callable[[Command], Awaitable[int | None]],
        store: ReadStore,
        readers: Executor,
        outbound: Outbound,
        *,
        events_since: Callable[[], int],
        pushes_since: Callable[[], tuple[int, int]],
    ) -> None:
        self._commit = commit
        self._store = store
        self._readers = readers
        self._outbound = outbound
        self._events_since = events_since
        self._pushes_since = pushes_since
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._outage = Outage(
            "deleted accounts cannot be cleared away", "deleted accounts are cleared away again"
        )

    def start(self) -> None:
        """What a server before has left undone is done first."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """At a step; the next server goes on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def wake(self) -> None:
        """An account was deleted."""
        self._woken.set()

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            try:
                for user in await self._read(lambda snapshot: snapshot.deleting()):
                    await self._erase(user)
                await self._forget_events()
                await self._forget_pushes()
            except Unavailable as error:
                self._outage.goes_on(error)
                await asyncio.sleep(AGAIN_S)
                continue
            self._outage.ends()
            try:
                async with asyncio.timeout(ROUND_S):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def _erase(self, user: UserId) -> None:
        """Raises: Unavailable, and then it has to be begun again."""
        # The server that was told of the deletion may have ended before it did this.
        self._outbound.forget(user, None)
        # A batch that still found the account active is committed before this one, and then looked through as well.
        await self._commit(EraseContacts(user, ()))
        after = ""
        while page := await self._read(partial(_conversations, user, after)):
            for conv, present, head in page:
                if present and not is_direct(conv):
                    await self._commit(DropMember(user, conv))
                for begin in windows(head):
                    await self._commit(EraseEntries(user, conv, begin, begin + ENTRIES))
            after = page[-1][0]
        met = await self._read(lambda snapshot: sorted(snapshot.acquaintances(user)))
        for first in range(0, len(met), CONTACTS):
            await self._commit(EraseContacts(user, met[first : first + CONTACTS]))
        while await self._commit(EraseInbox(user, ENTRIES)):
            pass
        await self._commit(EndErasure(user))
        logger.info("what %s wrote is gone", user)

    async def _forget_events(self) -> None:
        """Raises: Unavailable."""
        since = self._events_since()
        oldest = await self._read(lambda snapshot: snapshot.oldest_event())
        if oldest is not None and oldest < since:
            while await self._commit(ForgetEvents(since, ENTRIES)):
                pass

    async def _forget_pushes(self) -> None:
        """Raises: Unavailable."""
        done_since, due_since = self._pushes_since()
        oldest = await self._read(lambda snapshot: snapshot.oldest_push())
        if oldest is not None and oldest < max(done_since, due_since):
            while await self._commit(ForgetPushes(done_since, due_since, ENTRIES)):
                pass

    async def _read(self, look: Callable[[Snapshot], T]) -> T:
        def read() -> T:
            with answering(), self._store.snapshot() as snapshot:
                return look(snapshot)

        return await asyncio.get_running_loop().run_in_executor(self._readers, read)


def windows(head: int) -> Iterator[int]:
    """The numbers above which each step begins, until all entries up to `head` are done."""
    yield from range(0, head, ENTRIES)


def _conversations(user: UserId, after: str, snapshot: Snapshot) -> list[tuple[ConvId, bool, int]]:
    return snapshot.ever_mine(user, after, PAGE)
