"""Who was in a conversation when, as its log tells, and so who gets a copy of which entry."""

from collections.abc import Iterator
from typing import NamedTuple


class Entry(NamedTuple):
    """An entry of a conversation. `user` is the one that a member entry is about."""

    sender: str
    text: str
    size: int
    type: str = "message"
    action: str | None = None
    user: str | None = None
    mode: str | None = None
    members: tuple[str, ...] = ()
    mentions: tuple[str, ...] = ()

    @property
    def said(self) -> bool:
        """A message, and not what the server notes of a group."""
        return self.type == "message"


class Roster:
    """The members of one conversation over its time.

    `spans` has for each user the first and the last entry of each membership; the last is None for a present
    member. `large_from` is the entry that made the group large. `oddities` are changes that cannot be.
    """

    def __init__(self, conv: str, entries: dict[int, Entry]) -> None:
        self.spans: dict[str, list[tuple[int, int | None]]] = {}
        self.large_from: int | None = None
        self.oddities: list[str] = []
        self.sizes: dict[int, int] = {}
        self._conv = conv
        if "~" in conv:
            self.spans = {user: [(1, None)] for user in conv.split("~")}
            return
        for number in sorted(entries):
            self._read(number, entries[number])
            self.sizes[number] = sum(spans[-1][1] is None for spans in self.spans.values())

    def _read(self, number: int, entry: Entry) -> None:
        match entry.type, entry.action, entry.user:
            case "conversation", "created", _:
                for user in entry.members:
                    self._join(number, user)
            case "member", "joined", str(user):
                self._join(number, user)
            case "member", _, str(user):
                self._leave(number, user)
            case _:
                pass
        if entry.type == "conversation" and entry.mode == "large":
            if self.large_from is not None:
                self.oddities.append(f"{self._conv} #{number}: became large, which it was")
            self.large_from = self.large_from or number

    def _join(self, number: int, user: str) -> None:
        if self.is_in(user):
            self.oddities.append(f"{self._conv} #{number}: {user} joined, who was in it")
            return
        self.spans.setdefault(user, []).append((number, None))

    def _leave(self, number: int, user: str) -> None:
        if not self.is_in(user):
            self.oddities.append(f"{self._conv} #{number}: {user} left, who was not in it")
            return
        self.spans[user][-1] = self.spans[user][-1][0], number

    def is_in(self, user: str) -> bool:
        """A present member."""
        return user in self.spans and self.spans[user][-1][1] is None

    def present(self) -> list[str]:
        return [user for user in self.spans if self.is_in(user)]

    def was_in(self, user: str, number: int) -> bool:
        """Whether this entry was made while this user was a member, one's own coming and going included."""
        return any(
            first <= number and (last is None or number <= last) for first, last in self.spans.get(user, [])
        )

    def was_ever_in(self, user: str) -> bool:
        return user in self.spans

    def was_ever_out(self, user: str) -> bool:
        """Whether there was a time, after the first entry, at which this user was no member."""
        spans = self.spans.get(user)
        return not spans or len(spans) > 1 or spans[0][0] > 1 or spans[0][1] is not None

    def since(self, user: str) -> int:
        """The first entry that a present member may see."""
        return self.spans[user][-1][0]

    def is_large_at(self, number: int) -> bool:
        """Whether this entry goes out by the room alone."""
        return self.large_from is not None and number > self.large_from

    def copies(self, number: int, entry: Entry) -> Iterator[str]:
        """Who has this entry in the inbox: everybody while the group is small, then whom it is about."""
        for user in self.spans:
            if not self.was_in(user, number):
                continue
            named = entry.said and user in entry.mentions and user != entry.sender
            if named or entry.user == user or not self.is_large_at(number):
                yield user
