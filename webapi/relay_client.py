"""Asking the relay over MQTT: `webapi.ports.RelayClient` on paho-mqtt, with a service's own credential."""

import logging
import random
import socket
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import paho.mqtt.client as mqtt
from msgspec import Raw
from paho.mqtt.enums import CallbackAPIVersion

from bridge.tracing import current
from pabal import topics
from pabal.errors import Unavailable
from pabal.ids import DeviceId, UserId
from pabal.messages import ActingAs, ServiceReply, ServiceRequest
from webapi.figures import Figures

if TYPE_CHECKING:
    import ssl

_log = logging.getLogger("pabal.webapi")
# paho looks through all unacknowledged publishes at every acknowledgement, so they are kept few.
MAX_OUTSTANDING = 64
TIMEOUT_S = 10.0
_KEEPALIVE_S = 30
_CONNECT_S = 5.0
# The longest pause before the first try to connect again, which is doubled at every further one up to the second.
_RECONNECT_S = (0.25, 2.0)


@dataclass(slots=True, eq=False)
class _Asked:
    packet: bytes
    answered: threading.Event = field(default_factory=threading.Event)
    reply: bytes | None = None


class MqttRelayClient:
    """One connection for the whole process, made again whenever it breaks. Thread-safe.

    A question that was under way when the connection broke is asked again on the next one: requests have ids,
    so asking twice is safe. Pauses before a try are drawn at random, so that many processes that lost their broker
    at the same moment do not come back at the same moment.
    """

    def __init__(
        self,
        addresses: Sequence[tuple[str, int]],
        instance: str,
        secret: str,
        *,
        tls: "ssl.SSLContext | None" = None,
        figures: Figures | None = None,
        timeout_s: float = TIMEOUT_S,
        max_outstanding: int = MAX_OUTSTANDING,
    ) -> None:
        """`addresses`: `(host, port)` of the broker, and of those that may take over from it; tried in turn. Of several
        processes each has an `instance` of its own.
        """
        self._addresses = list(addresses)
        self._figures = figures or Figures()
        self._place = 0
        self._failures = 0
        self._told = False
        self._failure: str | None = None
        self._up = topics.service_up(instance)
        self._down = topics.service_down(instance)
        self._timeout_s = timeout_s
        self._max_outstanding = max_outstanding
        self._guard = threading.Lock()
        self._asked: dict[str, _Asked] = {}
        self._subscribed = threading.Event()
        name = f"svc:{instance}"
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, clean_session=True)
        self._client.username_pw_set(name, secret)
        self._client.max_inflight_messages_set(max_outstanding)
        self._client.connect_timeout = _CONNECT_S
        if tls is not None:
            self._client.tls_set_context(tls)
        self._client.on_socket_open = _send_at_once
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message

    def start(self) -> None:
        """Begin to connect, in a thread of the client's own; call it after any fork. End it with `stop`."""
        self._draw_pause()
        self._client.connect_async(*self._addresses[0], _KEEPALIVE_S)
        self._client.loop_start()

    def stop(self) -> None:
        """Disconnect and wait for the thread. Who still asks gets no answer."""
        self._client.disconnect()
        self._client.loop_stop()

    def connected(self) -> bool:
        """As `webapi.ports.RelayClient`."""
        return self._subscribed.is_set()

    def await_connected(self, timeout_s: float) -> bool:
        """Whether it is within this time."""
        return self._subscribed.wait(timeout_s)

    @property
    def failure(self) -> str | None:
        """Why the last try to connect failed; None if none has."""
        return self._failure

    def ask(self, user: UserId, device: DeviceId, request: bytes) -> bytes:
        """As `webapi.ports.RelayClient`."""
        ref = uuid.uuid4().hex
        trace = current.get()
        asked = _Asked(
            msgspec.json.encode(
                ServiceRequest(
                    ref=ref,
                    as_=ActingAs(user=user, device=device),
                    request=Raw(request),
                    traceparent=None if trace is None else str(trace),
                )
            )
        )
        began = time.perf_counter()
        with self._guard:
            if len(self._asked) >= self._max_outstanding:
                self._figures.not_answered()
                raise Unavailable("too many requests are under way", retry_after=1)
            self._asked[ref] = asked
        try:
            # Without a connection nothing is queued; whatever waits is published once there is one.
            if self._subscribed.is_set():
                self._client.publish(self._up, asked.packet, qos=1)
            asked.answered.wait(self._timeout_s)
        finally:
            with self._guard:
                del self._asked[ref]
        if asked.reply is None:
            self._figures.not_answered()
            raise Unavailable("the relay did not answer; send again with the same id", retry_after=1)
        self._figures.asked(time.perf_counter() - began)
        return asked.reply

    def _on_connect_fail(self, client: mqtt.Client, _data: Any) -> None:
        if len(self._addresses) > 1:
            self._place = (self._place + 1) % len(self._addresses)
            client.connect_async(*self._addresses[self._place], _KEEPALIVE_S)
        self._failed("the broker cannot be reached")

    def _on_connect(self, client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _props: Any) -> None:
        if reason.is_failure:
            self._failed(f"the broker refused the webapi's credential: {reason}")
            return
        client.subscribe(self._down, qos=1)

    def _failed(self, why: str) -> None:
        """Told once until it is connected again."""
        self._failures += 1
        self._failure = why
        self._draw_pause()
        if not self._told:
            where = ", ".join(f"{host}:{port}" for host, port in self._addresses)
            _log.error("%s (%s); not ready, and trying again", why, where)
        self._told = True

    def _draw_pause(self) -> None:
        """Before the next try."""
        shortest, longest = _RECONNECT_S
        pause: Any = min(shortest * 2.0 ** min(self._failures, 10), longest)
        pause *= random.uniform(0.5, 1.0)  # noqa: S311 -- no secret
        # Typed as a whole number; fractions are taken too.
        self._client.reconnect_delay_set(pause, pause)

    def _on_subscribe(self, client: mqtt.Client, _data: Any, _mid: int, reasons: Any, _props: Any) -> None:
        if any(reason.is_failure for reason in reasons):
            self._failed(f"the broker refused the webapi's subscription to {self._down}")
            return
        if self._told:
            _log.warning("the broker is reached again")
        self._failures, self._told = 0, False
        # From here on `ask` publishes by itself; what both publish is answered twice and taken once.
        self._subscribed.set()
        with self._guard:
            waiting = [asked.packet for asked in self._asked.values() if asked.reply is None]
        for packet in waiting:
            client.publish(self._up, packet, qos=1)

    def _on_disconnect(self, _client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _p: Any) -> None:
        self._subscribed.clear()
        self._draw_pause()
        _log.info("the connection to the broker ended: %s", reason)

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        try:
            answer = msgspec.json.decode(message.payload, type=ServiceReply)
        except msgspec.DecodeError as error:
            _log.error("an answer of the relay could not be read: %s", error)
            return
        with self._guard:
            asked = self._asked.get(answer.ref)
        if asked is not None:
            asked.reply = bytes(answer.reply)
            asked.answered.set()


def _send_at_once(_client: mqtt.Client, _data: Any, opened: Any) -> None:
    """Without this a request that follows an acknowledgement waits 40 ms for the other side's delayed ACK."""
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
