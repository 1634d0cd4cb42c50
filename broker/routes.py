"""The way of a message to whoever is subscribed, asking plugins that have rules on what is sent."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from amqtt.contexts import Action

from broker.grants import Extras, identifier_of, qos_of
from broker.message import Delivery, Message
from broker.mqtt.packets import NO_LOCAL
from broker.session import Session
from broker.shared import Group, Groups
from broker.topic_tree import SubscriptionTree

if TYPE_CHECKING:
    from broker.guard import Guard
    from broker.keeper import Keeper
    from broker.metrics import Metrics
    from broker.retention import RetainedMessages
    from broker.settings import BrokerSettings


class Routes:
    """Lives in the broker's event loop.

    Attributes:
        tree: who is subscribed to what; of a shared subscription, its group.
        groups: the shared subscriptions.
    """

    __slots__ = ("_guard", "_keeper", "_metrics", "_retained", "_settings", "_spawn", "groups", "tree")

    def __init__(
        self,
        settings: "BrokerSettings",
        guard: "Guard",
        metrics: "Metrics",
        retained: "RetainedMessages",
        keeper: "Keeper | None",
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        """`spawn` makes a task that somebody owns."""
        self._settings = settings
        self._guard = guard
        self._metrics = metrics
        self._retained = retained
        self._keeper = keeper
        self._spawn = spawn
        self.tree: SubscriptionTree[Session | Group] = SubscriptionTree()
        self.groups = Groups(self.tree, self._offer)

    def route(self, message: Message) -> bool:
        """To whoever is subscribed, at the lesser of both QoS (3.8.4).

        Returns whether it goes to disk for somebody: whoever sent it is to be told that it is taken when that is
        done (`Keeper.settle_after`).
        """
        keeper = self._keeper
        before = 0
        if keeper is not None:
            keeper.begin_route()
            before = keeper.taken
        most = message.qos
        unchecked = not self._guard.filters_receive
        for subscriber, qos, extras in self.tree.match(message.topic):
            if (extras is None and unchecked) or isinstance(subscriber, Group):
                subscriber.send(message, qos if qos < most else most)  # noqa: FURB136 -- for every message
            else:
                self._send_special(subscriber, message, qos, extras)
        return keeper is not None and keeper.taken != before

    def _send_special(self, session: Session, message: Message, qos: int, extras: Extras | None) -> None:
        retain = False
        identifiers: tuple[int, ...] = ()
        if extras is not None:
            retain, identifiers = extras.retain, extras.identifiers
            if message.origin == session.client_id:
                if extras.own_qos is None:
                    return
                qos, retain, identifiers = extras.own_qos, extras.own_retain, extras.own_identifiers
        delivery = Delivery(message, min(qos, message.qos), retain and message.retain, identifiers)
        if self._guard.filters_receive:
            self._send_checked(session, delivery)
        else:
            session.send(message, delivery.qos, delivery.retain, identifiers)

    def _offer(self, session: Session, message: Message, granted: int, group: Group) -> None:
        if self._guard.filters_receive:
            qos = min(qos_of(granted), message.qos)
            self._send_checked(session, Delivery(message, qos, group=group))
        else:
            session.send_granted(message, granted, group)

    def send_retained(self, session: Session, topic_filter: str, granted: int) -> None:
        """What a new subscription takes in (3.3.1.3)."""
        identifier = identifier_of(granted)
        for message in self._retained.match(topic_filter):
            if granted & NO_LOCAL and message.origin == session.client_id:
                continue
            identifiers = (identifier,) if identifier else ()
            delivery = Delivery(message, min(qos_of(granted), message.qos), True, identifiers)
            if self._guard.filters_receive:
                self._send_checked(session, delivery)
            else:
                session.send(message, delivery.qos, True, identifiers)

    def _send_checked(self, session: Session, delivery: Delivery) -> None:
        """Where plugins have rules on what is sent: ask once for each session and topic, keep the order."""
        waiting = session.undecided
        rights = session.receive_rights
        allowed = rights.get(delivery.message.topic) if rights is not None else None
        if waiting is None and allowed is not None:
            if allowed:
                _send(session, delivery)
            return
        if waiting is None:
            waiting = session.undecided = deque()
            self._spawn(self._decide_waiting(session, waiting))
        if len(waiting) >= self._settings.queue_messages:
            waiting.popleft()
            self._metrics.dropped_queue_full += 1
        waiting.append(delivery)

    async def _decide_waiting(self, session: Session, waiting: "deque[Delivery]") -> None:
        try:
            while waiting:
                topic = waiting[0].message.topic
                rights = session.receive_rights
                allowed = rights.get(topic) if rights is not None else None
                if allowed is None and session.view is not None:
                    allowed = await self._guard.allows(session.view, topic, Action.RECEIVE)
                    session.remember_receive_right(topic, allowed)
                while waiting and waiting[0].message.topic == topic:
                    ready = waiting.popleft()
                    if allowed:
                        _send(session, ready)
        finally:
            session.undecided = None


def _send(session: Session, delivery: Delivery) -> None:
    session.send(delivery.message, delivery.qos, delivery.retain, delivery.identifiers, delivery.group)
