"""Retained messages: one for each topic, bounded in number and bytes, gone when they expire."""

import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from bridge.ports import Retained, SessionStore
from broker.message import Message
from broker.topic_tree import TopicMap
from pabal.errors import Unavailable

if TYPE_CHECKING:
    from broker.metrics import Metrics
    from broker.settings import BrokerSettings

_log: Final = logging.getLogger("pabal.broker")


class RetainedMessages:
    """In memory, and on disk if there is a store."""

    __slots__ = ("_bytes", "_clock", "_metrics", "_settings", "_store", "_topics")

    def __init__(
        self,
        settings: "BrokerSettings",
        metrics: "Metrics",
        store: SessionStore | None,
        clock: Callable[[], int],
    ) -> None:
        """`clock` gives milliseconds since 1970."""
        self._settings = settings
        self._metrics = metrics
        self._store = store
        self._clock = clock
        self._topics: TopicMap[Message] = TopicMap()
        self._bytes = 0

    def has_room(self, message: Message) -> bool:
        """Whether it may be kept: what only clears always may."""
        settings, earlier = self._settings, self._topics.get(message.topic)
        if not message.payload:
            return True
        taken = 0 if earlier is None else earlier.size
        return (
            message.size <= settings.retained_message_bytes
            and self._bytes - taken + message.size <= settings.retained_bytes
            and (earlier is not None or len(self._topics) < settings.retained_messages)
        )

    def keep(self, message: Message) -> bool:
        """An empty payload clears [MQTT-3.3.1-10]. Returns False, and keeps what was there, if there is no room."""
        if not self.has_room(message):
            self._metrics.retained_refused += 1
            return False
        self.hold(message)
        return True

    def hold(self, message: Message) -> None:
        """Likewise, but what the server itself keeps: it is bounded elsewhere, and clients' messages leave room for
        it.
        """
        self._remove(message.topic)
        if message.payload:
            self._bytes += message.size
            self._topics.set(message.topic, message)
        self._metrics.retained = len(self._topics)
        self._metrics.retained_bytes = self._bytes

    def _remove(self, topic: str) -> None:
        earlier = self._topics.pop(topic)
        if earlier is not None:
            self._bytes -= earlier.size

    def match(self, topic_filter: str) -> list[Message]:
        """Those that a valid filter takes in and that have not expired."""
        found = self._topics.match(topic_filter)
        if not any(message.expires is not None for message in found):
            return found
        now = self._clock()
        return [message for message in found if not message.is_expired(now)]

    def items(self) -> Iterator[tuple[str, Message]]:
        yield from self._topics.items()

    def __len__(self) -> int:
        return len(self._topics)

    async def save(self, message: Message) -> bool:
        """On disk. Returns False if the store does not take it."""
        if self._store is None:
            return True
        row = Retained(message.topic, message.payload, message.qos)
        if message.payload:
            row = Retained(
                message.topic, message.payload, message.qos, message.pack_properties(), message.expires
            )
        try:
            await self._store.save_retained(row)
        except Unavailable:
            _log.warning("a retained message could not be stored")
            return False
        return True

    async def load(self) -> None:
        """Raises: errors.Unavailable."""
        if self._store is None:
            return
        for row in await self._store.load_retained():
            message = Message.retained_row(row.topic, row.payload, row.qos, row.properties, row.expires)
            self._topics.set(message.topic, message)
            self._bytes += message.size
        self._metrics.retained = len(self._topics)
        self._metrics.retained_bytes = self._bytes

    async def sweep(self) -> None:
        """Forget what has expired."""
        now = self._clock()
        for topic, message in list(self._topics.items()):
            if message.is_expired(now) and self._topics.get(topic) is message:
                empty = Message(topic, b"", 0)
                self.keep(empty)
                self._metrics.dropped_expired += 1
                await self.save(empty)
