"""MQTT by paho, over TCP, TLS and WebSocket: one `Link` is one connection, used by one thread.

The shell asks for what happened with `step`; nothing is called back. A link is never reused, so nothing of an
old connection (queued packets, a will, packet ids) can leak into the next.
"""

import os
import select
import socket
import ssl
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from pabal_client import effects as e
from pabal_client.errors import ClientError, Unreachable

_FAILURE = 0x80
_BAD_LOGIN = frozenset({0x86, 0x87})  # bad user name or password; not authorized
_PORTS = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}
# paho walks its whole queue on every PUBACK; beyond this many, publishes wait here.
WINDOW = 20
MAX_WAITING = 1000
_READS_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Address:
    """Where a broker listens."""

    scheme: str
    host: str
    port: int
    path: str = "/mqtt"

    @property
    def encrypted(self) -> bool:
        return self.scheme in {"mqtts", "wss"}

    @property
    def websocket(self) -> bool:
        return self.scheme in {"ws", "wss"}


def parse_address(text: str) -> Address:
    """`mqtt://host:port`, `mqtts://…`, `ws://host:port/mqtt`, `wss://…`, or just `host:port`.

    Raises: ClientError if it is none of these.
    """
    url = urlsplit(text if "://" in text else f"mqtt://{text}")
    try:
        port = url.port
    except ValueError:
        port = None if url.netloc.endswith(":") else -1
    scheme = {"tcp": "mqtt", "ssl": "mqtts", "http": "ws", "https": "wss"}.get(url.scheme, url.scheme)
    if scheme not in _PORTS or not url.hostname or port == -1:
        raise ClientError(f"{text!r} is no broker address such as mqtt://host:1883 or ws://host:8083/mqtt")
    return Address(scheme, url.hostname, port or _PORTS[scheme], url.path if len(url.path) > 1 else "/mqtt")


@dataclass(frozen=True, slots=True)
class Login:
    client_id: str
    username: str
    password: str


@dataclass(frozen=True, slots=True)
class Connected:
    pass


