"""Tells who is online, from what the broker tells of its connections: the shell around `pabal.presence.Roster`.

A change is published at once and written down soon after, many in one row of a batch, so that it can be corrected after
a crash: whoever was shown as online before a restart is suspect, and has a while to come back.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from typing import Protocol

from bridge.backplane.mirror import NULL_MIRROR, Mirror
from bridge.commands import Command, SavePresence
from bridge.figures import Figures
from bridge.outage import Outage
from bridge.ports import Outbound
from bridge.store.failures import answering
from bridge.store.read_store import ReadStore
from pabal import topics
from pabal.errors import BadRequest, Unavailable
from pabal.ids import DeviceId, UserId
from pabal.presence import GRACE_S, Change, Roster, payload_of, read_status

FLUSH_S = 1.0
# How long a database that does not answer is waited for at the end.
STOP_S = 5.0
# How often a device that stays is written down as seen, and in steps of how many.
SEEN_EVERY_S = 60.0
SEEN_STEP = 500
SWEEP_EVERY_S = 15.0
# While the database is away, the devices that were here last are remembered, and no more of them than this.
MAX_UNWRITTEN = 100_000

_Whose = tuple[UserId, DeviceId]


class Timer(Protocol):
    def cancel(self) -> None: ...


class Timers(Protocol):
    """Of the event loop, or of a test that says what time it is. Seconds that do not go back."""

    def time(self) -> float: ...

    def call_at(self, when: float, callback: Callable[[], None], /) -> Timer: ...


class Committing(Protocol):
    """What is asked of the relay."""

    figures: Figures

    async def commit(self, command: Command) -> int | None:
        """Raises: errors.Unavailable."""
        ...


class PresenceDesk:
    """`bridge.ports.Presence`; owns a timer and one task."""

    def __init__(
        self,
        roster: Roster,
        store: ReadStore,
        readers: Executor,
        relay: Committing,
        *,
        now_ms: Callable[[], int],
        timers: Timers | None = None,
        grace_s: float = GRACE_S,
        mirror: Mirror = NULL_MIRROR,
    ) -> None:
        """`now_ms` is for people, milliseconds since 1970; `timers` None: those of the loop that it is started in.
        `mirror` shows other processes what people are told.
        """
        self._mirror = mirror
        self._roster = roster
        self._store = store
        self._readers = readers
        self._relay = relay
        self._now_ms = now_ms
        self._given_timers = timers
        self._timers: Timers | None = None
        self._grace_s = grace_s
        self._outbound: Outbound | None = None
        self._timer: Timer | None = None
        self._armed_for: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._sweep_at = 0.0
        # Devices that are here, by when they were last noted as seen, the longest ago first.
        self._here: dict[_Whose, float] = {}
        self._unwritten: dict[UserId, str] = {}
        self._seen: dict[_Whose, int] = {}
        self._outage = Outage(
            "who is online could not be written down", "who is online is written down again"
        )
        self._flushing = asyncio.Lock()

    async def start(self, outbound: Outbound) -> None:
        """Before the broker accepts anybody. Raises: errors.Unavailable."""
        loop = asyncio.get_running_loop()
        self._timers = self._given_timers or loop
        now = self._timers.time()
        for user, payload in await loop.run_in_executor(self._readers, self._shown_before):
            self._suspect(user, payload, now)
        self._relay.figures.users_online = self._roster.online
        self._outbound = outbound
        self._arm()
        self._task = loop.create_task(self._run())

    async def stop(self) -> None:
        """While the relay still commits. What stands then counts as standing until the next start finds out."""
        if self._task is None or self._timers is None:
            return
        self._outbound = None
        if self._timer is not None:
            self._timer.cancel()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._note_seen(len(self._here), self._timers.time(), 0)
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                await self.flush()

    def _shown_before(self) -> list[tuple[UserId, bytes]]:
        with answering(), self._store.snapshot() as snapshot:
            return snapshot.shown()

    def _suspect(self, user: UserId, payload: bytes, now: float) -> None:
        try:
            state = read_status(payload).state
        except BadRequest:
            state = None
        # What cannot be read any longer is taken as the most that it may have said, and so corrected.
        self._roster.suspect(user, state or "online", now + self._grace_s, now)
        self._mirror.changed(user, state or "online")

    # -- bridge.ports.Presence

    def connected(self, user: UserId, device: DeviceId, client_id: str) -> None:
        if self._outbound is None or self._timers is None:
            return
        now = self._timers.time()
        self._saw(user, device)
        self._here.pop((user, device), None)
        self._here[user, device] = now
        self._tell(self._roster.connected(user, device, client_id, now))

    def disconnected(self, user: UserId, device: DeviceId, client_id: str, *, clean: bool) -> None:
        if self._outbound is None or self._timers is None:
            return
        change = self._roster.disconnected(user, device, client_id, self._timers.time(), clean=clean)
        self._saw(user, device)
        if not self._roster.is_here(user, device):
            self._here.pop((user, device), None)
        self._tell(change)

    def status(self, user: UserId, device: DeviceId, payload: bytes, *, will: bool) -> bool:
        try:
            said = read_status(payload)
        except BadRequest:
            return False
        if self._outbound is not None and self._timers is not None:
            known = self._roster.knows(user, device)
            self._tell(self._roster.status(user, device, said, self._timers.time(), will=will))
            if not self._roster.is_here(user, device) and (known or said.state in {"online", "away"}):
                # Behind another broker a status is all that is heard of a device.
                self._saw(user, device)
        return True

    # -- telling

    def _tell(self, change: Change | None) -> None:
        if change is not None:
            self._announce(change)
        self._arm()

    def _announce(self, change: Change) -> None:
        if self._outbound is None:
            return
        payload = payload_of(change.state)
        keep = change.state != "offline"
        self._relay.figures.users_online = self._roster.online
        self._unwritten[change.user] = payload.decode() if keep else ""
        self._outbound.announce(topics.presence(change.user), payload, keep=keep)
        self._mirror.changed(change.user, change.state)

    def _arm(self) -> None:
        due = self._roster.next_due()
        if due == self._armed_for:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed_for = due
        self._timer = None if due is None or self._timers is None else self._timers.call_at(due, self._on_due)

    def _on_due(self) -> None:
        self._timer = self._armed_for = None
        if self._timers is not None:
            for change in self._roster.due(self._timers.time()):
                self._announce(change)
            self._arm()

    # -- writing down

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            self.sweep()
            await self.flush()

    def sweep(self) -> None:
        """Note devices that are here as seen, some at a time."""
        if self._timers is None or (now := self._timers.time()) < self._sweep_at:
            return
        if self._note_seen(SEEN_STEP, now, SEEN_EVERY_S) < SEEN_STEP:
            self._sweep_at = now + SWEEP_EVERY_S

    def _note_seen(self, most: int, now: float, after_s: float) -> int:
        """Those who were noted so long ago. Returns how many there were."""
        noted: list[_Whose] = []
        for whose, at in self._here.items():
            if now - at < after_s or len(noted) >= most:
                break
            noted.append(whose)
        for whose in noted:
            self._saw(*whose)
            del self._here[whose]
            self._here[whose] = now
        return len(noted)

    def _saw(self, user: UserId, device: DeviceId) -> None:
        if len(self._seen) >= MAX_UNWRITTEN and (user, device) not in self._seen:
            del self._seen[next(iter(self._seen))]
        self._seen[user, device] = self._now_ms()

    async def flush(self) -> None:
        """Put on disk what others are told, and who was here when. If the database does not take it, it is tried again
        with what has changed since.
        """
        async with self._flushing:
            await self._flush()

    async def _flush(self) -> None:
        if not self._unwritten and not self._seen:
            return
        unwritten, self._unwritten = self._unwritten, {}
        seen, self._seen = self._seen, {}
        command = SavePresence(
            list(unwritten.items()), [(user, device, ts) for (user, device), ts in seen.items()]
        )
        try:
            await self._relay.commit(command)
        except Unavailable as error:
            self._outage.goes_on(error)
            self._unwritten = {**unwritten, **self._unwritten}
            self._seen = {**seen, **self._seen}
        else:
            self._outage.ends()
