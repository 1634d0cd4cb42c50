"""What is known in the end: the devices' own logs, and what a fresh reader was told by the server when nothing had
been broken for a while. `Case` is the same, read once and put in order for the rules.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from faultlab.recorder import Event
from faultlab.roster import Entry, Roster

# The updates that are entries of a conversation; the others point at one, or at nothing.
ENTRIES = frozenset({"message", "conversation", "member"})
# The devices whose logs are held against their inboxes, and against the rooms of the large groups they are in.
RECEIVERS = frozenset({"sdk", "plain", "rest"})


@dataclass
class ConversationEnd:
    """A conversation as one of its members reads it in the end; `items` are its history, in order."""

    head: int
    read: int
    unread: int
    items: list[Event] = field(default_factory=list)


@dataclass
class UserEnd:
    """A user's inbox from its first update to its head, and the user's conversations."""

    epoch: str
    head: int
    inbox: list[Event]
    conversations: dict[str, ConversationEnd]


@dataclass
class Evidence:
    """All that is known.

    Attributes:
        logs: by `user:device`.
        kinds: what each device is, as in `cast.Role.kind`.
        small_limit: how many members a group has at most that copies its entries into their inboxes.
        outbox: how many batches the server had not handed over, in the end.
        complaints: what the laboratory itself found wrong while it ran.
        restored_at: when a backup was restored; what was acknowledged before may be lost.
    """

    logs: dict[str, list[Event]]
    kinds: dict[str, str]
    ends: dict[str, UserEnd]
    small_limit: int = 100
    outbox: int = 0
    complaints: list[str] = field(default_factory=list)
    restored_at: float | None = None


class Spoken(NamedTuple):
    """One invoke. `place` is its number among those of its device."""

    device: str
    place: int
    text: str
    conv: str
    size: int
    with_id: bool


class Answer(NamedTuple):
    """One acknowledgement. `text` is None where the device died before it could note whose id this is.

    `change` is what was asked for if it was no message: the action and the user that it is about.
    """

    device: str
    id: str | None
    text: str | None
    conv: str
    message_id: int | None
    t: float
    change: tuple[str, str] | None = None


class Case:
    """The evidence, read once. Entries and rosters are by conversation, and together those of all readers."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.spoken: dict[str, Spoken] = {}
        self.answers: list[Answer] = []
        self._texts: dict[str, dict[str, str]] = {}
        for device, log in evidence.logs.items():
            self._read_log(device, log)
        self.entries: dict[str, dict[int, Entry]] = defaultdict(dict)
        self.places: dict[str, list[tuple[str, int]]] = defaultdict(list)
        self._read_histories()
        self.rosters = {conv: Roster(conv, entries) for conv, entries in self.entries.items()}

    def _read_log(self, device: str, log: list[Event]) -> None:
        texts = {e["id"]: e["text"] for e in log if e["what"] in {"invoke", "named"} and e.get("id")}
        self._texts[device] = texts
        place = 0
        for event in log:
            if event["what"] == "invoke":
                place += 1
                with_id = self.evidence.kinds[device] != "sensor"
                self.spoken[event["text"]] = Spoken(
                    device, place, event["text"], event["conv"], event["size"], with_id
                )
            elif event["what"] in {"reply", "changed"}:
                text = event.get("text") or texts.get(event["id"])
                change = (event["action"], event["user"]) if event["what"] == "changed" else None
                self.answers.append(
                    Answer(
                        device, event["id"], text, event["conv"], event.get("message_id"), event["t"], change
                    )
                )

    def _read_histories(self) -> None:
        for end in self.evidence.ends.values():
            for conv, seen in end.conversations.items():
                for item in seen.items:
                    number, entry = item["message_id"], entry_of(item)
                    if number not in self.entries[conv]:
                        self.entries[conv][number] = entry
                        self.places[entry.text].append((conv, number))

    def counts(self, t: float) -> bool:
        """Whether what was acknowledged then must be there."""
        restored = self.evidence.restored_at
        return restored is None or t > restored

    def conv_of(self, device: str, event: Event) -> str | None:
        """Which conversation a refusal is about; None where the device died before it could note that."""
        if event.get("conv"):
            return str(event["conv"])
        text = event.get("text") or self._texts[device].get(event.get("id") or "")
        return self.spoken[text].conv if text in self.spoken else None

    def roster(self, conv: str) -> Roster:
        """The one of this conversation; one without anybody where nobody has heard of it."""
        return self.rosters.get(conv) or Roster(conv, {})

    def receivers(self) -> Iterator[tuple[str, UserEnd, list[Event]]]:
        for device, log in self.evidence.logs.items():
            if self.evidence.kinds[device] in RECEIVERS:
                yield device, self.evidence.ends[user_of(device)], log

    def rooms(self) -> Iterator[tuple[str, list[Event]]]:
        """What each device noted of rooms, in the last epoch."""
        for device, end, log in self.receivers():
            current = log if self.evidence.restored_at is None else log[_begin_of(end.epoch, log) :]
            yield device, [event for event in current if event["what"] in {"follow", "room", "entry"}]


Rule = Callable[[Case], Iterable[str]]


def user_of(device: str) -> str:
    return device.split(":", maxsplit=1)[0]


def entry_of(item: Event) -> Entry:
    """What an entry says, from history, an update, a receipt or a room."""
    text = item.get("text") or ""
    return Entry(
        item.get("from") or item.get("sender") or item.get("by") or "",
        " ".join(text.split(" ")[:2]),
        item.get("size", len(text)),
        item.get("type", "message"),
        item.get("action"),
        item.get("user"),
        item.get("mode"),
        tuple(item.get("members") or ()),
        tuple(item.get("mentions") or ()),
    )


def of_epoch(log: list[Event], epoch: str) -> list[Event]:
    """The updates that a device got in this epoch."""
    return [
        e
        for e in log
        if e["what"] == "receipt" and e["epoch"] == epoch and e["type"] not in {"reset", "snapshot"}
    ]


def _begin_of(epoch: str, log: list[Event]) -> int:
    """Where a device learned that this epoch had begun; behind the log's end if it did not."""
    starts = [at for at, event in enumerate(log) if event["what"] == "start over" and event["epoch"] == epoch]
    return starts[-1] if starts else len(log)
