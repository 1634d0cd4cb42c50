"""Has pushes sent: leases lanes, marks a job before its service is called, and writes down what came of it.

A lane is one device. One worker has it at a time, for as long as its lease, and sends one job of it at a time: so
order per device holds, and no two workers send one job. A job that was being sent when its worker died may have
been sent or not. It is not sent again: a push is a hint, the next one or the app's own sync covers it, and to be
told twice is worse (docs/decisions/pushes-in-doubt.md). All else that the dead worker had goes on with another one
when its leases are over.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, TypeVar

from bridge.outage import Outage
from bridge.push.busy import Busy, Full, Limits
from bridge.push.figures import PushFigures
from bridge.push.jobs import Drop, JobKey, Known, Lane, Result, Start, Taken, Waiting
from bridge.push.lookout import Lookout
from bridge.push.policy import MinuteOf, decide, result_of
from bridge.push.ports import Gone, Outcome, PushService, Refused, Sent, SubscribeAgain, TryLater
from bridge.push.zones import minute_of_day
from bridge.tracing import NO_TRACING, Tracing, saying
from pabal.errors import Unavailable
from pabal.ids import ConvId
from pabal.trace import Trace

T = TypeVar("T")
logger = logging.getLogger("pabal.push")

POLL_S = 0.25
# While the database does not answer.
AGAIN_S = 1.0
# A service bounds its own tries; whatever it does, this is the end of them.
SEND_S = 30.0
# What a worker that died had waits for so long. One that lives renews its leases after a third of it.
LEASE_S = 20.0
# Lanes in one transaction.
STEP = 100
# Of what waits so many rows are looked at.
LOOK = 400


class JobStore(Protocol):
    """The database's side. Every method is one short transaction, and may be called again after Unavailable.

    Raises (each of them): errors.Unavailable.
    """

    def waiting(
        self, now: int, limit: int, services: Collection[str], hosts: Collection[str]
    ) -> list[Waiting]:
        """Lanes in which something is due and that nobody has; those that wait for longest first, and none of these
        services and hosts. A lane may come several times.
        """
        ...

    def take(self, lanes: Sequence[Lane], worker: str, now: int, until: int) -> list[Taken]:
        """Lease those in which something is due and that nobody has meanwhile. What a worker before was sending in them is in doubt from now on."""
        ...

    def known(self, taken: Sequence[Taken], now: int) -> dict[Lane, Known]: ...

    def followed(self, messages: Collection[tuple[ConvId, int]]) -> Mapping[tuple[str, int], Trace]:
        """The trace contexts of those whose requests are followed."""
        ...

    def begin(
        self, worker: str, starts: Sequence[Start], drops: Sequence[Drop], idle: Sequence[Lane], now: int
    ) -> set[JobKey]:
        """Drop jobs, give the idle lanes back, and mark the jobs to be sent. Returns those that may be sent: a lane
        whose lease was over meanwhile is somebody else's.
        """
        ...

    def renew(self, lanes: Sequence[Lane], worker: str, now: int, until: int) -> None:
        """Lengthen the leases of this worker that are not over yet."""
        ...

    def finish(self, worker: str, results: Sequence[Result], now: int) -> None:
        """Write down what came of tries, and give their lanes back."""
        ...


@dataclass(slots=True)
class _Try:
    """One that is under way."""

    lane: Lane
    service: str
    host: str
    leased_until: int


class Worker:
    """Owns its tasks and one thread for the database. Several may work on one database, in one process or in many."""

    def __init__(
        self,
        store: JobStore,
        services: Mapping[str, PushService],
        *,
        name: str,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        limits: Limits | None = None,
        chance: Callable[[], float] = random.random,
        minute_of: MinuteOf = minute_of_day,
        poll_s: float = POLL_S,
        lease_s: float = LEASE_S,
        send_s: float = SEND_S,
        tracing: Tracing = NO_TRACING,
        leaves: Collection[str] = (),
    ) -> None:
        """`name` is this worker's alone, also among those of other processes. The services and the store stay the
        caller's. `send_s` bounds a try. `leaves` are services whose jobs wait for another worker; those of any other
        that is not among `services` are dead letters.
        """
        self._store = store
        self._services = services
        self._name = name
        self._now_ms = now_ms
        self._limits = limits or Limits()
        self._chance = chance
        self._minute_of = minute_of
        self._poll_s = poll_s
        self._lease_ms = round(lease_s * 1000)
        self._send_s = send_s
        self._tracing = tracing
        self._leaves = frozenset(leaves)
        self.figures = PushFigures()
        self._sending: dict[asyncio.Task[None], _Try] = {}
        self._lookout = Lookout(poll_s)
        self._results: list[Result] = []
        self._woken = asyncio.Event()
        self._stopping = False
        self._outage = Outage("pushes wait for the database", "pushes go on", logger)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread: ThreadPoolExecutor | None = None

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="push")
        self._task = self._loop.create_task(self._run())

    async def stop(self, timeout_s: float = 10.0) -> None:
        """Take nothing more, let what is under way come to its end and be written down. What is not within the time
        is in doubt.
        """
        self._stopping = True
        self._woken.set()
        if self._task is None or self._thread is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._task
        left = [*self._sending, self._task]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        self._thread.shutdown(wait=False)

    def wake(self) -> None:
        """Something may be due. From any thread, at any time."""
        self._lookout.look_again()
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed already
                self._loop.call_soon_threadsafe(self._woken.set)

    # -- the turns

    async def _run(self) -> None:
        while True:
            pause_s = self._poll_s
            try:
                if await self._turn():
                    pause_s = 0.0
            except Unavailable as error:
                self._outage.goes_on(error)
                pause_s = AGAIN_S
            except Exception:
                logger.exception("a turn of the push worker failed")
                pause_s = AGAIN_S
            else:
                self._outage.ends()
            if self._stopping and not self._sending and not self._results:
                return
            await self._pause(pause_s)

    async def _pause(self, pause_s: float) -> None:
        """Until there is something to do, or to look for. After a failure for the whole of the time."""
        if pause_s == AGAIN_S and not self._stopping:
            await asyncio.sleep(pause_s)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._woken.wait()

    async def _turn(self) -> bool:
        """Returns whether there may be more to do at once. Raises: Unavailable."""
        self._woken.clear()
        await self._write_down()
        await self._renew()
        if self._stopping:
            return False
        room = min(STEP, self._limits.in_flight - len(self._sending))
        if room <= 0:
            return False
        busy = Busy(self._limits, ((one.service, one.host) for one in self._sending.values()))
        lanes = self._lookout.choose(busy, room, time.monotonic())
        looked = not lanes
        if not lanes:
            await self._look(busy.full())
            lanes = self._lookout.choose(busy, room, time.monotonic())
        if not lanes:
            return False
        if await self._send_some(lanes):
            return True
        # Others were there first.
        self._lookout.forget_lanes()
        return not looked

    async def _renew(self) -> None:
        """The leases of tries that take long. Raises: Unavailable."""
        now = self._now_ms()
        until = now + self._lease_ms
        old = [one for one in self._sending.values() if one.leased_until - now < self._lease_ms * 2 / 3]
        if old:
            lanes = [one.lane for one in old]
            await self._in_thread(lambda: self._store.renew(lanes, self._name, now, until))
        for one in old:
            one.leased_until = until

    async def _look(self, full: Full) -> None:
        """For lanes for which there is room. Raises: Unavailable."""
        now = time.monotonic()
        if not self._lookout.needs_look(full, now):
            return
        waiting = await self._in_thread(
            lambda: self._store.waiting(self._now_ms(), LOOK, full.services | self._leaves, full.hosts)
        )
        self._lookout.saw(waiting, full, now)

    async def _send_some(self, lanes: Sequence[Lane]) -> bool:
        """Returns whether any of them could be had. Raises: Unavailable; what was leased is free again when the lease
        is over.
        """
        now = self._now_ms()
        taken, known = await self._in_thread(lambda: self._take(lanes, now))
        if not taken:
            return False
        drops: list[Drop] = []
        starts: list[Start] = []
        idle: list[Lane] = []
        for one in taken:
            dropped, start = decide(one, known[one.lane], now, self._minute_of)
            drops += dropped
            if start is None:
                idle.append(one.lane)
            else:
                starts.append(start)
        traces = await self._traces(starts)
        may = await self._in_thread(
            lambda: self._store.begin(self._name, starts, drops, idle, self._now_ms())
        )
        self.figures.dropped.update(drop.reason if not drop.is_dead else "too late" for drop in drops)
        for start in starts:
            if start.job.key in may:
                trace = traces.get((start.job.conv or "", start.job.message_id or 0))
                self._begin(start, trace, now + self._lease_ms)
        return True

    def _take(self, lanes: Sequence[Lane], now: int) -> tuple[list[Taken], dict[Lane, Known]]:
        """In the database's thread. Raises: Unavailable."""
        taken = self._store.take(lanes, self._name, now, now + self._lease_ms)
        return taken, self._store.known(taken, now) if taken else {}

    async def _traces(self, starts: Sequence[Start]) -> Mapping[tuple[str, int], Trace]:
        """Raises: Unavailable."""
        messages = {
            (start.job.conv, start.job.message_id)
            for start in starts
            if start.job.conv is not None and start.job.message_id is not None
        }
        if not messages or not self._tracing.is_on:
            return {}
        return await self._in_thread(lambda: self._store.followed(messages))

    def _begin(self, start: Start, trace: Trace | None, leased_until: int) -> None:
        if self._loop is None:
            raise AssertionError("the worker was not started")
        task = self._loop.create_task(self._try(start, trace))
        taken = start.taken
        self._sending[task] = _Try(taken.lane, taken.subscription.service, taken.host, leased_until)
        self.figures.in_flight = len(self._sending)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._sending[task]
        self.figures.in_flight = len(self._sending)
        self._woken.set()

    async def _try(self, start: Start, trace: Trace | None) -> None:
        subscription, began_ns = start.taken.subscription, self._tracing.now_ns()
        service = self._services.get(subscription.service)
        outcome: Outcome
        if service is None:
            outcome = Refused(f"this server does not offer {subscription.service!r}")
        else:
            try:
                with saying(trace):
                    async with asyncio.timeout(self._send_s):
                        outcome = await service.send(subscription, start.notification)
            except TimeoutError:
                outcome = TryLater(f"no answer within {self._send_s:g} s")
            except Exception as error:
                # Against its word; one device's trouble must not become that of others.
                logger.exception("%s failed", subscription.service)
                outcome = Refused(f"{subscription.service} failed: {type(error).__name__}")
        self._count(subscription.service, outcome)
        result = result_of(start, outcome, self._now_ms(), self._chance)
        if result.state == "dead" and isinstance(outcome, TryLater):
            self.figures.failed[subscription.service, "gave up"] += 1
        self._results.append(result)
        if trace is not None:
            self._tracing.later(
                trace,
                "push",
                began_ns,
                None if isinstance(outcome, Sent) else outcome.reason,
                service=subscription.service,
                user=subscription.user,
                device=subscription.device,
                conv=start.job.conv or "",
                message_id=start.job.message_id or 0,
            )

    def _count(self, service: str, outcome: Outcome) -> None:
        match outcome:
            case Sent():
                self.figures.sent[service] += 1
            case TryLater():
                self.figures.failed[service, "later"] += 1
            case Gone():
                self.figures.failed[service, "gone"] += 1
            case SubscribeAgain():
                self.figures.failed[service, "again"] += 1
            case Refused():
                self.figures.failed[service, "refused"] += 1

    async def _write_down(self) -> None:
        """Raises: Unavailable; then it is tried again with what has come meanwhile."""
        if not self._results:
            return
        results = self._results
        self._results = []
        try:
            await self._in_thread(lambda: self._store.finish(self._name, results, self._now_ms()))
        except BaseException:
            self._results = [*results, *self._results]
            raise

    async def _in_thread(self, call: Callable[[], T]) -> T:
        if self._loop is None or self._thread is None:
            raise AssertionError("the worker was not started")
        return await self._loop.run_in_executor(self._thread, call)
