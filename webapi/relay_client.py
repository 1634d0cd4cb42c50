"""Asking the relay over MQTT: `webapi.ports.RelayClient` on paho-mqtt, with a service's own credential."""

import logging
import socket
import threading
import uuid
from dataclasses import dataclass, field
from typing import Any

import msgspec
import paho.mqtt.client as mqtt
from msgspec import Raw
from paho.mqtt.enums import CallbackAPIVersion

from pabal import topics
from pabal.errors import Unavailable
from pabal.ids import DeviceId, UserId
from pabal.messages import ActingAs, ServiceReply, ServiceRequest

_log = logging.getLogger("pabal.webapi")
# paho looks through all unacknowledged publishes at every acknowledgement, so they are kept few.
MAX_OUTSTANDING = 64
TIMEOUT_S = 10.0
_KEEPALIVE_S = 30
_RECONNECT_S = (1, 5)


@dataclass(slots=True, eq=False)
class _Asked:
    packet: bytes
    answered: threading.Event = field(default_factory=threading.Event)
    reply: bytes | None = None


class MqttRelayClient:
    """One connection for the whole process, made again whenever it breaks. Thread-safe.

    A question that was under way when the connection broke is asked again on the next one: requests have ids,
    so asking twice is safe.
    """

    def __init__(
        self,
        host: str,
        port: int,
        instance: str,
        secret: str,
        *,
        timeout_s: float = TIMEOUT_S,
        max_outstanding: int = MAX_OUTSTANDING,
    ) -> None:
        self._host = host
        self._port = port
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
        self._client.reconnect_delay_set(*_RECONNECT_S)
        self._client.on_socket_open = _send_at_once
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message

    def start(self) -> None:
        """Begin to connect, in a thread of the client's own; call it after any fork. End it with `stop`."""
        self._client.connect_async(self._host, self._port, _KEEPALIVE_S)
        self._client.loop_start()

    def stop(self) -> None:
        """Disconnect and wait for the thread. Who still asks gets no answer."""
        self._client.disconnect()
        self._client.loop_stop()

    def connected(self) -> bool:
        """As `webapi.ports.RelayClient`."""
        return self._subscribed.is_set()

    def ask(self, user: UserId, device: DeviceId, request: bytes) -> bytes:
        """As `webapi.ports.RelayClient`."""
        ref = uuid.uuid4().hex
        asked = _Asked(
            msgspec.json.encode(
                ServiceRequest(ref=ref, as_=ActingAs(user=user, device=device), request=Raw(request))
            )
        )
        with self._guard:
            if len(self._asked) >= self._max_outstanding:
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
            raise Unavailable("the relay did not answer; send again with the same id", retry_after=1)
        return asked.reply

    def _on_connect(self, client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _props: Any) -> None:
        if reason.is_failure:
            _log.error("the broker refused the webapi's credential: %s", reason)
            return
        client.subscribe(self._down, qos=1)

    def _on_subscribe(self, client: mqtt.Client, _data: Any, _mid: int, reasons: Any, _props: Any) -> None:
        if any(reason.is_failure for reason in reasons):
            _log.error("the broker refused the webapi's subscription to %s", self._down)
            return
        # From here on `ask` publishes by itself; what both publish is answered twice and taken once.
        self._subscribed.set()
        with self._guard:
            waiting = [asked.packet for asked in self._asked.values() if asked.reply is None]
        for packet in waiting:
            client.publish(self._up, packet, qos=1)

    def _on_disconnect(self, _client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _p: Any) -> None:
        self._subscribed.clear()
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
