"""Puts the bridge together over one database."""

import asyncio
import logging
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, event

from bridge.backplane.bells import NULL_BELL, Bell
from bridge.backplane.mirror import NULL_MIRROR, Mirror
from bridge.changes import ChangePoller
from bridge.decide import SMALL_LIMIT
from bridge.durable import Inbox, Members, Sessions
from bridge.entries import MAX_MEMBERS
from bridge.eraser import Eraser
from bridge.expiry import Sweeper
from bridge.live import LiveNews
from bridge.outbox import Outbox, unsent
from bridge.ports import Courier, Outbound
from bridge.presence import PresenceDesk, Timers
from bridge.push.making import PushTimes
from bridge.push_commands import PushTargets
from bridge.push_ends import PushEnds
from bridge.reads import Reads
from bridge.receipts import EVERY_S
from bridge.relay import Relay
from bridge.store import meta, schema
from bridge.store.checkpoint import Checkpointer
from bridge.store.engine import open_engine
from bridge.store.failures import answering
from bridge.store.faults import NO_FAULTS, Faults
from bridge.store.lease import Lease, NullLease
from bridge.store.live_store import LiveStore
from bridge.store.read_store import ReadStore
from bridge.store.relay_store import RelayStore
from bridge.store.retention import DAY_MS, Retention
from bridge.store.writer import Writer
from bridge.tracing import NO_TRACING, Tracing
from bridge.witness import Seen, Witness, restored
from pabal.presence import Roster
from pabal.ratelimit import RateLimiter

READERS = 4
# Batches of the outbox that are read at once.
OUTBOX_PAGE = 64
WITNESS_EVERY_S = 5.0
# So long after its time was over a push counts as one that nobody sends.
LATE_MS = 3_600_000
# A transaction of the committer pauses only to decide; a server that is stopped within one must not keep the next
# one out for longer than this.
COMMITTER_IDLE_S = 3
# A message to a group of 100 touches a page of each inbox. With SQLite's own 2 MiB the pages of one batch were written
# out and read again before its COMMIT: 1,700 reads, and a fifth of the committer's time.
COMMITTER_CACHE_KIB = 16 * 1024

logger = logging.getLogger("pabal.bridge")


