"""Tells the broker what was committed and what is answered, and those who wait elsewhere that there is something."""

from collections.abc import Callable

from bridge.backplane.bells import Bell
from bridge.live import Live
from bridge.ports import Courier, Outbound
from bridge.store.faults import Faults
from bridge.store.relay_store import Committed
from pabal import codec, topics
from pabal import messages as m
from pabal.codec import Format


class Announcer:
    """Lives in the event loop's thread; nothing here waits. Until it is started replies go nowhere."""

    def __init__(self, live: Live, bell: Bell, on_pushed: Callable[[], None], faults: Faults) -> None:
        """`live`, `bell` and `on_pushed` as in `bridge.relay.Relay`."""
        self._live = live
        self._bell = bell
        self._on_pushed = on_pushed
        self._faults = faults
        self._outbound: Outbound | None = None
        self._courier: Courier | None = None

    def start(self, outbound: Outbound, courier: Courier | None) -> None:
        self._outbound = outbound
        self._courier = courier

    def committed(self, result: Committed) -> bool:
        """Tell all that a batch has done. Returns whether the broker has its updates now; with a courier it tells
        itself when.
        """
        outbound = self._outbound
        if outbound is None:
            raise AssertionError("the relay was not started")
        self._faults.reach("before_publish")
        for conv, user in result.left:
            outbound.revoke(user, topics.room(conv))
        for user in dict.fromkeys(result.related):
            outbound.review(user)
        if self._courier is not None:
            self._courier.hand_over(result.batch_id, result.deliveries)
        else:
            for user, updates in result.deliveries.items():
                outbound.deliver(user, updates)
        for conv, payload in result.rooms:
            outbound.publish(topics.room(conv), payload, 0)
        is_delivered = bool(result.deliveries) and self._courier is None
        if is_delivered:
            self._bell.news(result.deliveries)
        if result.moved or result.arrived or result.is_regrouped:
            self._live.committed(result)
        if result.is_pushed:
            self._on_pushed()
        return is_delivered

    def reply_down(self, topic: str, form: Format, trace: str | None, as_json: bytes) -> None:
        """To a device, in the form of its request, with the trace context that it goes on with."""
        payload = as_json if form is Format.JSON else codec.to_msgpack(as_json)
        if self._outbound is None:
            return
        if trace is None:
            self._outbound.publish(topic, payload, 1)
        else:
            self._outbound.publish(topic, payload, 1, trace)

    def reply_service(self, topic: str, ref: str, as_json: bytes) -> None:
        """To a service that asked in a user's name."""
        if self._outbound is not None:
            payload = codec.encode(m.ServiceReply(ref=ref, reply=codec.raw(as_json)))
            self._outbound.publish(topic, payload, 1)
