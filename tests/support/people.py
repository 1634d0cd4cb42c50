"""Users with devices of a running server, as plain MQTT clients and over REST."""

import json
import threading
import time
from collections.abc import Callable

import httpx2
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

PASSWORD = "correct horse battery"
DEADLINE_S = 60


def wait_for(
    condition: Callable[[], object], what: str = "the condition", deadline_s: float = DEADLINE_S
) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"waited {deadline_s} s for {what}"
        time.sleep(0.01)


class Person:
    """A user who is signed up and logged in on the device `phone`; REST with its token."""

    def __init__(self, api: str, user: str, device: str = "phone") -> None:
        self.user = user
        self.device = device
        # No connection is used again that the server may be about to close, as it does after 5 s.
        limits = httpx2.Limits(keepalive_expiry=2)
        self.http = httpx2.Client(base_url=api, timeout=70, limits=limits)
        signed_up = self.http.post("/users", json={"user": user, "password": PASSWORD})
        assert signed_up.status_code in {201, 409}, signed_up.text
        self.log_in()

    def log_in(self) -> dict:
        answer = self.http.post(
            "/sessions", json={"user": self.user, "password": PASSWORD, "device": self.device}
        )
        assert answer.status_code == 201, answer.text
        self.session = answer.json()
        self.http.headers["Authorization"] = f"Bearer {self.session['access_token']}"
        return self.session

    def secret(self, device: str, allow: list[str] | None = None) -> str:
        """A new device of this user with a secret of its own."""
        asked = {"device": device, "password": PASSWORD, **({"allow": allow} if allow else {})}
        answer = self.http.post("/devices", json=asked)
        assert answer.status_code == 201, answer.text
        return answer.json()["secret"]

    def send(self, to: str, text: str, **fields: object) -> httpx2.Response:
        return self.http.post(f"/conversations/@{to}/messages", json={"text": text, **fields})

    def inbox(self, after: int = 0) -> list[dict]:
        items: list[dict] = []
        while True:
            page = self.http.get("/sync", params={"after": items[-1]["seq"] if items else after}).json()
            items += page["items"]
            if not page["more"]:
                return items

    def close(self) -> None:
        self.http.close()


class Plain:
    """Nothing but MQTT: what arrives, in order, by topic. Not reconnecting unless asked."""

    def __init__(
        self,
        port: int,
        client_id: str,
        password: str,
        *,
        clean: bool = True,
        transport: str = "tcp",
        username: str | None = None,
        will: tuple[str, bytes, int, bool] | None = None,
    ) -> None:
        self.client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id,
            clean_session=clean,
            transport=transport,
            reconnect_on_failure=False,
        )
        self.client.connect_timeout = DEADLINE_S
        self.client.username_pw_set(username or client_id.split(":", maxsplit=1)[0], password)
        if transport == "websockets":
            self.client.ws_set_options(path="/mqtt")
        if will is not None:
            self.client.will_set(*will)
        self.port = port
        self.messages: list[tuple[str, dict]] = []
        self.raw: list[mqtt.MQTTMessage] = []
        self.connack: int | None = None
        self.session_present = False
        self.suback: list[int] | None = None
        self.acked: set[int] = set()
        self.closed = threading.Event()
        self.client.on_connect = self._on_connect
        self.client.on_message = self._on_message
        self.client.on_subscribe = self._on_subscribe
        self.client.on_publish = lambda _c, _u, mid, *_r: self.acked.add(mid)
        self.client.on_disconnect = lambda *_: self.closed.set()

    def _on_connect(self, _client, _user, flags, reason, _properties) -> None:
        self.session_present = flags.session_present
        self.connack = reason.value

    def _on_message(self, _client, _user, message: mqtt.MQTTMessage) -> None:
        self.raw.append(message)
        decoded = json.loads(message.payload) if message.payload[:1] in {b"{", b"["} else None
        for item in decoded if isinstance(decoded, list) else [decoded]:
            self.messages.append((message.topic, item))

    def _on_subscribe(self, _client, _user, _mid, reasons, _properties) -> None:
        self.suback = [reason.value for reason in reasons]

    def connect(self, *, expect: int | None = 0) -> "Plain":
        """Returns when the CONNACK is there; `expect` None: whatever it says."""
        self.connack = None
        self.closed.clear()
        self.client.connect("127.0.0.1", self.port, keepalive=30)
        self.client.loop_start()
        wait_for(lambda: self.connack is not None or self.closed.is_set(), "CONNACK")
        if expect is not None:
            assert self.connack == expect
        return self

    def subscribe(self, *topics: str, qos: int = 1) -> list[int]:
        self.suback = None
        self.client.subscribe([(topic, qos) for topic in topics])
        wait_for(lambda: self.suback is not None, "SUBACK")
        assert self.suback is not None
        return self.suback

    def publish(self, topic: str, payload: object, qos: int = 1, *, retain: bool = False) -> None:
        """Returns when it is acknowledged (QoS 1 and 2)."""
        raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        info = self.client.publish(topic, raw, qos, retain)
        wait_for(lambda: info.mid in self.acked, "PUBACK")

    def updates(self, user: str) -> list[dict]:
        return [item for topic, item in list(self.messages) if topic == f"pabal/v1/inbox/{user}"]

    def seqs(self, user: str) -> list[int]:
        return [update["seq"] for update in self.updates(user)]

    def on(self, topic: str) -> list[dict]:
        return [item for name, item in list(self.messages) if name == topic]

    def close(self) -> None:
        """A clean end: DISCONNECT."""
        self.client.disconnect()
        self.client.loop_stop()

    def vanish(self) -> None:
        """An unclean end: the socket closes without a word."""
        sock = self.client.socket()
        self.client.on_disconnect = None
        if sock is not None:
            sock.close()
        self.client.loop_stop()