@dataclass(frozen=True, slots=True)
class Subscribed:
    granted: tuple[bool, ...]
    token: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class PubAck:
    token: int


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection is over, or did not come about. `login_refused`: because of the credential."""

    reason: str
    login_refused: bool = False


Happening = Connected | Subscribed | Message | PubAck | Lost


class Transport(Protocol):
    """What the client needs of a connection. All but `wake` are called by one thread."""

    def step(self, timeout: float) -> list[Happening]:
        """What happened, in order; waits up to `timeout` seconds for it. `Lost` is the last thing ever."""
        ...

    def publish(self, publish: e.Publish) -> None: ...

    def subscribe(self, subscribe: e.Subscribe) -> None: ...

    def unsubscribe(self, unsubscribe: e.Unsubscribe) -> None: ...

    def close(self, farewell: e.Publish | None = None) -> None:
        """Say `farewell`, take leave properly, and let go of the socket."""
        ...

    def wake(self) -> None:
        """End the wait of `step` early. For any thread."""
        ...


class Link:
    """A `Transport` over paho-mqtt, MQTT 3.1.1 with a clean session: the cursor is ours, not the broker's.

    Connecting blocks for at most `connect_timeout` seconds.

    Raises: Unreachable if there is no connection to be had.
    """

    def __init__(
        self,
        address: Address,
        login: Login,
        will: e.Publish,
        *,
        tls: ssl.SSLContext | None = None,
        keepalive: int = 30,
        connect_timeout: float = 10.0,
    ) -> None:
        self._happened: list[Happening] = []
        self._tokens: dict[int, int] = {}
        self._subscriptions: dict[int, int] = {}
        self._waiting: deque[e.Publish] = deque()
        self._lost = False
        self._wake_r, self._wake_w = socket.socketpair()
        self._wake_r.setblocking(False)
        self._wake_w.setblocking(False)
        self._paho = self._make_paho(address, login, will, tls)
        self._paho.connect_timeout = connect_timeout
        try:
            self._paho.connect(address.host, address.port, keepalive)
        except (OSError, ValueError, mqtt.WebsocketConnectionError) as error:
            self._release()
            raise Unreachable(f"cannot connect to {address.host}:{address.port}: {error}") from error
        self._send_small_packets_at_once()

    def _send_small_packets_at_once(self) -> None:
        """Without this a publish waits up to 40 ms for the server's delayed TCP acknowledgement of a PUBACK."""
        sock: Any = self._paho.socket()
        if sock is not None:
            # paho may have wrapped the socket; a second handle on the same one takes the option in any case.
            with socket.socket(fileno=os.dup(sock.fileno())) as raw:
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _make_paho(
        self, address: Address, login: Login, will: e.Publish, tls: ssl.SSLContext | None
    ) -> mqtt.Client:
        paho = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=login.client_id,
            clean_session=True,
            transport="websockets" if address.websocket else "tcp",
            reconnect_on_failure=False,
        )
        paho.username_pw_set(login.username, login.password)
        paho.will_set(will.topic, will.payload, will.qos, will.retain)
        paho.max_inflight_messages = WINDOW + 1
        if address.websocket:
            paho.ws_set_options(path=address.path)
        if address.encrypted:
            paho.tls_set_context(tls or ssl.create_default_context())
        paho.on_connect = self._on_connect
        paho.on_disconnect = self._on_disconnect
        paho.on_subscribe = self._on_subscribe
        paho.on_publish = self._on_publish
        paho.on_message = self._on_message
        return paho

    def _on_connect(self, _c: Any, _u: Any, _flags: Any, code: ReasonCode, _props: Any) -> None:
        if code.value < _FAILURE:
            self._happened.append(Connected())
        else:
            self._lose(f"the broker refused the connection: {code}", login_refused=code.value in _BAD_LOGIN)

    def _on_disconnect(self, _c: Any, _u: Any, _flags: Any, code: ReasonCode, _props: Any) -> None:
        self._lose(f"the connection was lost: {code}")

    def _on_subscribe(self, _c: Any, _u: Any, mid: int, codes: list[ReasonCode], _props: Any) -> None:
        token = self._subscriptions.pop(mid, None)
        if token is not None:
            self._happened.append(Subscribed(tuple(code.value < _FAILURE for code in codes), token))

    def _on_publish(self, _c: Any, _u: Any, mid: int, _code: Any, _props: Any) -> None:
        token = self._tokens.pop(mid, None)
        if token is not None:
            self._happened.append(PubAck(token))

    def _on_message(self, _c: Any, _u: Any, message: mqtt.MQTTMessage) -> None:
        self._happened.append(Message(message.topic, bytes(message.payload)))

    def _lose(self, reason: str, *, login_refused: bool = False) -> None:
        if not self._lost:
            self._lost = True
            self._happened.append(Lost(reason, login_refused))

    def publish(self, publish: e.Publish) -> None:
        """Publish now, or when earlier ones were acknowledged. Past MAX_WAITING the connection is given up."""
        if len(self._tokens) < WINDOW and not self._waiting:
            self._publish(publish)
        elif len(self._waiting) < MAX_WAITING:
            self._waiting.append(publish)
        else:
            self._lose("the broker acknowledges too slowly")

    def _publish(self, publish: e.Publish) -> None:
        if self._lost:
            return
        info = self._paho.publish(publish.topic, publish.payload, publish.qos, publish.retain)
        if publish.qos:
            self._tokens[info.mid] = publish.token

    def subscribe(self, subscribe: e.Subscribe) -> None:
        if not self._lost:
            _, mid = self._paho.subscribe(list(subscribe.filters))
            if mid is not None:
                self._subscriptions[mid] = subscribe.token

    def unsubscribe(self, unsubscribe: e.Unsubscribe) -> None:
        if not self._lost:
            self._paho.unsubscribe(list(unsubscribe.topics))

    def wake(self) -> None:
        with suppress(OSError):  # it is awake already, or closed
            self._wake_w.send(b"\0")

    def step(self, timeout: float) -> list[Happening]:
        sock: Any = self._paho.socket()
        if sock is None:
            self._lose("the connection was lost")
        elif not self._happened:
            self._serve(sock, timeout)
        while self._waiting and len(self._tokens) < WINDOW:
            self._publish(self._waiting.popleft())
        happened, self._happened = self._happened, []
        return happened

    def _serve(self, sock: Any, timeout: float) -> None:
        pending = bool(getattr(sock, "pending", lambda: 0)())
        readable, writable = self._wait(sock, 0.0 if pending else timeout)
        if readable or pending:
            self._read()
        if writable and self._paho.socket() is not None:
            self._check(self._paho.loop_write())
        if self._paho.socket() is not None:
            self._check(self._paho.loop_misc())

    def _wait(self, sock: Any, timeout: float) -> tuple[bool, bool]:
        poll = select.poll()
        writing = select.POLLOUT if self._paho.want_write() else 0
        poll.register(sock, select.POLLIN | writing)
        poll.register(self._wake_r, select.POLLIN)
        ready = dict(poll.poll(max(0.0, min(timeout, 1.0)) * 1000))
        if self._wake_r.fileno() in ready:
            self._wake_r.recv(4096)
        state = ready.get(sock.fileno(), 0)
        return bool(state & ~select.POLLOUT), bool(state & select.POLLOUT)

    def _read(self) -> None:
        """Read until nothing comes. paho reads one packet at a time and may hold more of a WebSocket frame in
        its own buffer, where no poll would see it; so it is asked until it twice has nothing to tell.
        """
        idle = 0
        for _ in range(_READS_AT_ONCE):
            before = len(self._happened)
            self._check(self._paho.loop_read())
            idle = idle + 1 if len(self._happened) == before else 0
            if idle > 1 or self._paho.socket() is None:
                return

    def _check(self, code: MQTTErrorCode) -> None:
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._lose(f"the connection was lost: {mqtt.error_string(code)}")

    def close(self, farewell: e.Publish | None = None) -> None:
        if not self._lost:
            if farewell is not None:
                self._paho.publish(farewell.topic, farewell.payload, farewell.qos, farewell.retain)
            self._paho.disconnect()
            self._flush()
        self._lost = True
        self._release()

    def _flush(self) -> None:
        """What was said last leaves the process, or a second has passed."""
        for _ in range(10):
            sock: Any = self._paho.socket()
            if sock is None or not self._paho.want_write():
                return
            poll = select.poll()
            poll.register(sock, select.POLLOUT)
            poll.poll(100)
            self._paho.loop_write()

    def _release(self) -> None:
        # paho offers no call that closes its socket without a word on the wire.
        self._paho._sock_close()  # noqa: SLF001 -- see above
        self._paho._reset_sockets()  # noqa: SLF001 -- the pair it wakes itself with, which would leak
        self._wake_r.close()
        self._wake_w.close()
