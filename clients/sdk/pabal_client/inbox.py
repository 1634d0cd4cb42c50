"""The receiver: follows the inbox by its numbers, and asks for what is missing.

The cursor is the highest seq up to which everything was taken. Live updates extend it; a gap, another epoch,
a reset or a long silence lead to a `sync` from the cursor, whose answer settles what is true.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import msgspec

from pabal import messages as m
from pabal.ids import RequestId
from pabal.sequence import Reorder
from pabal_client import backoff
from pabal_client.effects import Entry, Take
from pabal_client.updates import SNAPSHOT, Envelope, SyncPage, Update

# A gap often closes by itself, when the late one was just behind.
GAP_SECONDS = 0.2
ACK_SECONDS = 1.0
PROBE_SECONDS = 50.0

_raw_list = msgspec.json.Decoder(list[msgspec.Raw])
_envelope = msgspec.json.Decoder(Envelope)
_page = msgspec.json.Decoder(SyncPage)


@dataclass(frozen=True, slots=True)
class Heads:
    """What a page of the inbox says of the large groups: how far each is.

    `is_current`: the inbox was taken up to where it was when the page was made, and no further.
    """

    rooms: Mapping[str, int]
    is_current: bool


class _SyncTimer:
    """When to ask next, and why. No reason makes it earlier than the floor, which rises while asking is vain."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._gap: float | None = None
        self._want: float | None = None
        self._probe: float | None = None
        self._floor = 0.0
        self._in_vain = 0

    def clear(self) -> None:
        self._gap = self._want = self._probe = None

    def restart(self, now: float) -> None:
        self.clear()
        self._floor, self._in_vain = 0.0, 0
        self._want = now

    def want(self, now: float) -> None:
        self._want = now if self._want is None else min(self._want, now)

    def gap(self, now: float, *, is_open: bool) -> None:
        if not is_open:
            self._gap = None
        elif self._gap is None:
            self._gap = now + backoff.jittered(GAP_SECONDS, self._random())

    def quiet(self, now: float) -> None:
        """Something came: the tail is in doubt only after a long silence from now."""
        self._probe = now + backoff.jittered(PROBE_SECONDS, self._random())

    def result(self, now: float, *, useful: bool) -> None:
        if useful:
            self._floor, self._in_vain = 0.0, 0
        else:
            self._floor = now + backoff.delay(self._in_vain, self._random())
            self._in_vain += 1

    def at(self) -> float | None:
        waits = [at for at in (self._gap, self._want, self._probe) if at is not None]
        return max(self._floor, min(waits)) if waits else None


