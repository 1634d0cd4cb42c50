"""The loop's side of the bridge: gathers what arrives into batches, and answers after their commit.

Persist, then acknowledge, then fan out. All methods run in the event loop's thread; the committer works in
its own, and reads run in a small pool. One device's requests are answered in order: while a read of it is
under way, what follows from the same device waits in its lane.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial

import msgspec

from bridge.announcer import Announcer
from bridge.backplane.bells import NULL_BELL, Bell
from bridge.commands import Command
from bridge.committer import Committer, Store
from bridge.gathering import Gathering, is_mark
from bridge.jobs import Job, Packet, Upkeep
from bridge.lanes import Lanes
from bridge.live import NULL_LIVE, Live
from bridge.ports import Courier, Outbound, Source, Ticket
from bridge.push_commands import NoTargets, PushTargets
from bridge.reads import Reads
from bridge.requests import (
    SMALL,
    command_of,
    no_collecting,
    op_of,
    read,
    read_one,
    reads_only,
    right_refusal,
)
from bridge.store.failures import LeaseLost
from bridge.store.faults import NO_FAULTS, Faults
from bridge.store.relay_store import Batch, Committed
from bridge.tracing import NO_TRACING, Followed, Tracing, entry_of, traces_of
from pabal import codec, topics
from pabal import messages as m
from pabal.codec import Format, Rejected
from pabal.errors import BadRequest, PabalError, RateLimited, Unavailable
from pabal.ids import DeviceId, UserId, parse_device, parse_user
from pabal.ratelimit import RateLimiter
from pabal.trace import Trace
from pabal.trace import parse as parse_trace

logger = logging.getLogger("pabal.bridge")

MAX_BATCH = 256
MAX_WAITING = 20_000
RETRY_AFTER_S = 1
HOUSEKEEPING_S = 0.5
# A batch that takes longer than this is held by a database that does not answer, or its outcome is not known. It
# is waited for; what stands behind it is not.
STALLED_S = 5.0

_service = msgspec.json.Decoder(m.ServiceRequest)
# What a job holds once its command is made, instead of the request with its body of whatever size.
_WRITE = m.Ack(seq=0)


class Relay:
    """`bridge.ports.Inbound`, and the gate through which everything is committed."""

    def __init__(
        self,
        store: Store,
        reads: Reads,
        readers: Executor,
        *,
        limiter: RateLimiter | None,
        max_waiting: int = MAX_WAITING,
        max_batch: int = MAX_BATCH,
        on_lost: Callable[[], None] | None = None,
        stalled_s: float = STALLED_S,
        faults: Faults = NO_FAULTS,
        live: Live = NULL_LIVE,
        tracing: Tracing = NO_TRACING,
        targets: PushTargets | None = None,
        on_pushed: Callable[[], None] = lambda: None,
        bell: Bell = NULL_BELL,
    ) -> None:
        """`live` is told what others may hear that is kept nowhere; `bell` wakes other processes. `targets` says what push
        services take; `on_pushed` is called, in the loop, when there may be pushes to be sent. `on_lost` is called, in the loop, when another
        server has taken the database over: nothing is committed here any more.
        """
        self._reads = reads
        self._readers = readers
        self._limiter = limiter
        self._max_waiting = max_waiting
        self._max_batch = max_batch
        self._faults = faults
        self._live = live
        self._tracing = tracing
        self._targets = targets or NoTargets()
        self._announcer = Announcer(live, bell, on_pushed, faults)
        self._committer = Committer(store, self._finished_in_thread)
        self.figures = self._committer.figures
        self._waiting: deque[Job | Upkeep] = deque()
        self._in_flight: list[Job | Upkeep] = []
        self._lanes = Lanes()
        self._gathering = Gathering()
        self._positions: dict[str, tuple[UserId, str, int]] = {}
        self._published_upto = 0
        self._busy = False
        self._busy_since = 0.0
        self._handed_ns = 0
        self._stalled_s = stalled_s
        self._stopping = False
        self._on_lost = on_lost
        self._lost = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._read_tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._housekeeper: asyncio.TimerHandle | None = None

    def start(self, outbound: Outbound, courier: Courier | None = None) -> None:
        """Call in the event loop, before the broker accepts anybody. With a courier, it tells what is `published`."""
        self._announcer.start(outbound, courier)
        self._loop = asyncio.get_running_loop()
        self._committer.start()
        self._housekeeper = self._loop.call_later(HOUSEKEEPING_S, self._keep_house)

    async def stop(self, timeout_s: float = 10.0) -> None:
        """Commit and answer what was taken, then end. New requests are refused as `unavailable`."""
        self._stopping = True
        if self._housekeeper is not None:
            self._housekeeper.cancel()
        try:
            async with asyncio.timeout(timeout_s):
                while self._anything_left():
                    self._begin_batch()
                    await self._idle.wait()
                    await asyncio.gather(*self._read_tasks, return_exceptions=True)
        except TimeoutError:
            logger.error("stopped before everything was answered; devices will send it again")
        if not await asyncio.to_thread(self._committer.stop, timeout_s):
            logger.error("the database did not finish the last transaction in time")

    def _anything_left(self) -> bool:
        return not self._lost and bool(
            self._busy or self._waiting or self._read_tasks or self._positions or self._published_upto
        )

    def published(self, upto: int) -> None:
        """The broker has the updates of every batch up to this one; the outbox may forget them."""
        self._published_upto = max(self._published_upto, upto)

    # -- requests ------------------------------------------------------------------------------------------

    def submit(
        self, source: Source, payload: bytes, form: Format, ticket: Ticket, trace: Trace | None = None
    ) -> None:
        if len(payload) <= SMALL:
            self._submit(source, payload, form, ticket, trace)
            return
        with no_collecting():
            self._submit(source, payload, form, ticket, trace)

    def _submit(
        self, source: Source, payload: bytes, form: Format, ticket: Ticket, trace: Trace | None
    ) -> None:
        topic = topics.down(source.user, source.device)
        reply = partial(self._announcer.reply_down, topic, form, None if trace is None else str(trace))
        parts = codec.split_requests(payload, form)
        if isinstance(parts, Rejected):
            self._take(source, parts, self._admission(source), Packet(ticket, 1), reply)
            return
        packet = Packet(ticket, len(parts))
        for part in parts:
            # Reading a request costs more than refusing it, and one of 20,000 empty arrays as much memory as
            # all others together: so the limits come first, and each is let go before the next is read.
            refusal = self._admission(source)
            answer, followed = reply, None
            if trace is not None or self._tracing.every:
                followed = self._tracing.follow(trace)
                if followed is not None:
                    answer = partial(self._announcer.reply_down, topic, form, followed.header)
            self._take(source, read_one(part, form, refusal), refusal, packet, answer, followed)

    def submit_service(self, instance: str, payload: bytes, ticket: Ticket) -> None:
        try:
            asked = _service.decode(payload)
            # The service has looked at the rights of the credential that it acts for.
            source = Source(parse_user(asked.as_.user), parse_device(asked.as_.device))
        except (msgspec.DecodeError, UnicodeDecodeError, BadRequest) as error:
            logger.error("service %s sent what cannot be read: %s", instance, error)
            ticket.settle(True)
            return
        request = codec.decode_request(bytes(asked.request))
        reply = partial(self._announcer.reply_service, topics.service_down(instance), asked.ref)
        brought = None if asked.traceparent is None else parse_trace(asked.traceparent)
        # The service gives one to its requests that have none.
        followed = None if brought is None else self._tracing.follow(brought)
        self._take(source, request, self._admission(source), Packet(ticket, 1), reply, followed)

    def _take(
        self,
        source: Source,
        request: m.AnyRequest | Rejected,
        refusal: PabalError | None,
        packet: Packet,
        reply: Callable[[bytes], None],
        followed: Followed | None = None,
    ) -> None:
        if followed is not None:
            followed.about.update(op=op_of(request), user=source.user, device=source.device)
        if isinstance(request, Rejected):
            is_told = refusal is None
            job = Job(
                source,
                refusal or request.error,
                request.re,
                packet,
                reply,
                followed=followed,
                is_told=is_told,
            )
            if refusal is None:
                packet.ticket.offend()
        else:
            refusal = refusal or right_refusal(source, request)
            job = Job(source, refusal or request, request.id, packet, reply, followed=followed)
        if not self._lanes.joins(job):
            self._enter(job)

    def _admission(self, source: Source) -> PabalError | None:
        if self._stopping or self._lost:
            return Unavailable("the server is stopping", retry_after=RETRY_AFTER_S)
        if self._is_stalled():
            return Unavailable("the database does not answer", retry_after=RETRY_AFTER_S)
        if len(self._waiting) + self._lanes.waiting >= self._max_waiting:
            return Unavailable("too much is waiting for the database", retry_after=RETRY_AFTER_S)
        if self._limiter is not None and self._loop is not None:
            wait_s = self._limiter.take(source.user, self._loop.time())
            if wait_s > 0:
                return RateLimited("too many requests", retry_after=max(1, round(wait_s + 0.5)))
        return None

    def _enter(self, job: Job) -> None:
        """Into the next batch; a read opens a lane, so that what its device sends later waits for it."""
        request = job.request
        if reads_only(request) or isinstance(request, m.Typing):
            self._lanes.open(job.source)
        elif not isinstance(request, PabalError):
            try:
                job.command = command_of(job.source, request, self._targets)
                job.request = _WRITE
            except PabalError as refusal:
                job.request = refusal
        if job.command is None and self._needs_no_batch(job):
            self._answer(job, None)
            return
        self._waiting.append(job)
        if is_mark(job):
            self._gather(job)
        else:
            self._begin_batch()

    def _needs_no_batch(self, job: Job) -> bool:
        """Whether nothing has to be committed before it: it may have to see what its device just wrote, and a refusal
        is in order with that too, unless too much waits already.
        """
        if isinstance(job.request, PabalError) and len(self._waiting) >= 2 * self._max_waiting:
            return True
        if self._gathering.is_on:
            return not self._gathering.has(job.source)
        return not self._busy and not self._waiting

    # -- batches -------------------------------------------------------------------------------------------

    def _begin_batch(self) -> None:
        if self._busy or self._lost or not (self._waiting or self._positions or self._published_upto):
            return
        self._gathering.end()
        self._busy = True
        self._busy_since = self._running_loop.time()
        self._idle.clear()
        # Whatever else arrives in this turn of the loop belongs to the same transaction.
        self._running_loop.call_soon(self._hand_over)

    def _gather(self, mark: Job) -> None:
        """Wait a moment for others like it, unless there are many already, or a batch is under way."""
        if len(self._waiting) >= self._max_batch:
            self._begin_batch()
        elif not self._busy and not self._lost:
            self._gathering.add(mark.source, self._running_loop, self._begin_batch)

    def _hand_over(self) -> None:
        waiting = self._waiting
        if len(waiting) <= self._max_batch:
            batch = list(waiting)
            waiting.clear()
        else:
            batch = [waiting.popleft() for _ in range(self._max_batch)]
        self._in_flight = batch
        self._busy_since = self._running_loop.time()
        self._handed_ns = self._tracing.now_ns()
        commands = [entry.command for entry in batch if entry.command is not None]
        traces = traces_of(entry.followed for entry in batch if entry.command is not None)
        positions, self._positions = self._positions, {}
        upto, self._published_upto = self._published_upto, 0
        self._committer.submit(Batch(commands, positions, upto, traces))

    def _finished_in_thread(self, batch: Batch, result: Committed | PabalError) -> None:
        self._running_loop.call_soon_threadsafe(self._finished, batch, result)

    def _finished(self, batch: Batch, result: Committed | PabalError) -> None:
        jobs, self._in_flight = self._in_flight, []
        self._busy = False
        followed = [job.followed for job in jobs if job.followed is not None]
        committed_ns, handed_ns = self._tracing.now_ns(), self._handed_ns
        if isinstance(result, LeaseLost):
            self.lose()
        elif isinstance(result, PabalError):
            self._restore(batch)
        # What stood behind this batch alone is answered after it, and needs none of its own.
        while self._waiting and self._waiting[0].command is None:
            jobs.append(self._waiting.popleft())
        # The committer has its next batch before this one is told to anybody.
        self._begin_now()
        self._faults.reach("before_reply")
        if isinstance(result, PabalError):
            for job in jobs:
                self._answer(job, None if job.command is None else result)
        else:
            outcomes = iter(result.outcomes)
            for job in jobs:
                self._answer(job, None if job.command is None else next(outcomes))
            replied_ns = self._tracing.now_ns()
            if self._announcer.committed(result):
                self._published_upto = result.batch_id
            for one in followed:
                self._tracing.step(one, "commit", handed_ns, committed_ns, batch=len(batch.commands))
                self._tracing.step(one, "fan out", replied_ns, self._tracing.now_ns())
        if not self._busy:
            self._idle.set()

    def _begin_now(self) -> None:
        if self._lost or not self._waiting:
            return
        if len(self._waiting) < self._max_batch and all(map(is_mark, self._waiting)):
            for mark in filter(is_mark, self._waiting):
                self._gather(mark)
        else:
            self._busy = True
            self._hand_over()

    def _restore(self, batch: Batch) -> None:
        """What belongs to no request is kept for the next batch."""
        self._positions = {**batch.positions, **self._positions}
        self._published_upto = max(self._published_upto, batch.published_upto)

    def lose(self) -> None:
        """Another server has taken the database over: commit nothing more, and refuse what comes. Whatever is
        being committed at this moment is refused by the database.
        """
        if self._lost:
            return
        self._lost = True
        self._refuse_waiting(Unavailable("the server is stopping", retry_after=RETRY_AFTER_S))
        if self._on_lost is not None:
            self._on_lost()

    def _is_stalled(self) -> bool:
        return self._busy and self._running_loop.time() - self._busy_since > self._stalled_s

    def _refuse_waiting(self, refusal: Unavailable) -> None:
        """Nothing of it was begun, so that it is true that nothing was kept."""
        self._gathering.end()
        waiting, self._waiting = self._waiting, deque()
        for job in waiting:
            self._answer(job, refusal)

    def _answer(self, job: Job | Upkeep, outcome: bytes | PabalError | int | None) -> None:
        if isinstance(job, Upkeep):
            if not job.future.done():
                if isinstance(outcome, PabalError):
                    job.future.set_exception(outcome)
                else:
                    job.future.set_result(outcome if isinstance(outcome, int) else None)
        elif isinstance(job.request, PabalError):
            self._finish(job, job.request)
        elif job.command is None:
            self._begin_read(job)
        elif isinstance(outcome, PabalError):
            self._finish(job, outcome)
        else:
            if isinstance(outcome, bytes):
                job.reply(outcome)
            if job.followed is not None:
                self._tell_done(job.followed, outcome)
            self.figures.accepted += 1
            job.packet.done(kept=True)

    def _tell_done(self, followed: Followed, reply: bytes | int | None = None) -> None:
        if isinstance(reply, bytes):
            followed.about.update(entry_of(reply))
        self._tracing.done(followed, "request")

    def _finish(self, job: Job, refusal: PabalError) -> None:
        self.figures.refuse(refusal.code)
        if job.followed is not None:
            self._tracing.done(job.followed, "request", refusal.code)
        if job.request_id is not None or job.is_told:
            job.reply(codec.encode(codec.refusal(job.request_id, refusal)))
        job.packet.done(kept=job.request_id is not None or not isinstance(refusal, Unavailable))

    # -- reads ---------------------------------------------------------------------------------------------

    def _begin_read(self, job: Job) -> None:
        task = self._running_loop.create_task(self._read(job))
        self._read_tasks.add(task)
        task.add_done_callback(self._read_tasks.discard)

    async def _read(self, job: Job) -> None:
        try:
            if isinstance(job.request, m.Typing):
                await self._live.typing(job.source, job.request)
                if job.request_id is not None:
                    job.reply(codec.encode(m.Done(re=job.request_id)))
            elif job.request_id is not None:  # without an id nobody would hear the answer
                call = partial(read, self._reads, job.source, job.request)
                job.reply(await self._running_loop.run_in_executor(self._readers, call))
            if job.followed is not None:
                self._tell_done(job.followed)
            job.packet.done(kept=True)
        except PabalError as refusal:
            self._finish(job, refusal)
        except Exception:
            logger.exception("a %s request failed", type(job.request).__name__)
            self._finish(job, Unavailable("this request could not be processed", retry_after=60))
        finally:
            self._leave_lane(job.source)

    def _leave_lane(self, source: Source) -> None:
        for job in self._lanes.close(source):
            # The first read among them opens the lane again, for all that come after it.
            if not self._lanes.joins(job):
                self._enter(job)

    # -- upkeep --------------------------------------------------------------------------------------------

    async def commit(self, command: Command) -> int | None:
        """Write broker state in the next batch; returns after its commit.

        Raises: errors.Unavailable if the database does not take it.
        """
        if self._lost:
            raise Unavailable("the server is stopping", retry_after=RETRY_AFTER_S)
        if len(self._waiting) >= 2 * self._max_waiting:
            raise Unavailable("too much is waiting for the database", retry_after=RETRY_AFTER_S)
        future: asyncio.Future[int | None] = self._running_loop.create_future()
        self._waiting.append(Upkeep(command, future))
        self._begin_batch()
        return await future

    def moved(self, client_id: str, user: UserId, device: DeviceId, position: int) -> None:
        self._positions[client_id] = (user, device, position)
        self._live.arrived(user, position)

    def arrived(self, user: UserId, position: int) -> None:
        """As `bridge.ports.SessionStore`: for receipts alone."""
        self._live.arrived(user, position)

    def _keep_house(self) -> None:
        """Positions and the outbox are written along with the next batch, or here when none comes."""
        loop = self._running_loop
        self._housekeeper = loop.call_later(HOUSEKEEPING_S, self._keep_house)
        if self._is_stalled():
            self._refuse_waiting(Unavailable("the database does not answer", retry_after=RETRY_AFTER_S))
        self._begin_batch()

    @property
    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise AssertionError("the relay was not started")
        return self._loop
