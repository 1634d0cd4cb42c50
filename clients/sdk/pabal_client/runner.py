"""The shell around the session core: one thread that owns the connection, and a lock that owns the rest."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec

from pabal.errors import PabalError, Unauthorized
from pabal.ids import ConvId
from pabal.messages import Committed
from pabal_client import backoff, events
from pabal_client import effects as e
from pabal_client import transport as t
from pabal_client.errors import (
    ClientError,
    Closed,
    Kicked,
    LoginRefused,
    OutboxFull,
    StoreError,
    Unreachable,
)
from pabal_client.live import LiveValue
from pabal_client.pending import Pending
from pabal_client.session import Session
from pabal_client.store import Received, Store

MAX_OUTBOX: Final = 10_000
MAX_BACKLOG: Final = 10_000
MAX_EVENTS: Final = 1_000
CONNACK_SECONDS: Final = 20.0
# A connection that lived shorter does not count as a success: two clients with one name would fight for ever.
_STEADY_SECONDS = 30.0
_LONGEST_STEP = 1.0
_committed = msgspec.json.Decoder(Committed)


class Connect(Protocol):
    """Makes connection number `n`. `refused`: the last one was refused for its credential, so get another.

    Raises: Unreachable to have it tried again later; Unauthorized or another ClientError to end the client.
    """

    def __call__(self, n: int, *, refused: bool) -> t.Transport: ...


class Runner:
    """Runs a session over connections that `connect` makes, until closed, kicked or refused.

    All methods may be called by any thread.
    """

    def __init__(
        self,
        session: Session,
        store: Store,
        connect: Connect,
        *,
        random: Callable[[], float],
        wants_events: bool,
        max_outbox: int = MAX_OUTBOX,
        max_backlog: int = MAX_BACKLOG,
    ) -> None:
        self._session = session
        self._store = store
        self._connect = connect
        self._random = random
        self._wants_events = wants_events
        self._max_outbox = max_outbox
        self._max_backlog = max_backlog
        self._lock = threading.RLock()
        self.changed = threading.Condition(self._lock)
        self._pending: dict[str, Pending] = {}  # type: ignore[type-arg] # of many kinds of answers
        self._wire: deque[e.Effect] = deque()
        self._events: deque[events.Event | LiveValue] = deque()
        self._link: t.Transport | None = None
        self._backlog = store.backlog()
        self._paused = False
        self._stopping = False
        self._closed = False
        self._stop = threading.Event()
        self.online = False
        self.ended: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="pabal-client", daemon=True)
        if self._backlog >= max_backlog:
            self._pause()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Nothing new from now on; `close` has to follow."""
        with self._lock:
            self._stopping = True
            self._stop.set()
            self._wake()
            self.changed.notify_all()

    def close(self) -> None:
        """Take leave of the server, stop the thread, fail what waits, close the store."""
        self.stop()
        self._thread.join()
        self._end(Closed("the client was closed"))
        with self._lock:
            self._closed = True
            self._store.close()

    # What the application's threads ask for.

    def submit(self, entry: e.Entry, pending: Pending) -> None:  # type: ignore[type-arg] # any kind of answer
        """Send until answered. A durable entry is on disk when this returns.

        Raises: OutboxFull; the error that ended the client; StoreError.
        """
        with self._lock:
            self._check_running()
            if len(self._session.outbox) >= self._max_outbox:
                raise OutboxFull(f"{self._max_outbox} requests wait for the server already")
            self._pending[entry.id] = pending
            try:
                self._apply(self._session.submit(entry, time.monotonic()))
            except StoreError:
                # It could not be kept, so it was never taken on.
                del self._pending[entry.id]
                self._session.forget(entry.id, time.monotonic())
                raise
            self._wake()

    def forget(self, request_id: str) -> None:
        """Nobody waits for this answer any more. Only for what is not durable."""
        with self._lock:
            self._pending.pop(request_id, None)
            if self.ended is None:
                self._apply(self._session.forget(request_id, time.monotonic()))
                self._wake()

    def _check_running(self) -> None:
        if self.ended is not None:
            raise self.ended
        if self._stopping:
            raise Closed("the client was closed")

    def unsent(self) -> int:
        """How many durable requests wait for their answer."""
        with self._lock:
            return sum(entry.durable for entry in self._session.outbox.entries())

    def waiting(self, limit: int) -> list[Received]:
        """The oldest updates that the application has not taken; none once the client is closing."""
        with self._lock:
            return self._store.waiting(limit) if self._backlog and not self._stopping else []

    def position(self) -> tuple[str | None, int]:
        """The epoch, and the seq up to which everything was received."""
        with self._lock:
            return self._session.inbox.epoch, self._session.inbox.cursor

    def rooms(self) -> dict[ConvId, int]:
        """The large groups that are followed, each with the message_id up to which everything was received."""
        with self._lock:
            return self._session.rooms.positions()

    def perform(self, act: Callable[[Session, float], Sequence[e.Effect]]) -> None:
        """Have the session do something that is not answered. Raises: the error that ended the client."""
        with self._lock:
            self._check_running()
            self._apply(act(self._session, time.monotonic()))
            self._wake()

    def taken(self, received: Received) -> None:
        """The application is done with this update, the oldest of those waiting. Raises: Closed; StoreError."""
        with self._lock:
            if self._closed:
                raise Closed("the client was closed")
            self._store.taken(received.place)
            self._backlog -= 1
            if self._paused and self._backlog <= self._max_backlog // 2:
                self._paused = False
                self._apply(self._session.resume(time.monotonic()))
                self._wake()

    def next_event(self) -> events.Event | LiveValue | None:
        with self._lock:
            return self._events.popleft() if self._events else None

    @property
    def stopping(self) -> bool:
        return self._stopping

    # The thread.

    def _run(self) -> None:
        try:
            self._stay_connected()
        except (ClientError, PabalError) as error:
            self._end(error)
        except BaseException as error:
            self._end(ClientError(f"the client failed: {error!r}"))
            raise

    def _stay_connected(self) -> None:
        attempt, refused = 0, False
        while not self._stop.is_set():
            since = time.monotonic()
            lost = self._try_once(refused=refused)
            if lost is None:
                return
            self._offline(lost)
            if lost.login_refused and refused:
                raise LoginRefused(lost.reason)
            refused = lost.login_refused
            if time.monotonic() - since > _STEADY_SECONDS:
                attempt = 0
            if not refused:
                self._stop.wait(backoff.reconnect_delay(attempt, self._random()))
                attempt += 1

    def _try_once(self, *, refused: bool) -> t.Lost | None:
        """One connection, from beginning to end. Returns None if it ended because the client is closed."""
        n = self._store.next_connection()
        try:
            link = self._connect(n, refused=refused)
        except Unreachable as error:
            return t.Lost(error.detail)
        except PabalError as error:
            if isinstance(error, Unauthorized):
                raise
            return t.Lost(error.detail)
        with self._lock:
            self._link = link
        try:
            return self._serve(link, n)
        finally:
            with self._lock:
                self._link = None
                self._wire.clear()
                farewell = self._session.status("offline", n) if self._stopping and self.online else None
            link.close(farewell)

    def _serve(self, link: t.Transport, n: int) -> t.Lost | None:
        give_up = time.monotonic() + CONNACK_SECONDS
        connected = False
        while not self._stop.is_set():
            happened = link.step(self._pause_until(None if connected else give_up))
            connected = connected or any(isinstance(one, t.Connected) for one in happened)
            if not connected and time.monotonic() > give_up and not happened:
                return t.Lost("the broker does not answer")
            with self._lock:
                lost = self._digest(happened, n)
                lost = self._send_out(link) or lost
            if lost is not None:
                return lost
        return None

    def _pause_until(self, give_up: float | None) -> float:
        with self._lock:
            if self._wire:
                return 0.0
            waits = [at for at in (self._session.deadline(), give_up) if at is not None]
        return max(0.0, min(min(waits, default=_LONGEST_STEP) - time.monotonic(), _LONGEST_STEP))

    def _digest(self, happened: Sequence[t.Happening], n: int) -> t.Lost | None:
        now = time.monotonic()
        effects: list[e.Effect] = []
        lost = None
        for one in happened:
            match one:
                case t.Connected():
                    effects += self._session.connected(now, n)
                case t.Subscribed(granted, token):
                    effects += self._session.subscribed(now, granted, token)
                    if self._session.is_online and not self.online:
                        self._is_online()
                case t.Message(topic, payload):
                    effects += self._session.received(topic, payload, now)
                case t.PubAck(token):
                    self._session.puback(token)
                case t.Lost():
                    lost = one
        effects += self._session.tick(now)
        self._apply(effects)
        return lost

    def _send_out(self, link: t.Transport) -> t.Lost | None:
        while self._wire:
            match self._wire.popleft():
                case e.Publish() as publish:
                    link.publish(publish)
                case e.Subscribe() as subscribe:
                    link.subscribe(subscribe)
                case e.Unsubscribe() as unsubscribe:
                    link.unsubscribe(unsubscribe)
                case e.Disconnect(reason, final):
                    if final:
                        raise Kicked(reason)
                    return t.Lost(reason)
        return None

    def _is_online(self) -> None:
        self.online = True
        self._tell(events.Online())
        self.changed.notify_all()

    def _offline(self, lost: t.Lost) -> None:
        with self._lock:
            over = self._session.disconnected()
            self._wire.clear()  # what was asked for since the link broke is of that link
            if self.online:
                self.online = False
                self._tell(events.Offline(lost.reason))
            self._apply(over)
            self.changed.notify_all()

    # Effects, with the lock held.

    def _apply(self, effects: Sequence[e.Effect]) -> None:
        # Taking early is always safe, and one transaction for all that came at once is much cheaper.
        takes = [effect for effect in effects if isinstance(effect, e.Take)]
        settled = [one.entry.id for one in effects if isinstance(one, e.Settled) and one.entry.durable]
        if takes or settled:
            self._store.note(takes, settled)
            self._took_in(takes)
        for effect in effects:
            match effect:
                case e.Keep(entry):
                    self._store.keep(entry)
                case e.Settled():
                    self._settle(effect)
                case e.Live(payload):
                    self._tell_live(payload)
                case e.Heard(value):
                    self._tell(value)
                case e.NotReceiving(reason):
                    self._tell(events.ReceivingRefused(reason))
                case e.Publish() | e.Subscribe() | e.Unsubscribe() | e.Disconnect():
                    self._wire.append(effect)

    def _took_in(self, takes: Sequence[e.Take]) -> None:
        self._backlog += sum(len(take.updates) for take in takes)
        if self._backlog >= self._max_backlog and not self._paused:
            self._pause()
        self.changed.notify_all()

    def _pause(self) -> None:
        self._paused = True
        self._session.pause()

    def _settle(self, settled: e.Settled) -> None:
        entry = settled.entry
        pending = self._pending.pop(entry.id, None)
        if entry.durable:
            self._tell_settled(settled)
        if pending is not None and settled.error is None:
            pending.resolve(settled.reply)
        elif pending is not None and settled.error is not None:
            pending.fail(settled.error)
        self.changed.notify_all()

    def _tell_settled(self, settled: e.Settled) -> None:
        if settled.error is not None:
            self._tell(events.NotSent(settled.entry.id, settled.error))
        elif settled.entry.lane is not None:
            try:
                self._tell(events.Sent(settled.entry.id, _committed.decode(settled.reply)))
            except msgspec.DecodeError:
                return  # it made no entry, as a `read` does not

    def _tell_live(self, payload: bytes) -> None:
        try:
            self._tell(events.LiveUpdate(msgspec.json.decode(payload, type=dict)))
        except msgspec.DecodeError:
            return  # may be lost by its nature

    def _tell(self, event: events.Event | LiveValue) -> None:
        if self._wants_events:
            if len(self._events) >= MAX_EVENTS:
                if isinstance(event, LiveValue):
                    return  # it may be lost, and nothing else shall be lost for it
                self._events.popleft()
            self._events.append(event)
            self.changed.notify_all()

    def _end(self, error: Exception) -> None:
        with self._lock:
            if self.ended is None:
                self.ended = error
                if not isinstance(error, Closed):
                    self._tell(events.Ended(error))
            self.online = False
            self._session.disconnected()
            pending, self._pending = list(self._pending.values()), {}
            self.changed.notify_all()
        for one in pending:
            one.fail(error)

    def _wake(self) -> None:
        if self._link is not None:
            self._link.wake()