class Inbox:
    """Where this device stands in its user's inbox.

    Methods return what to take into the store, in order. `requests` returns the `sync` and `ack` entries to
    send next. While paused, what comes is let go: a later `sync` brings it.
    """

    def __init__(
        self,
        *,
        epoch: str | None,
        cursor: int,
        new_id: Callable[[], RequestId],
        random: Callable[[], float],
    ) -> None:
        self.epoch = epoch
        self._order = Reorder(cursor)
        self._new_id = new_id
        self._running = False
        self._paused = False
        self._timer = _SyncTimer(random)
        self._sync_id: RequestId | None = None
        self._again = False
        self._ack_id: RequestId | None = None
        self._ack_at: float | None = None
        self._acking = 0
        self._acked = 0

    @property
    def cursor(self) -> int:
        return self._order.cursor

    def start(self, now: float) -> None:
        """The subscriptions stand: sync from the cursor, then follow live."""
        self._running = True
        self._timer.restart(now)

    def stop(self) -> list[RequestId]:
        """The link is gone. Returns the questions that nobody waits for any more."""
        gone = [request_id for request_id in (self._sync_id, self._ack_id) if request_id is not None]
        self._running = False
        self._sync_id = self._ack_id = self._ack_at = None
        self._timer.clear()
        self._order.reset(self.cursor)
        return gone

    def pause(self) -> None:
        """The application is far behind: take no more for now."""
        self._paused = True

    def resume(self, now: float) -> None:
        if self._paused:
            self._paused = False
            self.want(now)

    def requests(self, now: float) -> list[Entry]:
        """The sync and the acknowledgement that are due."""
        due = []
        sync_at = self._next_sync()
        if sync_at is not None and sync_at <= now:
            self._timer.clear()
            self._again = False
            self._sync_id = self._new_id()
            sync = m.Sync(id=self._sync_id, after=self.cursor, epoch=self.epoch)
            due.append(Entry(self._sync_id, msgspec.json.encode(sync)))
        ack_at = self._next_ack()
        if ack_at is not None and ack_at <= now:
            self._ack_at = None
            self._ack_id = self._new_id()
            self._acking = self.cursor
            due.append(Entry(self._ack_id, msgspec.json.encode(m.Ack(id=self._ack_id, seq=self.cursor))))
        return due

    def deadline(self) -> float | None:
        return min((at for at in (self._next_sync(), self._next_ack()) if at is not None), default=None)

    def _next_sync(self) -> float | None:
        may = self._running and not self._paused and self._sync_id is None
        return self._timer.at() if may else None

    def _next_ack(self) -> float | None:
        return self._ack_at if self._running and self._ack_id is None else None

    def live(self, payload: bytes, now: float) -> list[Take]:
        """One publish on the inbox topic: an update, an array of them, or a reset."""
        if not self._running or self._paused:
            return []
        taken: list[Update] = []
        for part in split(payload):
            self._live_one(part, taken, now)
        if self._sync_id is None:
            self._timer.gap(now, is_open=self._order.gap is not None)
        return self._take(taken, now)

    def _live_one(self, part: bytes, taken: list[Update], now: float) -> None:
        envelope = _read(part)
        if envelope is None:
            return
        if envelope.seq is None:
            # The server skips ahead for plain clients that way. We have our cursor, and ask.
            if envelope.type == "reset":
                self.want(now)
            return
        if self.epoch is None or envelope.epoch not in {None, self.epoch}:
            self.want(now)
            return
        taken.extend(self._push(envelope.seq, envelope, self.epoch, part))

    def _push(self, seq: int, envelope: Envelope, epoch: str, part: bytes) -> list[Update]:
        stub = envelope.truncated and envelope.message_id is not None and not envelope.type
        update = Update(seq, epoch, "message" if stub else envelope.type, part)
        return cast("list[Update]", self._order.push(seq, update))

    def answers(self, request_id: str) -> bool:
        """Whether this reply is for the receiver itself."""
        return request_id in {self._sync_id, self._ack_id}

    def answered(self, request_id: str, reply: bytes, now: float) -> tuple[list[Take], Heads | None]:
        """The reply to the sync or the acknowledgement; with the heads of rooms, if it is a good page."""
        if request_id == self._ack_id:
            self._ack_done(now)
            return [], None
        self._sync_id = None
        try:
            page = _page.decode(reply)
        except msgspec.DecodeError:
            self._in_vain(now)
            return [], None
        if page.reset:
            return self._start_over(page, reply, now), None
        if self.epoch not in {None, page.epoch}:
            self._in_vain(now)
            return [], None
        takes = self._page(page, now)
        return takes, Heads(page.rooms, is_current=self.cursor == page.head)

    def refused(self, request_id: str, now: float) -> bool:
        """A definite no. Returns whether it ends receiving: it was the sync that was refused."""
        if request_id == self._ack_id:
            self._ack_done(now)
            return False
        self.stop()
        return True

    def _start_over(self, page: SyncPage, reply: bytes, now: float) -> list[Take]:
        self.epoch = page.epoch
        self._acked = self._acking = 0
        self._order.reset(page.head)
        self._timer.want(now)  # what came while the snapshot was made is behind it
        return self._take([Update(page.head, page.epoch, SNAPSHOT, reply)], now)

    def _page(self, page: SyncPage, now: float) -> list[Take]:
        before, first = self.cursor, self.epoch is None
        self.epoch = page.epoch
        taken: list[Update] = []
        for item in page.items:
            part = bytes(item)
            envelope = _read(part)
            if envelope is not None and envelope.seq is not None:
                taken.extend(self._push(envelope.seq, envelope, page.epoch, part))
        unfinished = page.more or self._again or self._order.gap is not None
        self._timer.result(now, useful=self.cursor > before or not unfinished)
        if unfinished:
            self._timer.want(now)
        self._timer.quiet(now)
        return self._take(taken, now, even_if_empty=first)

    def _in_vain(self, now: float) -> None:
        self._timer.result(now, useful=False)
        self._timer.want(now)

    def want(self, now: float) -> None:
        """Sync as soon as may be, and once more if one is under way that may not show what is wanted."""
        if self._sync_id is None:
            self._timer.want(now)
        else:
            self._again = True

    def _take(self, taken: Sequence[Update], now: float, *, even_if_empty: bool = False) -> list[Take]:
        if not taken and not even_if_empty:
            return []
        # The tail may be lost without a gap to show it, so a long silence is asked about too.
        self._timer.quiet(now)
        self._ack_soon(now)
        return [Take(tuple(taken), cast("str", self.epoch), self.cursor)]

    def _ack_done(self, now: float) -> None:
        self._ack_id = None
        self._acked = self._acking
        self._ack_soon(now)

    def _ack_soon(self, now: float) -> None:
        if self.cursor > self._acked and self._ack_at is None:
            self._ack_at = now + ACK_SECONDS


def split(payload: bytes) -> list[bytes]:
    """The objects of a payload that is one or an array of them; nothing if it is not JSON."""
    if payload.lstrip(b" \t\r\n")[:1] != b"[":
        return [payload]
    try:
        return [bytes(part) for part in _raw_list.decode(payload)]
    except msgspec.DecodeError:
        return []


def _read(part: bytes) -> Envelope | None:
    try:
        return _envelope.decode(part)
    except msgspec.DecodeError:
        return None
