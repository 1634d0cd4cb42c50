"""The presence of others: which topics are subscribed, which are not to be had yet, and what was heard last."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from pabal import topics
from pabal.ids import UserId
from pabal_client import backoff
from pabal_client.effects import Subscribe, Unsubscribe
from pabal_client.live import Presence

MAX_WATCHED: Final = 1_000
SUBSCRIBE_AT_ONCE: Final = 50
SUBACK_SECONDS: Final = 30.0
# What may give a right to see somebody: they accepted one as a contact, or share a group with one.
_RELATIONS: Final = frozenset({"contact", "member", "conversation"})


class _State(msgspec.Struct, frozen=True):
    state: str = "offline"


class Watching:
    """Follows `presence/{user}` of some users. Only changes are told.

    A topic that the server refuses is tried again after 1, 2, 4 … 60 seconds, and at once when the inbox told of a
    change among contacts or members, from which the seconds begin anew.
    """

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._states: dict[UserId, str | None] = {}
        self._topics: dict[str, UserId] = {}
        self._due: dict[UserId, float] = {}
        self._in_vain: dict[UserId, int] = {}
        self._gone: list[UserId] = []
        self._suback: tuple[int, list[UserId], float] | None = None
        self._linked = False

    def start(self, now: float) -> None:
        """The connection stands."""
        self._linked = True
        self._due = dict.fromkeys(self._states, now)
        self._in_vain.clear()

    def stop(self) -> None:
        """The connection is gone. What was heard last is still the last that is known."""
        self._linked = False
        self._suback = None
        self._due.clear()
        self._gone.clear()

    def watch(self, users: Iterable[UserId], now: float) -> None:
        """Beyond MAX_WATCHED the rest is passed over."""
        for user in users:
            if user not in self._states and len(self._states) < MAX_WATCHED:
                self._states[user] = None
                self._topics[topics.presence(user)] = user
                if self._linked:
                    self._due[user] = now

    def unwatch(self, users: Iterable[UserId]) -> None:
        for user in users:
            if user in self._states:
                del self._states[user], self._topics[topics.presence(user)]
                self._due.pop(user, None)
                self._in_vain.pop(user, None)
                if self._linked:
                    self._gone.append(user)

    def look(self, types: Iterable[str], now: float) -> None:
        """Updates of these types came in: what was refused before may be granted now."""
        if not _RELATIONS.isdisjoint(types):
            self._due = {user: min(at, now) for user, at in self._due.items()}
            self._in_vain.clear()

    def owns(self, topic: str) -> bool:
        return topic in self._topics

    def heard(self, topic: str, payload: bytes) -> list[Presence]:
        """One publish on a presence topic. Nothing at all in it means that nothing is known any more."""
        user = self._topics[topic]
        try:
            state = msgspec.json.decode(payload, type=_State).state if payload else "offline"
        except msgspec.DecodeError:
            return []
        if self._states[user] == state:
            return []
        self._states[user] = state
        return [Presence(user=user, state=state)]

    # Subscriptions.

    def subscription(self, token: Callable[[], int], now: float) -> list[Subscribe | Unsubscribe]:
        """What to subscribe next, one packet after the other, and what no more."""
        wanted: list[Subscribe | Unsubscribe] = []
        if self._gone:
            names = tuple(topics.presence(user) for user in self._gone if user not in self._states)
            self._gone = []
            wanted += [Unsubscribe(names)] if names else []
        due = [user for user, at in self._due.items() if at <= now][:SUBSCRIBE_AT_ONCE]
        if due and self._suback is None:
            for user in due:
                del self._due[user]
            self._suback = (token(), due, now + SUBACK_SECONDS)
            wanted.append(Subscribe(tuple((topics.presence(user), 0) for user in due), self._suback[0]))
        return wanted

    def subscribed(self, token: int, granted: Sequence[bool], now: float) -> None:
        if self._suback is None or self._suback[0] != token:
            return
        _, users, _ = self._suback
        self._suback = None
        for user, yes in zip(users, granted, strict=False):
            if not yes and user in self._states:
                times = self._in_vain[user] = self._in_vain.get(user, -1) + 1
                self._due[user] = now + backoff.delay(times, self._random())

    def given_up(self, now: float) -> bool:
        """Whether a subscription has waited for its answer for too long. Said once."""
        if self._suback is None or now < self._suback[2]:
            return False
        self._suback = None
        return True

    def deadline(self) -> float | None:
        if self._suback is not None:
            return self._suback[2]
        return min(self._due.values(), default=None)
