"""One connection to another broker: paho-mqtt, driven by the event loop.

paho connects, logs in, subscribes, keeps the connection alive and ends it; when something is read or written is decided
here, so that nothing passes between threads. Messages and their acknowledgements go past it (`broker.external.pipe`).
What waits for what is decided above, in `broker.external.sending`.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from broker.external.endpoint import Endpoint
from broker.external.errors import LinkError, Refused, Unreachable, WrongVersion
from broker.external.pipe import Pipe
from broker.mqtt.codec import PUBACK, ack, encode_publish
from broker.mqtt.errors import MqttError
from broker.mqtt.packets import LEVEL_5, LEVEL_311, Puback, Publish
from broker.mqtt.parser import Parser, TopicMemory
from broker.mqtt.reasons import FAILED, Reason

logger = logging.getLogger("pabal.external")

KEEPALIVE_S: Final = 15
CONNECT_S: Final = 5.0
ANSWER_S: Final = 10.0
_MISC_S: Final = 1.0
_LEVEL: Final = {LEVEL_311: MQTTProtocolVersion.MQTTv311, LEVEL_5: MQTTProtocolVersion.MQTTv5}
# Packet ids of publishes; those below are left to paho, for its subscriptions.
_FIRST_ID: Final = 256
_LAST_ID: Final = 65_535
MOST_IN_FLIGHT: Final = 65_535 - 256
_LARGEST_PACKET: Final = 256 * 1024 * 1024
_WRONG_VERSION: Final = {1, 0x84}
_BUSY: Final = {3, 0x88, 0x89, 0x97, 0x9F}
# What is at QoS 0 may be lost, and is, before it takes too much memory.
_MOST_WAITING_BYTES: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Welcome:
    """`present`: the broker has kept our session. `window`: so many publishes at QoS 1 it takes before it
    acknowledges one. `expiry_s`: for how long it keeps the session, None if it does not say.
    """

    present: bool
    window: int
    expiry_s: int | None = None


class Listener(Protocol):
    """Who is told what happens on the connection, in the event loop. Nothing here raises."""

    def arrived(
        self, topic: str, payload: bytes, packet_id: int, *, retained: bool, kind: str | None
    ) -> None:
        """A message. `packet_id` is 0 where it wants no acknowledgement; `kind` is its content type."""
        ...

    def acknowledged(self, packet_id: int, refusal: str | None) -> None:
        """The broker has a publish at QoS 1. `refusal` says that it does nothing with it, and why."""
        ...


class _Client(mqtt.Client):
    """paho's client, with a pipe between it and its socket."""

    pipe: Pipe | None = None
    tls: ssl.SSLContext | None = None

    def _create_socket(self) -> Any:
        made: socket.socket = self._create_socket_connection()
        try:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls is not None:
                # Here and not in paho, which leaves the socket open when the other side is not trusted.
                made = self.tls.wrap_socket(made, server_hostname=self.host)
        except BaseException:
            made.close()
            raise
        self.pipe = Pipe(made)
        return self.pipe


