"""The broker's part of presence: it tells of connections and statuses, and answers who follows `presence/{user}`."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from broker.grants import identifier_of
from broker.message import Message
from broker.session import Session
from pabal import topics
from pabal.ids import UserId
from pabal.presence import payload_of

if TYPE_CHECKING:
    from bridge.ports import Presence
    from broker.hub import Hub

OFFLINE: Final = payload_of("offline")


class PresenceTopics:
    """Between the hub and the bridge's `Presence`. Nothing here is called for a message.

    Attributes:
        reviews: how often rights to presence were taken away; a subscription that was decided meanwhile is looked at
            again.
    """

    __slots__ = ("_hub", "_marked", "_presence", "reviews")

    def __init__(self, hub: "Hub", presence: "Presence") -> None:
        self._hub = hub
        self._presence = presence
        self.reviews = 0
        self._marked: dict[UserId, None] = {}

    # -- what the bridge is told

    def came(self, session: Session, followed: Iterable[str]) -> None:
        """A device has a connection; its session followed these topics before."""
        if session.user is not None and session.device is not None:
            self._presence.connected(session.user, session.device, session.client_id)
        self._catch_up(session, followed)

    def left(self, session: Session, *, clean: bool) -> None:
        """Its connection is gone. A will of it is told after this."""
        if session.user is not None and session.device is not None:
            self._presence.disconnected(session.user, session.device, session.client_id, clean=clean)

    def take(self, topic: str, payload: bytes, *, will: bool = False) -> bool:
        """What was published where the rules allow it. Returns False for a status that cannot be read."""
        meant = topics.parse(topic)
        return not isinstance(meant, topics.Status) or self._presence.status(
            meant.user, meant.device, payload, will=will
        )

    # -- what clients are told

    def announce(self, topic: str, payload: bytes, *, keep: bool) -> None:
        """As `bridge.ports.Outbound`."""
        self._hub.retained.hold(Message(topic, payload if keep else b"", 0))
        # Published as a retained message is, for who wants to see the flag as it was [MQTT-3.3.1-13].
        self._hub.route(Message(topic, payload, 0, retain=True))

    def answer(self, session: Session, topic_filter: str, granted: int) -> None:
        """A new subscription: of who is not retained it is known all the same."""
        if isinstance(topics.parse(topic_filter), topics.Presence) and not self._hub.retained.match(
            topic_filter
        ):
            identifier = identifier_of(granted)
            session.send(Message(topic_filter, OFFLINE, 0), 0, True, (identifier,) if identifier else ())

    def followed(self, session: Session | None) -> list[str]:
        """The presence topics among the subscriptions."""
        names: Iterable[str] = () if session is None else session.subscriptions
        return [name for name in names if isinstance(topics.parse(name), topics.Presence)]

    def _catch_up(self, session: Session, followed: Iterable[str]) -> None:
        """It is back, and may have missed what was told meanwhile; what it may not follow any longer, too."""
        for topic in followed:
            kept = self._hub.retained.match(topic) if topic in session.subscriptions else ()
            for payload in [message.payload for message in kept] or [OFFLINE]:
                session.send(Message(topic, payload, 0), 0)

    # -- rights that are taken away

    def mark(self, user: UserId) -> bool:
        """It is to be asked again who sees this user. Returns whether it is the first since `watched`."""
        self.reviews += 1
        first = not self._marked
        self._marked[user] = None
        return first

    def watched(self) -> dict[Session, list[UserId]]:
        """Who follows the presence of any of those who are marked, with a connection or without, and whose."""
        marked, self._marked = self._marked, {}
        found: dict[Session, list[UserId]] = {}
        for user in marked:
            for subscriber, _, _ in self._hub.tree.match(topics.presence(user)):
                if isinstance(subscriber, Session):
                    found.setdefault(subscriber, []).append(user)
        return found
