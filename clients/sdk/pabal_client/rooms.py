"""The receiver of large groups: follows each `room/{conv}` by message_id, and asks `history` for what is missing.

Rooms come at QoS 0, so anything of them may be lost. Each gap, and each head that a page of the inbox tells,
shows how far a room is; what has not come shortly after is fetched. Whether one is in a group at all is the
inbox's word alone: it says when a group became large, when one joined, and when one left or was removed. So
nothing that came by the inbox comes again by the room, and nothing of the room overtakes it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, cast

import msgspec

from pabal import messages as m
from pabal import topics
from pabal.errors import Forbidden, NotAMember, NotFound, PabalError
from pabal.ids import ConvId, RequestId, UserId
from pabal_client import backoff
from pabal_client.effects import Entry, RoomMark, Subscribe, Take
from pabal_client.inbox import GAP_SECONDS, PROBE_SECONDS, Heads, Inbox, split
from pabal_client.room import Entry as RoomEntry
from pabal_client.room import Page, Room, as_in_a_room, read_entry, read_page
from pabal_client.updates import SNAPSHOT, Snapshot, Update

MAX_ROOMS: Final = 1000
"""What a page of the inbox lists at most."""
AT_ONCE: Final = 4
SUBSCRIBE_AT_ONCE: Final = 50
SUBACK_SECONDS: Final = 30.0
REFUSED_SECONDS: Final = 60.0
_GONE = (NotAMember, NotFound, Forbidden)
_snapshot = msgspec.json.Decoder(Snapshot)
_MEMBERSHIP = frozenset({"joined", "left", "removed"})


class Rooms:
    """Where this device stands in the large groups that its user is in.

    `look` is shown what the inbox takes, and adds what changes here to the same transaction. Methods return what
    to take into the store, in order; `requests` and `subscription` what to send next. Until a page of the
    inbox has confirmed the epoch on this connection, and while paused, what comes is let go: history has it.
    """

    def __init__(
        self,
        me: UserId,
        inbox: Inbox,
        *,
        positions: Mapping[ConvId, int],
        new_id: Callable[[], RequestId],
        random: Callable[[], float],
    ) -> None:
        self._me = me
        self._inbox = inbox
        self._new_id = new_id
        self._random = random
        self._rooms = {conv: Room(conv, position) for conv, position in positions.items()}
        self._topics = {topics.room(conv): room for conv, room in self._rooms.items()}
        self._linked = False
        self._running = False
        self._paused = False
        self._behind: dict[ConvId, float] = {}
        self._listen: dict[ConvId, float] = {}
        self._asked: dict[str, Room] = {}
        self._suback: tuple[int, list[Room], float] | None = None
        self._probe: float | None = None

    def positions(self) -> dict[ConvId, int]:
        """The message_id up to which everything was received, of each group that is followed."""
        return {conv: room.position for conv, room in self._rooms.items()}

    # The connection.

    def start(self, now: float) -> None:
        """The inbox is subscribed: subscribe the rooms too."""
        self._linked = True
        self._listen = dict.fromkeys(self._rooms, now)

    def stop(self) -> list[RequestId]:
        """The link is gone, or the inbox is not to be had. Returns the questions nobody waits for any more."""
        gone = [cast("RequestId", request_id) for request_id in self._asked]
        self._linked = self._running = False
        self._suback = self._probe = None
        self._asked.clear()
        self._behind.clear()
        self._listen.clear()
        for room in self._rooms.values():
            room.unlink()
        return gone

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False

    # What the inbox says.

    def look(self, takes: Iterable[Take], now: float) -> list[Take]:
        """The same takes, with what they change about the rooms."""
        return [self._look(take, now) for take in takes]

    def _look(self, take: Take, now: float) -> Take:
        marks: list[RoomMark] = []
        for update in take.updates:
            marks += self._told(update, now)
        return replace(take, rooms=tuple(marks)) if marks else take

    def _told(self, update: Update, now: float) -> Iterator[RoomMark]:
        if update.type == SNAPSHOT:
            yield from self._start_over(update, now)
            return
        if update.type not in {"conversation", "member"}:
            return
        try:
            told = read_entry(update.payload)
        except msgspec.DecodeError:
            return
        if update.type == "conversation":
            if told.action == "dissolved":
                yield from self._end(told.conv)
            elif told.mode == "large" and told.conv not in self._rooms:
                yield from self._begin(told.conv, told.message_id, now)
        elif self._is_mine(told):
            yield from self._end(told.conv)
            if told.action == "joined" and told.mode == "large":
                yield from self._begin(told.conv, told.message_id, now)

    def _is_mine(self, told: RoomEntry) -> bool:
        return told.type == "member" and told.user == self._me and told.action in _MEMBERSHIP

    def _start_over(self, update: Update, now: float) -> Iterator[RoomMark]:
        """What came before the heads of a snapshot is known by the snapshot alone."""
        for conv in list(self._rooms):
            yield from self._end(conv)
        for row in _snapshot.decode(update.payload).conversations:
            if row.mode == "large":
                yield from self._begin(ConvId(row.conv), row.head, now)

    def _begin(self, conv: ConvId, position: int, now: float) -> Iterator[RoomMark]:
        if len(self._rooms) >= MAX_ROOMS:
            return
        room = self._rooms[conv] = self._topics[topics.room(conv)] = Room(conv, position)
        if self._linked:
            self._listen[room.conv] = now
        yield RoomMark(conv, position)

    def _end(self, conv: ConvId) -> Iterator[RoomMark]:
        if self._rooms.pop(conv, None) is not None:
            del self._topics[topics.room(conv)]
            self._behind.pop(conv, None)
            self._listen.pop(conv, None)
            yield RoomMark(conv, None)

    def heads(self, heads: Heads, now: float) -> list[Take]:
        """How far the rooms are, as a page of the inbox told."""
        if not self._linked:
            return []
        self._running = True
        self._probe = now + backoff.jittered(PROBE_SECONDS, self._random()) if self._rooms else None
        marks: list[RoomMark] = []
        for name, head in heads.rooms.items():
            room = self._rooms.get(ConvId(name))
            if room is not None:
                self._told_head(room, head)
            elif heads.is_current:
                # The inbox said nothing of it that is still to be had, so it is followed from here on.
                marks += self._begin(ConvId(name), head, now)
        for room in self._rooms.values():
            room.settled = room.heard
            self._judge(room, now)
        return self._take((), marks)

    def _told_head(self, room: Room, head: int) -> None:
        if head > room.head:
            room.silent = room.silent or (room.settled and not room.is_behind)
            room.head = head

    # The rooms themselves.

    def owns(self, topic: str) -> bool:
        return topic in self._topics

    def live(self, topic: str, payload: bytes, now: float) -> list[Take]:
        """One publish on a room's topic: an entry, or an array of them."""
        room = self._topics[topic]
        ready: list[Update] = []
        for part in split(payload):
            try:
                told = read_entry(part)
            except msgspec.DecodeError:
                continue
            room.silent = False
            room.head = max(room.head, told.message_id)
            if self._running and not self._paused and not self._is_mine(told):
                ready += self._push(room, told, part)
        self._judge(room, now)
        return self._take(ready, self._marks(room, ready))

    def _push(self, room: Room, told: RoomEntry, part: bytes) -> list[Update]:
        return cast("list[Update]", room.order.push(told.message_id, self._update(told, part)))

    def _update(self, told: RoomEntry, part: bytes) -> Update:
        return Update(None, cast("str", self._inbox.epoch), told.type, part)

    def _marks(self, room: Room, ready: Sequence[Update]) -> list[RoomMark]:
        return [RoomMark(room.conv, room.position)] if ready else []

    def _take(self, ready: Sequence[Update], marks: Sequence[RoomMark]) -> list[Take]:
        if not marks:
            return []
        return [Take(tuple(ready), cast("str", self._inbox.epoch), self._inbox.cursor, tuple(marks))]

    def _judge(self, room: Room, now: float, wait: float = GAP_SECONDS) -> None:
        """Ask for what is missing in a while, unless it comes by itself."""
        if not room.is_behind:
            self._behind.pop(room.conv, None)
        elif self._running and room.asked is None and room.conv not in self._behind:
            due = now + (backoff.jittered(wait, self._random()) if wait else 0.0)
            self._behind[room.conv] = max(due, room.floor)

    # Questions and answers.

    def requests(self, now: float) -> list[Entry]:
        """The pages of history that are due, oldest doubt first."""
        if self._probe is not None and self._probe <= now:
            self._probe = None
            self._inbox.want(now)
        if not self._may_ask():
            return []
        due = [conv for conv, at in self._behind.items() if at <= now]
        asked = []
        for conv in due[: AT_ONCE - len(self._asked)]:
            del self._behind[conv]
            room = self._rooms[conv]
            if room.silent:
                # The room itself gave no sign: the subscription may be gone.
                room.silent = False
                self._listen[conv] = now
            room.asked = self._new_id()
            self._asked[room.asked] = room
            asked.append(self._history(room.asked, room))
        return asked

    def _history(self, request_id: RequestId, room: Room) -> Entry:
        limit = m.MAX_HISTORY_LIMIT
        asks = m.History(id=request_id, conv=room.conv, after=room.position, limit=limit)
        return Entry(request_id, msgspec.json.encode(asks))

    def _may_ask(self) -> bool:
        return self._running and not self._paused and len(self._asked) < AT_ONCE

    def deadline(self) -> float | None:
        waits = [] if self._suback is None else [self._suback[2]]
        if self._probe is not None:
            waits.append(self._probe)
        if self._behind and self._may_ask():
            waits.append(min(self._behind.values()))
        if self._listen and self._suback is None:
            waits.append(min(self._listen.values()))
        return min(waits, default=None)

    def answers(self, request_id: str) -> bool:
        """Whether this reply is for the receiver of rooms."""
        return request_id in self._asked

    def answered(self, request_id: str, reply: bytes, now: float) -> list[Take]:
        """A page of history."""
        room = self._asked.pop(request_id)
        if self._rooms.get(room.conv) is not room:
            return []
        room.asked = None
        before = room.position
        try:
            page = read_page(reply)
            ready = self._read(room, page, now)
        except msgspec.DecodeError:
            self._in_vain(room, now)
            return []
        room.doubted = False
        if room.position > before or not room.is_behind:
            room.floor, room.in_vain = 0.0, 0
            self._judge(room, now, 0.0 if page.more else GAP_SECONDS)
        else:
            self._in_vain(room, now)
        return self._take(ready, [RoomMark(room.conv, room.position)] if room.position > before else [])

    def _read(self, room: Room, page: Page, now: float) -> list[Update]:
        """What the page settles, and what had waited behind it. Entries that history does not show are none."""
        room.head = max(room.head, page.head)
        ready: list[Update] = []
        reached = room.position
        for item in page.items:
            told = read_entry(item)
            if told.message_id <= reached:
                continue
            if self._is_mine(told):
                # The inbox tells that itself, and everything from here on only holds after it has.
                self._inbox.want(now)
                break
            ready.append(self._update(told, as_in_a_room(item, room.conv)))
            reached = told.message_id
        else:
            reached = reached if page.more else max(reached, page.head)
        return ready + cast("list[Update]", room.order.advance(reached))

    def _in_vain(self, room: Room, now: float) -> None:
        room.floor = now + backoff.delay(room.in_vain, self._random())
        room.in_vain += 1
        self._judge(room, now)

    def refused(self, request_id: str, error: PabalError, now: float) -> list[Take]:
        """A definite no. From outside a group nothing more is to be had of it."""
        room = self._asked.pop(request_id)
        if self._rooms.get(room.conv) is not room:
            return []
        room.asked = None
        if isinstance(error, _GONE):
            return self._take((), list(self._end(room.conv)))
        self._in_vain(room, now)
        return []

    # Subscriptions.

    def subscription(self, token: Callable[[], int], now: float) -> Subscribe | None:
        """What to subscribe next, one packet after the other."""
        if self._suback is not None:
            return None
        due = [conv for conv, at in self._listen.items() if at <= now][:SUBSCRIBE_AT_ONCE]
        if not due:
            return None
        for conv in due:
            del self._listen[conv]
        rooms = [self._rooms[conv] for conv in due]
        self._suback = (token(), rooms, now + SUBACK_SECONDS)
        return Subscribe(tuple((topics.room(conv), 0) for conv in due), self._suback[0])

    def subscribed(self, token: int, granted: Sequence[bool], now: float) -> None:
        """The answer. A no may be that of a database that did not answer, so history is asked as well."""
        if self._suback is None or self._suback[0] != token:
            return
        _, rooms, _ = self._suback
        self._suback = None
        for room, yes in zip(rooms, granted, strict=False):
            if self._rooms.get(room.conv) is not room:
                continue
            room.heard, room.settled = yes, False
            if not yes:
                room.doubted = True
                self._listen[room.conv] = now + backoff.jittered(REFUSED_SECONDS, self._random())
                self._judge(room, now, 0.0)
        # What was said before the subscription stood is missing without a sign of it.
        self._inbox.want(now)

    def given_up(self, now: float) -> bool:
        """Whether a subscription has waited for its answer for too long. Said once."""
        if self._suback is None or now < self._suback[2]:
            return False
        self._suback = None
        return True
