"""The sender: every request is kept until its reply, and sent again with the same id until then."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush

from pabal.ids import RequestId
from pabal_client import backoff
from pabal_client.effects import Entry, Publish

# 1 + 2 + 4 + 8 + 16 + 32 seconds without a PUBACK: the connection carries nothing any more.
_STUCK_AFTER = 6
# What a server may ask for at most.
_LONGEST_PATIENCE = 3600.0


@dataclass(slots=True, eq=False)
class _Item:
    entry: Entry
    attempts: int = 0
    due: float | None = None
    not_before: float = 0.0
    flying: bool = False
    token: int | None = None


class Outbox:
    """Which request may be published when.

    Of each lane only the first entry is under way, so order survives a broken link; over all lanes at most
    `window` are, so that neither side drowns. Nothing is published while offline.

    Args:
        topic: where requests are published.
        tokens: numbers for publishes, never the same twice.
        random: from 0 to 1, for the jitter.
    """

    def __init__(
        self, topic: str, *, tokens: Iterator[int], random: Callable[[], float], window: int = 16
    ) -> None:
        self._topic = topic
        self._tokens = tokens
        self._random = random
        self._window = window
        self._items: dict[RequestId, _Item] = {}
        self._lanes: dict[str, deque[_Item]] = {}
        self._ready: deque[_Item] = deque()
        self._timers: list[tuple[float, int, _Item]] = []
        self._timer_count = 0
        self._by_token: dict[int, _Item] = {}
        self._flying = 0
        self._online = False
        self.stuck = False

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._items

    def entries(self) -> Iterable[Entry]:
        """Everything that waits for its reply, oldest first."""
        return [item.entry for item in self._items.values()]

    def add(self, entry: Entry) -> None:
        """`pump` publishes it when its turn comes. An id that waits already is not added again."""
        if entry.id in self._items:
            return
        item = self._items[entry.id] = _Item(entry)
        if entry.lane is not None:
            lane = self._lanes.setdefault(entry.lane, deque())
            lane.append(item)
            if lane[0] is item and self._online:
                self._ready.append(item)
        elif self._online:
            self._ready.appendleft(item)  # somebody waits for this answer

    def settle(self, request_id: str) -> Entry | None:
        """The reply came, or nobody waits for it any more. Returns None if it was settled before."""
        item = self._items.pop(RequestId(request_id), None)
        if item is None:
            return None
        if not item.flying and item.due is None and item in self._ready:
            self._ready.remove(item)
        self._land(item)
        item.due = None
        if item.entry.lane is not None:
            self._leave_lane(item, item.entry.lane)
        return item.entry

    def _leave_lane(self, item: _Item, name: str) -> None:
        lane = self._lanes[name]
        was_first = lane[0] is item
        lane.remove(item)
        if not lane:
            del self._lanes[name]
        elif was_first and self._online:
            self._ready.append(lane[0])

    def postpone(self, request_id: str, now: float, wait: float | None) -> bool:
        """The server asked for patience: sent again after `wait` seconds, or the backoff if that is longer."""
        item = self._items.get(RequestId(request_id))
        if item is None:
            return False
        if not item.flying:
            return True  # the answer to an earlier try; this one is waiting already
        self._land(item)
        patience = min(wait or 0.0, _LONGEST_PATIENCE)
        item.not_before = now + max(patience, backoff.delay(item.attempts, self._random()))
        item.attempts += 1
        self._arm(item, item.not_before)
        return True

    def puback(self, token: int) -> None:
        if item := self._by_token.pop(token, None):
            item.token = None

    def online(self, now: float) -> None:
        """The link is up: everything without a reply is sent again, in order."""
        self._online = True
        self.stuck = False
        for item in self._firsts():
            item.attempts = 0
            if item.not_before > now:
                self._arm(item, item.not_before)
            else:
                self._ready.append(item)

    def offline(self) -> None:
        self._online = False
        self._flying = 0
        self._ready.clear()
        self._timers.clear()
        self._by_token.clear()
        for item in self._items.values():
            item.flying, item.token, item.due = False, None, None

    def _firsts(self) -> Iterator[_Item]:
        for item in self._items.values():
            lane = item.entry.lane
            if lane is None or self._lanes[lane][0] is item:
                yield item

    def pump(self, now: float) -> list[Publish]:
        """What is to be published now: what became due, then what the window has room for."""
        if not self._online:
            return []
        published = []
        while self._timers and self._timers[0][0] <= now:
            due, _, item = heappop(self._timers)
            if item.due != due:
                continue
            item.due = None
            if not item.flying:
                self._ready.append(item)
            elif item.token is None:
                published.append(self._publish(item, now))
            else:
                self._wait_for_puback(item, now)
        while self._ready and self._flying < self._window:
            published.append(self._publish(self._ready.popleft(), now))
        return published

    def _wait_for_puback(self, item: _Item, now: float) -> None:
        """MQTT still carries the last try of this one; another copy beside it would only add to the load."""
        item.attempts += 1
        if item.attempts > _STUCK_AFTER:
            self.stuck = True
        self._arm(item, now + backoff.delay(item.attempts, self._random()))

    def _publish(self, item: _Item, now: float) -> Publish:
        if not item.flying:
            item.flying = True
            self._flying += 1
        item.token = next(self._tokens)
        self._by_token[item.token] = item
        self._arm(item, now + backoff.delay(item.attempts, self._random()))
        item.attempts += 1
        return Publish(item.token, self._topic, item.entry.payload)

    def _land(self, item: _Item) -> None:
        if item.flying:
            item.flying = False
            self._flying -= 1
        if item.token is not None:
            self._by_token.pop(item.token, None)
            item.token = None

    def _arm(self, item: _Item, due: float) -> None:
        item.due = due
        self._timer_count += 1
        heappush(self._timers, (due, self._timer_count, item))

    def deadline(self) -> float | None:
        """When `pump` has something to do next; None while there is nothing to wait for."""
        if not self._online:
            return None
        while self._timers and self._timers[0][2].due != self._timers[0][0]:
            heappop(self._timers)
        return self._timers[0][0] if self._timers else None