class Bridge:
    """Everything between a broker and one database.

    `relay`, `inbox`, `members`, `outbox`, `presence` and `sessions` are the ports that a broker is given; `reads`
    serves polling. `generation` rises with each server that has this database.
    """

    def __init__(
        self,
        database_url: str,
        *,
        limiter: RateLimiter | None = None,
        lease: Lease | None = None,
        witness: Path | None = None,
        retention: Retention | None = None,
        small_limit: int = SMALL_LIMIT,
        recall_window_s: int = 0,
        max_members: int = MAX_MEMBERS,
        receipts_every_s: float = EVERY_S,
        readers: int = READERS,
        faults: Faults = NO_FAULTS,
        timers: Timers | None = None,
        tracing: Tracing = NO_TRACING,
        push: PushTimes | None = None,
        push_targets: PushTargets | None = None,
        bell: Bell = NULL_BELL,
        mirror: Mirror = NULL_MIRROR,
    ) -> None:
        """The schema must be current, and `lease` (None: nobody else can write) ours; it stays the caller's. From
        here on no other server can commit. `witness` is the file that remembers what was seen of the database;
        `readers` is how many read at once, each on a connection of its own. `push_targets` says what push services
        take; None: there are none. `bell` and `mirror` are for other processes.

        Raises: schema.SchemaError if it is not; errors.Unavailable if the database cannot be used.
        """
        self._lease = lease or NullLease()
        self._witness = Witness(witness)
        with answering():
            self._writer = open_engine(database_url, pool_size=1, gives_way=True, idle_s=COMMITTER_IDLE_S)
            self._reader = open_engine(database_url, read_only=True, pool_size=readers)
            schema.check_current(self._writer)
            _tune_committer(self._writer)
            begun = begin(self._writer, self._witness)
        self.generation = begun.batch // meta.GENERATION
        self._store = ReadStore(self._reader, faults.now_ms)
        self._executor = ThreadPoolExecutor(readers, thread_name_prefix="reader")
        self._changes: ChangePoller | None = None
        self._eraser: Eraser | None = None
        self._retention = retention or Retention()
        self._push_times = push or PushTimes()
        self._push_ends: PushEnds | None = None
        self._on_pushed: Callable[[], None] = lambda: None
        self._bell = bell
        self._now_ms = faults.now_ms
        self._sweeper: Sweeper | None = None
        self._watching: asyncio.Task[None] | None = None
        self._stopped = False
        self._checkpointer = _checkpointer(self._writer)
        self._lost = asyncio.Event()
        self.roster = Roster()
        self.reads = Reads(self._store, begun.epoch, faults.now_ms, self.roster.state_of)
        self._relay_store = RelayStore(
            Writer(self._writer, self._lease, begun.batch, faults),
            epoch=begun.epoch,
            clock_ms=faults.now_ms,
            retention=retention,
            small_limit=small_limit,
            recall_window_ms=recall_window_s * 1000,
            max_members=max_members,
            faults=faults,
            push=self._push_times,
            reached=self.roster.is_reached,
        )
        self.live = LiveNews(
            LiveStore(self._reader),
            self._executor,
            now_ms=faults.now_ms,
            receipts_every_s=receipts_every_s,
        )
        self.relay = Relay(
            self._relay_store,
            self.reads,
            self._executor,
            limiter=limiter,
            on_lost=self._lost.set,
            faults=faults,
            live=self.live,
            tracing=tracing,
            targets=push_targets,
            on_pushed=self._pushes_made,
            bell=bell,
        )
        self.inbox = Inbox(self.reads, self._executor)
        self.members = Members(self.reads, self._executor)
        self.outbox = Outbox(self._store, self.reads, self._executor)
        self.sessions = Sessions(self.relay, self._store, self._executor)
        self.presence = PresenceDesk(
            self.roster,
            self._store,
            self._executor,
            self.relay,
            now_ms=faults.now_ms,
            timers=timers,
            mirror=mirror,
        )

    async def start(self, outbound: Outbound, courier: Courier | None = None) -> None:
        """Begin to commit, and hand the broker what a crash may have kept from it; a courier finds that itself."""
        loop = asyncio.get_running_loop()

        def lost() -> None:
            loop.call_soon_threadsafe(self.relay.lose)

        self._lease.keep(self.generation, lost)
        if self._checkpointer is not None:
            self._checkpointer.start()
        self.relay.start(outbound, courier)
        if courier is None:
            self.relay.published(republish(self._store, self.reads, outbound))
        self._eraser = Eraser(
            self.relay.commit,
            self._store,
            self._executor,
            outbound,
            events_since=lambda: self._now_ms() - self._retention.events_days * DAY_MS,
            pushes_since=self._pushes_since,
        )
        self.live.start(outbound, self.relay.commit)
        self._changes = ChangePoller(
            self._store, self._executor, outbound, self._eraser.wake, self.live.typists.forget
        )
        await self._changes.start()
        self._sweeper = Sweeper(self._store, self._executor, self.relay)
        self._sweeper.start()
        await self.presence.start(outbound)
        self._eraser.start()
        self._push_ends = PushEnds(self.relay.commit, self._store, self._executor)
        self._push_ends.start()
        self._watching = loop.create_task(self._watch())

    def on_pushed(self, callback: Callable[[], None]) -> None:
        """Have it called, in the loop, when there may be pushes to be sent: a worker in this process need not wait until
        it looks again.
        """
        self._on_pushed = callback

    def _pushes_made(self) -> None:
        self._on_pushed()
        self._bell.pushes()

    def _pushes_since(self) -> tuple[int, int]:
        now = self._now_ms()
        return now - self._retention.pushes_days * DAY_MS, now - self._push_times.ttl_ms - LATE_MS

    def look_for_changes(self) -> None:
        """At once, instead of a moment later; to be called in the loop."""
        if self._changes is not None:
            self._changes.wake()

    async def lost(self) -> None:
        """Returns when another server has taken the database over; then nothing is committed here any more."""
        await self._lost.wait()

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await loop.run_in_executor(self._executor, self._remember)
            await asyncio.sleep(WITNESS_EVERY_S)

    def _remember(self) -> None:
        self._witness.write(Seen(self.reads.epoch, self._relay_store.last_batch))

    async def stop(self) -> None:
        """Drain and close; after the first call there is nothing left to do."""
        if self._stopped:
            return
        self._stopped = True
        if self._changes is not None:
            await self._changes.stop()
        if self._eraser is not None:
            await self._eraser.stop()
        if self._sweeper is not None:
            await self._sweeper.stop()
        if self._push_ends is not None:
            await self._push_ends.stop()
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await self.presence.stop()
        await self.live.stop()
        await self.relay.stop()
        if not self._lost.is_set():
            self._remember()
        self._executor.shutdown()
        if self._checkpointer is not None:
            self._checkpointer.stop()
        self._writer.dispose()
        self._reader.dispose()


