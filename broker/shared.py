"""Shared subscriptions: `$share/{group}/{filter}` (MQTT 5, 4.8.2). Each message goes to one member of the group.

Which one is decided by the topic, so that the messages of a topic stay in order: every member has a rank for every
topic, drawn from both names, and the highest of those that are connected gets it. When somebody comes or goes,
only the topics move that are to be its, or were. While nobody is connected, the highest of the sessions that
outlive their connection keeps it. What a member has not acknowledged when its connection ends goes to another one
that is connected, in order; not so at QoS 2 once it was sent, which may be with the client already [MQTT-4.8.2-5].
"""

from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from pabal import topics

if TYPE_CHECKING:
    from collections.abc import Callable

    from broker.message import Message
    from broker.session import Session
    from broker.topic_tree import SubscriptionTree

PREFIX: Final = "$share/"
# What the tree holds for a group: the QoS of the member that is chosen is looked at then.
MOST: Final = 2
_CACHED_TOPICS: Final = 4_096


def is_shared(topic_filter: str) -> bool:
    return topic_filter.startswith(PREFIX)


def split(topic_filter: str) -> tuple[str, str] | None:
    """Group and filter of a shared subscription. Returns None if it is not well-formed [MQTT-4.8.2-1], -2."""
    group, slash, inner = topic_filter.removeprefix(PREFIX).partition("/")
    if not slash or not group or topics.has_wildcard(group) or not topics.is_valid_filter(inner):
        return None
    return group, inner


def inner_filter(topic_filter: str) -> str:
    """The filter that rules are about; of what is malformed, the whole."""
    if not is_shared(topic_filter):
        return topic_filter
    parts = split(topic_filter)
    return topic_filter if parts is None else parts[1]


class Group:
    """The members of one shared subscription, by session, with what each was granted. `name` is the whole filter."""

    __slots__ = ("_cache", "_offer", "inner", "members", "name")

    def __init__(
        self, name: str, inner: str, offer: "Callable[[Session, Message, int, Group], None]"
    ) -> None:
        """`offer` sends to a session what it was granted."""
        self.name = name
        self.inner = inner
        self._offer = offer
        self.members: dict[Session, int] = {}
        self._cache: dict[str, Session | None] = {}

    def join(self, session: "Session", granted: int) -> None:
        self.members[session] = granted
        self.changed()

    def leave(self, session: "Session") -> None:
        self.members.pop(session, None)
        self.changed()

    def changed(self) -> None:
        """Somebody came, went, connected or disconnected."""
        self._cache.clear()

    def send(self, message: "Message", qos: int) -> None:  # noqa: ARG002 -- as of a session; the member's counts
        """To one of them."""
        member = self.member_for(message.topic)
        if member is not None:
            self._offer(member, message, self.members[member], self)

    def member_for(self, topic: str) -> "Session | None":
        """Who gets what is published there; None if there is nobody."""
        if topic in self._cache:
            return self._cache[topic]
        here = [session for session in self.members if session.connection is not None]
        chosen = max(here or self.members, key=lambda session: _rank(session.client_id, topic), default=None)
        if len(self._cache) >= _CACHED_TOPICS:
            self._cache.clear()
        self._cache[topic] = chosen
        return chosen


class Groups(dict[str, Group]):
    """The shared subscriptions of a broker by their whole filters, each of which has members."""

    __slots__ = ("_offer", "_tree")

    def __init__(
        self,
        tree: "SubscriptionTree[Session | Group]",
        offer: "Callable[[Session, Message, int, Group], None]",
    ) -> None:
        """The groups put themselves into `tree`; `offer` sends to a session what it was granted."""
        super().__init__()
        self._tree = tree
        self._offer = offer

    def join(self, session: "Session", topic_filter: str, granted: int) -> None:
        """The filter is well-formed."""
        group = self.get(topic_filter)
        if group is None:
            parts = split(topic_filter)
            assert parts is not None  # noqa: S101 -- it was looked at before it was granted
            group = self[topic_filter] = Group(topic_filter, parts[1], self._offer)
            self._tree.add(group.inner, group, MOST)
        group.join(session, granted)
        if session.groups is None:
            session.groups = {}
        session.groups[topic_filter] = group
        _share_out(group)

    def leave(self, session: "Session", topic_filter: str) -> bool:
        """Others get what waits for it. Returns False if that is no group of this session."""
        group = None if session.groups is None else session.groups.pop(topic_filter, None)
        if group is None:
            return False
        group.leave(session)
        given = session.give_up(group)
        if not group.members:
            self._tree.remove(group.inner, group)
            del self[topic_filter]
        for message in given:
            group.send(message, message.qos)
        return True

    def share_out(self, session: "Session") -> None:
        """It came or went: its groups are looked at again."""
        for group in (session.groups or {}).values():
            _share_out(group)


def _share_out(group: Group) -> None:
    """Somebody came or went: what waits for members that are away goes to those that are here."""
    group.changed()
    if all(member.connection is None for member in group.members):
        return
    for member in list(group.members):
        if member.connection is None:
            for message in member.give_up(group):
                group.send(message, message.qos)


def _rank(client_id: str, topic: str) -> bytes:
    return blake2b(f"{client_id}\0{topic}".encode(), digest_size=8).digest()
