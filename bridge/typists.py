"""Who is writing at this moment: told at once to those who are in the conversation, and kept nowhere.

Whose conversation it is, is looked up and remembered for a while, so that who goes on writing costs the database nothing.
Whatever changes members, contacts or blocks makes all of it forgotten at once, and what an account changed about itself
when that is polled (`bridge.changes`).
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from typing import NamedTuple, Protocol

from bridge.ports import Outbound, Source
from bridge.receipt_rules import are_apart
from bridge.relation import Relation
from bridge.store.failures import answering
from pabal import codec, ids, topics
from pabal import messages as m
from pabal.errors import NotAMember, NotFound
from pabal.ids import ConvId, UserId
from pabal.ratelimit import RateLimiter

# In so long a look-up, which is a millisecond of a core, is shared by a dozen words of somebody who writes slowly.
REMEMBERED_S = 60.0
MAX_REMEMBERED = 10_000
# One a second for a conversation and device; what is more is dropped without a word.
RATE_PER_S = 1.0


class Store(Protocol):
    """`bridge.store.live_store.LiveStore`. Blocks; called in readers' threads."""

    def relation(self, writer: UserId, to: UserId) -> Relation | None: ...

    def apart(self, one: UserId, others: Iterable[UserId]) -> frozenset[tuple[UserId, UserId]]: ...

    def roster(self, conv: ConvId) -> tuple[bool, list[UserId]] | None: ...

    def in_room(self, conv: ConvId, user: UserId) -> bool: ...


class _Known(NamedTuple):
    until: float
    others: list[UserId]


class Typists:
    """Lives in the event loop's thread."""

    def __init__(self, store: Store, readers: Executor, *, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._readers = readers
        self._now_ms = now_ms
        self._limiter = RateLimiter(RATE_PER_S, 1)
        self._changes = 0
        self._known: OrderedDict[tuple[ConvId, UserId], _Known] = OrderedDict()

    async def tell(self, outbound: Outbound, source: Source, request: m.Typing) -> None:
        """Raises: BadRequest, NotFound, NotAMember; Unavailable if the database does not answer."""
        conv, user = check_conv(source, request), source.user
        others = await self._others(conv, user)
        now = asyncio.get_running_loop().time()
        # The end of it always passes: it would stay on for seconds otherwise.
        if request.on and self._limiter.take((user, source.device, conv), now) > 0:
            return
        payload = codec.encode(m.LiveTyping(ts=self._now_ms(), conv=conv, user=user, on=request.on))
        for other in others:
            outbound.publish(topics.live(other), payload, 0)

    def forget(self) -> None:
        """Somebody joined, left, blocked or was blocked, or chose anew who may write."""
        self._changes += 1
        self._known.clear()

    async def _others(self, conv: ConvId, user: UserId) -> list[UserId]:
        loop = asyncio.get_running_loop()
        known = self._known.get((conv, user))
        if known is not None and known.until > loop.time():
            return known.others
        changes = self._changes
        others = await loop.run_in_executor(self._readers, look_up, self._store, conv, user)
        if changes != self._changes:
            return others  # it may have been looked up before that
        self._known[conv, user] = _Known(loop.time() + REMEMBERED_S, others)
        self._known.move_to_end((conv, user))
        if len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)
        return others


def check_conv(source: Source, request: m.Typing) -> ConvId:
    """Raises: BadRequest, NotAMember."""
    conv = ids.parse_conv(request.conv)
    if ids.is_direct(conv) and source.user not in ids.members_of(conv):
        raise NotAMember("this conversation is between others", field="conv")
    return conv


def look_up(store: Store, conv: ConvId, user: UserId) -> list[UserId]:
    """Whom it is told: the other side, or the other members of a small group; in a large one nobody.

    Raises: NotFound, NotAMember; Unavailable if the database does not answer.
    """
    with answering():
        if ids.is_direct(conv):
            others = [other for other in dict.fromkeys(ids.members_of(conv)) if other != user]
            return [other for other in others if _may_write(store, user, other)]
        others = [other for other in _members(store, conv, user) if other != user]
        apart = store.apart(user, others)
    return [other for other in others if not are_apart(user, other, apart)]


def _may_write(store: Store, user: UserId, other: UserId) -> bool:
    """Whoever may not send a message there does not show that one is about to; nothing tells.

    Raises: NotFound.
    """
    relation = store.relation(user, other)
    if relation is None:
        raise NotFound("no such user", field="conv")
    return relation.allows(relation.privacy.write)


def _members(store: Store, conv: ConvId, user: UserId) -> list[UserId]:
    found = store.roster(conv)
    if found is None:
        raise NotFound("no such conversation", field="conv")
    is_large, members = found
    if user not in members and not (is_large and store.in_room(conv, user)):
        raise NotAMember("you are not in this group", field="conv")
    return members