def begin(engine: Engine, witness: Witness, *, because: str | None = None) -> meta.Begun:
    """Begin a generation of the database, with a new epoch if it was restored: because an operator says so, or
    the witness does.
    """
    seen = witness.read()
    shared = engine.url.get_backend_name() != "sqlite"

    def decide(now: meta.State) -> str | None:
        return because or restored(seen, now.epoch or "", now.batch, shared=shared)

    begun = meta.begin(engine, decide, lambda: secrets.token_hex(4), floor=0 if seen is None else seen.batch)
    witness.write(Seen(begun.epoch, begun.batch))
    if begun.restored is not None:
        logger.warning("%s: devices start over in the new epoch %s", begun.restored, begun.epoch)
    return begun


def restore(database_url: str, witness: Path, *, because: str) -> str:
    """A new epoch for a database that was restored and that nobody uses. Returns the epoch.

    Raises: schema.SchemaError unless the schema is this version's; errors.Unavailable.
    """
    engine = open_engine(database_url, pool_size=1)
    try:
        schema.check_current(engine)
        with answering():
            return begin(engine, Witness(witness), because=because).epoch
    finally:
        engine.dispose()


@contextmanager
def open_reads(database_url: str, *, pool_size: int = READERS) -> Iterator[Reads]:
    """Reading alone, for a process beside the one that commits. Nothing is connected yet."""
    engine = open_engine(database_url, read_only=True, pool_size=pool_size)
    try:
        yield Reads(ReadStore(engine), None)
    finally:
        engine.dispose()


def republish(store: ReadStore, reads: Reads, outbound: Outbound) -> int:
    """Deliver again what the outbox still holds: a crash came between commit and publish.

    Devices drop what they have by its seq. Returns the highest batch, 0 if there was none.

    Raises: errors.Unavailable.
    """
    last = 0
    while True:
        found = list(unsent(store, reads, last, OUTBOX_PAGE))
        for _batch, deliveries in found:
            for user, updates in deliveries:
                outbound.deliver(user, updates)
        if not found:
            return last
        last = found[-1].batch


def _checkpointer(engine: Engine) -> Checkpointer | None:
    database = engine.url.database
    if engine.url.get_backend_name() != "sqlite" or not database or database == ":memory:":
        return None
    return Checkpointer(Path(database))


def _tune_committer(engine: Engine) -> None:
    """SQLite's checkpoints are left to us, and a transaction's pages stay in memory until its COMMIT."""
    if engine.url.get_backend_name() != "sqlite":
        return
    engine.dispose()

    @event.listens_for(engine, "connect")
    def _on_connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute(f"PRAGMA cache_size=-{COMMITTER_CACHE_KIB}")
