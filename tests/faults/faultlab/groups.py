"""The groups that a device's user is in, as its inbox tells, and the rooms of the large ones, followed by message_id.

What comes on a room's topic may be lost, so an entry is taken only if it is the next one; whatever is missing is asked
for in history. Where it stands is in the device's log alone, and found there again after a kill.
"""

import threading
import time
from collections.abc import Iterable

from faultlab.recorder import Event, Recorder

_AGAIN_S = 1.5
_PAGE = 200
# What an entry says beside its text.
_FIELDS = ("action", "user", "mode", "members", "mentions")


def described(text: str) -> dict[str, object]:
    """A text as it is logged: its two words, and its length."""
    return {"text": " ".join(text.split(" ")[:2]), "size": len(text)}


def noted(entry: Event) -> dict[str, object]:
    """An entry as it is logged, wherever it came from."""
    text = entry.get("text")
    return {
        "type": entry.get("type", "message"),
        "conv": entry.get("conv"),
        "message_id": entry.get("message_id"),
        "sender": entry.get("from") or entry.get("by"),
        **{name: entry[name] for name in _FIELDS if entry.get(name)},
        **({} if text is None else described(text)),
    }


class Groups:
    """For any thread. `follows`: this device subscribes to rooms or reads them, and notes what it takes."""

    def __init__(self, recorder: Recorder, user: str, *, follows: bool) -> None:
        self._lock = threading.RLock()
        self._recorder = recorder
        self._user = user
        self._follows = follows
        self._large: dict[str, bool] = {}
        self._reached: dict[str, int] = {}
        self._times: dict[str, int] = {}
        self._heads: dict[str, int] = {}
        self._ask_at: dict[str, float] = {}
        self._logged: set[tuple[str, int]] = set()
        self._early: list[Event] = []
        self.epoch: str | None = None
        self.seq = 0

    def replay(self, past: Iterable[Event]) -> None:
        """What the log says from earlier runs."""
        events = list(past)
        self._logged = {(e["conv"], e["from"]) for e in events if e["what"] == "follow"}
        for event in events:
            match event["what"]:
                case "receipt":
                    self.take(event)
                case "start over":
                    self._forget(event["epoch"], event["seq"], event["groups"])
                    self._take_early()
                case "follow" if event["why"] == "snapshot":
                    self._follow(event["conv"], event["from"], "snapshot")
                case "entry" | "room" if event.get("taken") and event["conv"] in self._reached:
                    self._reached[event["conv"]] = event["message_id"]
                case _:
                    pass
        self._logged = set()

    # -- what the inbox tells

    def take(self, update: Event) -> None:
        """An update of the inbox. One that was known already says nothing new."""
        with self._lock:
            if update.get("seq") is None or update.get("type") in {"reset", "snapshot"}:
                return
            if self.epoch is None:
                self.epoch = update["epoch"]
            if update["epoch"] != self.epoch:
                self._early.append(update)  # the list of conversations of that epoch is on its way
            elif update["seq"] > self.seq:
                self.seq = update["seq"]
                self._learn(update)

    def _learn(self, update: Event) -> None:
        conv, mode = update.get("conv"), update.get("mode")
        own = update.get("user") == self._user
        match update["type"], update.get("action"):
            case "conversation", _:
                self._large[conv] = mode == "large"
                if mode == "large":
                    self._follow(conv, update["message_id"], "large")
            case "member", "joined" if own:
                self._large[conv] = mode == "large"
                if mode == "large":
                    self._follow(conv, update["message_id"], "joined")
            case "member", _ if own:
                self._large.pop(conv, None)
                self._reached.pop(conv, None)

    def start_over(self, epoch: str, head: int, listed: Iterable[Event]) -> None:
        """The counters went back: the list of conversations is all that is known now."""
        with self._lock:
            groups = {one["conv"]: one for one in listed if one.get("kind") == "group"}
            large = {conv: one.get("mode") == "large" for conv, one in groups.items()}
            self._recorder.note("start over", epoch=epoch, seq=head, groups=large)
            self._forget(epoch, head, large)
            for conv, is_large in large.items():
                if is_large:
                    self._follow(conv, groups[conv]["head"], "snapshot")
            self._take_early()

    def _take_early(self) -> None:
        early, self._early = self._early, []
        for update in early:
            self.take(update)

    def _forget(self, epoch: str, head: int, large: dict[str, bool]) -> None:
        self.epoch, self.seq = epoch, head
        self._large = dict(large)
        self._reached.clear()
        self._heads.clear()

    def _follow(self, conv: str, number: int, why: str) -> None:
        if self._follows:
            if (conv, number) not in self._logged:
                self._recorder.note("follow", conv=conv, why=why, **{"from": number})
            self._reached[conv] = number
            self._times[conv] = self._times.get(conv, 0) + 1

    # -- rooms

    def live(self, via: int, entry: Event) -> None:
        """An entry has come on the topic of a room."""
        with self._lock:
            conv, number = entry["conv"], entry["message_id"]
            taken = self._reached.get(conv) == number - 1
            self._recorder.note("room", via=via, taken=taken, **noted(entry))
            if taken:
                self._reached[conv] = number
            elif conv in self._reached:
                self._heads[conv] = max(self._heads.get(conv, 0), number)

    def page(self, conv: str, items: Iterable[Event]) -> None:
        """A page of history has come: whatever of it continues what was there is taken."""
        with self._lock:
            taken = []
            for item in items:
                if self._reached.get(conv) == item["message_id"] - 1:
                    self._reached[conv] = item["message_id"]
                    taken.append({**noted({**item, "conv": conv}), "taken": True})
            self._recorder.notes("entry", taken)
            self._ask_at.pop(conv, None)

    def told(self, heads: dict[str, int]) -> None:
        """How far the rooms are, as `sync` says."""
        with self._lock:
            for conv, head in heads.items():
                self._heads[conv] = max(self._heads.get(conv, 0), head)

    def missing(self) -> list[dict[str, object]]:
        """Requests for what is known to be missing, each again only after a while."""
        with self._lock:
            now = time.monotonic()
            due = [
                conv
                for conv, reached in self._reached.items()
                if self._heads.get(conv, 0) > reached and self._ask_at.get(conv, 0.0) <= now
            ]
            for conv in due:
                self._ask_at[conv] = now + _AGAIN_S
            return [
                {"op": "history", "conv": conv, "after": self._reached[conv], "limit": _PAGE} for conv in due
            ]

    def rooms(self) -> set[tuple[str, int]]:
        """The rooms to be subscribed to, each with the times that one came into it."""
        with self._lock:
            return {(conv, self._times[conv]) for conv in self._reached if conv in self._times}

    # -- whom to talk to

    def convs(self) -> list[str]:
        with self._lock:
            return sorted(self._large)

    def is_large(self, conv: str) -> bool:
        with self._lock:
            return self._large.get(conv, False)


def reached_rooms(log: Iterable[Event]) -> dict[str, int]:
    """How far a device has come in each room that it has followed, as its log tells."""
    reached: dict[str, int] = {}
    for event in log:
        if event["what"] == "start over":
            reached.clear()
        elif event["what"] == "follow":
            reached[event["conv"]] = event["from"]
        elif event["what"] in {"entry", "room"} and event.get("taken"):
            reached[event["conv"]] = event["message_id"]
    return reached