class Link:
    """Opened once, and `ended` once. Not to be used again after that."""

    def __init__(
        self,
        endpoint: Endpoint,
        client_id: str,
        listener: Listener,
        *,
        level: int = LEVEL_5,
        session_s: int = 0,
    ) -> None:
        """`session_s`: for how long the broker is to keep the session, and with 0 there is none to be kept."""
        self._endpoint = endpoint
        self._level = level
        self._session_s = session_s
        self._client = self._make(client_id)
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._parser = Parser(_LARGEST_PACKET, TopicMemory(), level=level)
        self._unread = b""
        self._next_id = _FIRST_ID
        # What the broker said before it closed the connection.
        self._why = ""
        self._pipe: Pipe | None = None
        self._fd = -1
        self._misc: asyncio.TimerHandle | None = None
        self._flushing = False
        self._writing = False
        # Between the CONNACK and `begin` nothing is read, so that nothing comes before somebody is ready for it.
        self._held = False
        self._welcome: asyncio.Future[Welcome] = self._loop.create_future()
        self._subscribed: dict[int, asyncio.Future[list[int]]] = {}
        self.ended: asyncio.Future[str] = self._loop.create_future()

    def _make(self, client_id: str) -> _Client:
        clean = None if self._level == LEVEL_5 else self._session_s == 0
        client = _Client(
            CallbackAPIVersion.VERSION2,
            client_id,
            clean_session=clean,
            protocol=_LEVEL[self._level],
            manual_ack=True,
        )
        endpoint = self._endpoint
        client.connect_timeout = CONNECT_S
        if endpoint.username is not None:
            client.username_pw_set(endpoint.username, endpoint.password)
        if endpoint.tls:
            client.tls = ssl.create_default_context(cafile=endpoint.ca)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        return client

    # -- opening and closing

    async def open(self) -> Welcome:
        """Connected; nothing arrives before `begin`. Raises: LinkError."""
        try:
            await asyncio.to_thread(self._connect)
        except ssl.SSLCertVerificationError as error:
            raise Refused(f"its certificate is not trusted: {error.verify_message}") from error
        except (OSError, UnicodeError) as error:
            raise Unreachable(f"no broker answers there: {_words(error)}") from error
        self._attach()
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._welcome
        except TimeoutError:
            self.close()
            raise Unreachable("whoever answers there does not speak MQTT") from None
        except LinkError:
            self.close()
            raise

    def _connect(self) -> None:
        host, port = self._endpoint.host, self._endpoint.port
        if self._level < LEVEL_5:
            self._client.connect(host, port, KEEPALIVE_S)
            return
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = self._session_s
        properties.ReceiveMaximum = MOST_IN_FLIGHT
        self._client.connect(host, port, KEEPALIVE_S, clean_start=self._session_s == 0, properties=properties)

    def _attach(self) -> None:
        pipe = self._client.pipe
        if pipe is None:
            raise AssertionError("it was connected")
        self._pipe = pipe
        self._fd = pipe.fileno()
        self._loop.add_reader(self._fd, self._readable)
        self._misc = self._loop.call_later(_MISC_S, self._look_after)
        self._flush_soon()

    def begin(self) -> None:
        """From here on the listener is told."""
        self._held = False
        self._read_on()

    def close(self, why: str = "closed") -> None:
        """At once, telling the broker; nothing is heard of it any more."""
        if self._fd >= 0 and not self.ended.done():
            self._client.disconnect()
            self._client.loop_write()
        self._end(why)

    def _end(self, why: str) -> None:
        if self._misc is not None:
            self._misc.cancel()
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)
            self._fd = -1
        if self._pipe is not None:
            self._pipe.close()
        if not self._welcome.done():
            self._welcome.set_exception(Unreachable(f"the broker closed the connection: {why}"))
            self._welcome.exception()  # seen, where nobody waits for it
        for asked in self._subscribed.values():
            if not asked.done():
                asked.set_exception(Unreachable(f"the broker closed the connection: {why}"))
                asked.exception()  # seen, where nobody waits for it
        if not self.ended.done():
            self.ended.set_result(self._why or why)

    # -- what is sent

    async def subscribe(self, filters: Sequence[tuple[str, bool]]) -> None:
        """To these filters at QoS 1; with True the broker sends what it has retained.

        Raises: LinkError if it does not grant them all.
        """
        if self._level == LEVEL_5:
            wanted: Any = [
                (name, SubscribeOptions(qos=1, retainHandling=0 if retained else 2))
                for name, retained in filters
            ]
        else:
            wanted = [(name, 1) for name, _ in filters]
        _, packet_id = self._client.subscribe(wanted)
        answer = self._subscribed[packet_id or 0] = self._loop.create_future()
        self._flush_soon()
        try:
            async with asyncio.timeout(ANSWER_S):
                codes = await answer
        except TimeoutError:
            raise Unreachable("the broker does not answer a subscription") from None
        for (name, _), code in zip(filters, codes, strict=True):
            if code != 1:
                raise Refused(f"it does not grant {self._who} the subscription to {name} at QoS 1")

    @property
    def _who(self) -> str:
        return self._endpoint.username or "the bridge"

    def publish(self, topic: str, payload: bytes, qos: int, *, retain: bool = False) -> int:
        """Returns the packet id. At QoS 0 it may be dropped where the other side does not read."""
        pipe = self._pipe
        if pipe is None or (qos == 0 and pipe.waiting > _MOST_WAITING_BYTES):
            return 0
        packet_id = 0
        if qos:
            packet_id = self._next_id
            self._next_id = packet_id + 1 if packet_id < _LAST_ID else _FIRST_ID
        packet = Publish(topic, payload, qos, retain, packet_id=packet_id)
        pipe.send(encode_publish(packet, self._level))
        self._flush_soon()
        return packet_id

    def acknowledge(self, packet_id: int) -> None:
        if self._pipe is not None:
            self._pipe.send(ack(PUBACK, packet_id))
            self._flush_soon()

    # -- the event loop

    def _readable(self) -> None:
        if self._pipe is None:
            return
        try:
            self._unread += self._pipe.fill()
        except OSError as error:
            self._end(_words(error))
        else:
            self._read_on()

    def _read_on(self) -> None:
        pipe = self._pipe
        if pipe is None:
            return
        try:
            while pipe.pending() and self._client.loop_read() == mqtt.MQTT_ERR_SUCCESS:
                pass
        except Exception:
            # paho raises whatever it stumbles over in what a broker sends.
            logger.exception("what the broker sent could not be read")
            self._end("what the broker sent could not be read")
            return
        if not self._held and self._unread:
            unread, self._unread = self._unread, b""
            self._take(unread)
        if pipe.ended:
            self._end("the broker closed the connection")
        else:
            self._flush_soon()

    def _take(self, data: bytes) -> None:
        for packet in self._parser.feed(data):
            match packet:
                case Publish():
                    kind = None if packet.properties is None else packet.properties.content_type
                    self._listener.arrived(
                        packet.topic, packet.payload, packet.packet_id, retained=packet.retain, kind=kind
                    )
                case Puback():
                    refusal = _name(packet.reason) if packet.reason >= FAILED else None
                    self._listener.acknowledged(packet.packet_id, refusal)
                case MqttError():
                    self._end(f"the broker sent what is no MQTT: {packet}")
                    return
                case _:
                    raise AssertionError("the pipe lets nothing else through")

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        pipe = self._pipe
        if pipe is None or self._fd < 0:
            return
        try:
            self._client.loop_write()
            done = pipe.flush()
        except OSError as error:
            self._end(_words(error))
            return
        if done == self._writing:
            self._writing = not done
            if done:
                self._loop.remove_writer(self._fd)
            else:
                self._loop.add_writer(self._fd, self._flush)

    def _look_after(self) -> None:
        self._misc = self._loop.call_later(_MISC_S, self._look_after)
        self._client.loop_misc()
        self._flush_soon()

    # -- what paho tells

    def _on_connect(self, _client: Any, _data: Any, flags: Any, reason: ReasonCode, properties: Any) -> None:
        if self._welcome.done():
            return
        if reason.is_failure:
            self._welcome.set_exception(_refusal(reason, self._endpoint))
            return
        window = getattr(properties, "ReceiveMaximum", None) or MOST_IN_FLIGHT
        expiry = getattr(properties, "SessionExpiryInterval", None)
        self._held = True
        self._welcome.set_result(Welcome(bool(flags.session_present), window, expiry))

    def _on_subscribe(self, _client: Any, _data: Any, packet_id: int, codes: Any, _props: Any) -> None:
        asked = self._subscribed.pop(packet_id, None)
        if asked is not None and not asked.done():
            asked.set_result([code.value for code in codes])

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, reason: ReasonCode, _props: Any) -> None:
        # Not at once: paho is in the midst of it.
        self._why = str(reason)
        self._loop.call_soon(self._end, self._why)


def _refusal(reason: ReasonCode, endpoint: Endpoint) -> LinkError:
    code = int(reason.value)
    if code in _WRONG_VERSION:
        return WrongVersion(f"the broker refuses this version of MQTT: {reason}")
    if code in _BUSY:
        return Unreachable(f"the broker takes nobody now: {reason}")
    who = "a client without user name" if endpoint.username is None else f"user {endpoint.username}"
    return Refused(f"it refuses {who}: {reason}")


def _name(reason: int) -> str:
    try:
        return Reason(reason).name.lower().replace("_", " ")
    except ValueError:
        return f"reason {reason:#04x}"


def _words(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return "this host is not known"
    if isinstance(error, TimeoutError):
        return "no answer"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
