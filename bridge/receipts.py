"""Tells others how far somebody has come, and writes down what has been delivered: a step now and then, in bounds.

Nothing of it happens for each message. Whatever devices acknowledge gathers here by user; a step looks through what
that is in a reader's thread, and has the marks written along with some batch. Marks that moved, here or by reading,
gather again, each member of a conversation at most once a second, and a step tells those who may know of it. What
is told is read from the database at that moment, so it is the newest, and committed.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import Executor
from itertools import islice
from typing import Protocol, TypeVar

from bridge.commands import Command, MarkDelivered
from bridge.outage import Outage
from bridge.ports import Outbound
from bridge.receipt_rules import Circle, told
from bridge.store.failures import answering
from bridge.store.live_store import Arrivals
from pabal import topics
from pabal.errors import PabalError, Unavailable
from pabal.ids import ConvId, UserId
from pabal.receipts import Coalescer

logger = logging.getLogger("pabal.bridge")

EVERY_S = 1.0
# How often it is looked whether anything is due, while something waits; and how soon again when there was more than
# one step takes.
STEP_S = 0.2
NEXT_STEP_S = 0.05
# Of one step: marks that are told; and once a second: users whose inboxes are looked through. Few large ones touch
# fewer pages of the database than many small ones.
MARKS_AT_ONCE = 500
USERS_AT_ONCE = 1_000
# After so many publishes others have a turn, and then a pause: ten thousand a second at most.
PUBLISHES_AT_ONCE = 100
PAUSE_S = 0.01
# After a failure of the database.
RETRY_S = 1.0

Key = tuple[ConvId, UserId]
T = TypeVar("T")


class Store(Protocol):
    """`bridge.store.live_store.LiveStore`. Blocks; called in readers' threads."""

    def arrivals(self, reached: Sequence[tuple[UserId, int]]) -> Arrivals: ...

    def behind(self) -> list[tuple[UserId, int]]: ...

    def circle(self, keys: Sequence[Key]) -> Circle: ...


class Receipts:
    """Lives in the event loop's thread. `arrived` and `moved` never block and never raise."""

    def __init__(
        self,
        store: Store,
        readers: Executor,
        *,
        now_ms: Callable[[], int],
        every_s: float = EVERY_S,
        clock: Callable[[], float] | None = None,
    ) -> None:
        """`clock` tells seconds and does not go back; None: that of the event loop."""
        self._store = store
        self._readers = readers
        self._now_ms = now_ms
        self._clock = clock
        self._reached: dict[UserId, int] = {}
        self._every_s = every_s
        self._write_at = 0.0
        self._marks: Coalescer[Key] = Coalescer(every_s)
        self._step_s = min(STEP_S, every_s)
        self._caught_up = False
        self._outage = Outage("receipts wait", "receipts go on")
        self._failed = False
        self._something = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self, outbound: Outbound, commit: Callable[[Command], Awaitable[object]]) -> None:
        """Call in the event loop. `commit` writes in the next batch and returns after it."""
        self._task = asyncio.get_running_loop().create_task(self._run(outbound, commit))

    async def stop(self) -> None:
        """What was not written down yet is found again at the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def arrived(self, user: UserId, seq: int) -> None:
        """A device of this user has everything up to there."""
        if seq > self._reached.get(user, 0):
            self._reached[user] = seq
            self._something.set()

    def moved(self, marks: Iterable[tuple[Key, int]]) -> None:
        """Others may be told of these marks. What moved is as in `pabal.receipts`."""
        for key, what in marks:
            self._marks.note(key, what)
        self._something.set()

    async def _run(self, outbound: Outbound, commit: Callable[[Command], Awaitable[object]]) -> None:
        while True:
            self._failed = False
            if not self._caught_up:
                await self._guarded(self._catch_up())
            elif not self._reached and not self._marks:
                self._something.clear()
                await self._something.wait()
            await self._guarded(self._write_down(commit))
            is_more = await self._guarded(self._tell(outbound))
            if not self._failed:
                self._outage.ends()
            await asyncio.sleep(min(NEXT_STEP_S, self._step_s) if is_more else self._step_s)

    async def _guarded(self, step: Awaitable[bool]) -> bool:
        """Whether the step left something that is due. What a database does not answer now is not lost, only later;
        a bug ends one step, and not all of them.
        """
        try:
            return await step
        except PabalError as error:
            self._failed = True
            self._outage.goes_on(error)
            await asyncio.sleep(RETRY_S)
        except Exception:
            logger.exception("a step of telling receipts failed")
            await asyncio.sleep(RETRY_S)
        return False

    async def _catch_up(self) -> bool:
        for user, seq in await self._read(self._store.behind):
            self.arrived(user, seq)
        self._caught_up = True
        return False

    async def _write_down(self, commit: Callable[[Command], Awaitable[object]]) -> bool:
        now = self._now()
        if not self._reached or now < self._write_at:
            return False
        self._write_at = now + self._every_s
        # Those first who wait the longest.
        reached = list(islice(self._reached.items(), USERS_AT_ONCE))
        for user, _seq in reached:
            del self._reached[user]
        try:
            found = await self._read(self._store.arrivals, reached)
            if found.upto:
                await commit(MarkDelivered(found.marks, found.upto))
        except Unavailable:
            for user, seq in reached:
                self.arrived(user, seq)
            raise
        for user, seq in found.behind:
            self.arrived(user, seq)
        return False

    async def _tell(self, outbound: Outbound) -> bool:
        due = dict(self._marks.due(self._now(), MARKS_AT_ONCE))
        if not due:
            return False
        try:
            circle = await self._read(self._store.circle, list(due))
        except Unavailable:
            self.moved(due.items())
            raise
        published = 0
        for mark, payloads in told(circle, due, self._now_ms()):
            for user, payload in payloads:
                outbound.publish(topics.live(user), payload, 0)
                published += 1
                if published % PUBLISHES_AT_ONCE == 0:
                    await asyncio.sleep(PAUSE_S)
            # From here on it counts: the pauses must not bring two of them closer together.
            self._marks.told((mark.conv, mark.user), self._now())
        return len(due) == MARKS_AT_ONCE

    async def _read(self, call: Callable[..., T], *arguments: object) -> T:
        def answered() -> T:
            with answering():
                return call(*arguments)

        return await asyncio.get_running_loop().run_in_executor(self._readers, answered)

    def _now(self) -> float:
        return asyncio.get_running_loop().time() if self._clock is None else self._clock()
