"""Events for the plugins that listen to them, in order, one after the other, from a bounded queue.

An event is only built if some plugin has a callback for it. A plugin that is slower than the traffic loses
events (they are counted); the traffic does not wait for it.
"""

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from amqtt.adapters import BufferReader
from amqtt.events import BrokerEvents, Events, MQTTEvents
from amqtt.mqtt import packet_class
from amqtt.mqtt.packet import MQTTFixedHeader
from amqtt.plugins.manager import PluginManager
from amqtt.session import IncomingApplicationMessage

from broker.mqtt.encoding import encode_as_311
from broker.mqtt.errors import MqttError
from broker.mqtt.fields import MAX_REMAINING
from broker.mqtt.packets import LEVEL_5
from broker.mqtt.parser import Parser, TopicMemory

if TYPE_CHECKING:
    from broker.metrics import Metrics
    from broker.mqtt.packets import Publish
    from broker.session import Session

_log = logging.getLogger("pabal.broker")
_WAITING: Final = 10_000
_STOP_TIMEOUT_S: Final = 5


class EventQueue:
    """Tells plugins.

    Attributes (each: whether some plugin listens): connected, disconnected, subscribed, unsubscribed,
        retained, received, broadcast, packets_in, packets_out.
    """

    __slots__ = (
        "_manager",
        "_metrics",
        "_stopping",
        "_task",
        "_waiting",
        "_wake",
        "broadcast",
        "connected",
        "disconnected",
        "packets_in",
        "packets_out",
        "received",
        "retained",
        "subscribed",
        "unsubscribed",
    )

    def __init__(self, manager: PluginManager[Any], metrics: "Metrics") -> None:
        self._manager = manager
        self._metrics = metrics
        self._waiting: deque[tuple[Events, dict[str, Any]]] = deque()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        heard = manager._event_plugin_callbacks  # noqa: SLF001 -- guarded by a test; amqtt has no other way to ask
        self.connected = BrokerEvents.CLIENT_CONNECTED in heard
        self.disconnected = BrokerEvents.CLIENT_DISCONNECTED in heard
        self.subscribed = BrokerEvents.CLIENT_SUBSCRIBED in heard
        self.unsubscribed = BrokerEvents.CLIENT_UNSUBSCRIBED in heard
        self.retained = BrokerEvents.RETAINED_MESSAGE in heard
        self.received = BrokerEvents.MESSAGE_RECEIVED in heard
        self.broadcast = BrokerEvents.MESSAGE_BROADCAST in heard
        self.packets_in = MQTTEvents.PACKET_RECEIVED in heard
        self.packets_out = MQTTEvents.PACKET_SENT in heard

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._work())

    async def stop(self) -> None:
        """After what waits has been told, or five seconds."""
        if self._task is None:
            return
        self._stopping = True
        self._wake.set()
        await asyncio.wait({self._task}, timeout=_STOP_TIMEOUT_S)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None

    def tell(self, event: Events, **about: Any) -> None:
        """The caller has looked whether anybody listens."""
        if len(self._waiting) >= _WAITING:
            self._metrics.dropped_events += 1
            return
        self._waiting.append((event, about))
        self._wake.set()

    def tell_message(self, event: Events, session: "Session", packet: "Publish") -> None:
        """A message event, with the message as amqtt has it."""
        message = IncomingApplicationMessage(
            packet.packet_id or None, packet.topic, packet.qos, packet.payload, packet.retain
        )
        message.publish_packet = message.build_publish_packet(dup=packet.dup)
        self.tell(event, client_id=session.client_id, message=message)

    def tell_packet(self, event: Events, session: "Session | None", raw: bytes, level: int) -> None:
        """A packet event; the bytes become packets of amqtt's when their turn comes. It knows 3.1.1 alone, so of
        MQTT 5 it is told what that has too.
        """
        if level >= LEVEL_5:
            parser = Parser(MAX_REMAINING, TopicMemory(), level=level)
            raw = b"".join(encode_as_311(one) for one in parser.feed(raw) if not isinstance(one, MqttError))
        self.tell(event, raw=raw, session=session.view if session is not None else None)

    async def _work(self) -> None:
        while not self._stopping:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                event, about = self._waiting.popleft()
                if isinstance(event, MQTTEvents):
                    await self._fire_packets(event, about["raw"], about["session"])
                else:
                    await self._manager.fire_event(event, wait=True, **about)

    async def _fire_packets(self, event: Events, raw: bytes, session: Any) -> None:
        reader = BufferReader(raw)
        while True:
            header = await MQTTFixedHeader.from_stream(reader)
            if header is None:
                return
            try:
                packet = await packet_class(header).from_stream(reader, fixed_header=header)
            except Exception:  # noqa: BLE001 -- amqtt's codec is laxer and stricter than ours in places
                _log.debug("a packet that amqtt's codec does not take")
                return
            await self._manager.fire_event(event, wait=True, packet=packet, session=session)
