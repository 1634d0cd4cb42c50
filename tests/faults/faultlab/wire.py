"""One MQTT connection of a device, made anew whenever it is lost: persistent or clean, with its filters and rooms."""

import time
from dataclasses import dataclass, field
from typing import Protocol

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from faultlab.device import Device

_KEEPALIVE_S = 5
_CONNACK_S = 8.0
_RECONNECT_S = 0.3
_STEP_S = 0.05


@dataclass
class Said:
    """A request that was not answered yet."""

    text: str
    id: str | None
    conv: str
    payload: bytes
    again_at: float = field(default=0.0)


class Chat(Protocol):
    """Whose wire it is."""

    device: Device

    def next_connection(self) -> int: ...

    def connected(self, wire: "Wire", *, present: bool) -> None: ...

    def ready(self, wire: "Wire") -> None: ...

    def arrived(self, connection: int, message: mqtt.MQTTMessage) -> None: ...

    def acknowledged(self, said: Said) -> None: ...


class Wire:
    """One client id: a connection now and then, made anew each time."""

    def __init__(self, chat: Chat, number: int, client_id: str, *, clean: bool, filters: list[str]) -> None:
        self._chat = chat
        self._number = number
        self._client_id = client_id
        self._clean = clean
        self._filters = filters
        self._paho: mqtt.Client | None = None
        self._connect_at = 0.0
        self._give_up_at = 0.0
        self._mids: dict[int, Said] = {}
        self._rooms: set[tuple[str, int]] = set()
        self._room_of: dict[int, str] = {}
        self.connection = 0
        self.ready = False

    def step(self) -> None:
        now = time.monotonic()
        if self._paho is None:
            if now >= self._connect_at:
                self._connect(now)
            else:
                time.sleep(_STEP_S)
            return
        if self.ready and not self._clean:
            self._enter_rooms(self._paho)
        lost = self._paho.loop(_STEP_S) != mqtt.MQTT_ERR_SUCCESS
        if lost or (not self.ready and now > self._give_up_at):
            self._drop(now)

    def _connect(self, now: float) -> None:
        config = self._chat.device.config
        self.connection = self._chat.next_connection()
        paho = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            self._client_id,
            clean_session=self._clean,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        paho.username_pw_set(config.user, config.secret)
        paho.connect_timeout = _CONNACK_S
        paho.on_connect = self._on_connect
        paho.on_subscribe = self._on_subscribe
        paho.on_message = self._on_message
        paho.on_publish = self._on_publish
        self._paho, self.ready, self._mids, self._rooms, self._room_of = paho, False, {}, set(), {}
        self._give_up_at = now + _CONNACK_S
        try:
            paho.connect("127.0.0.1", config.mqtt, _KEEPALIVE_S)
        except OSError:
            self._drop(now)

    def _drop(self, now: float) -> None:
        if self._paho is not None:
            # Without a word: an unclean end, as all of them are here.
            self._paho._sock_close()
            self._paho._reset_sockets()
        self._paho, self.ready = None, False
        self._connect_at = now + _RECONNECT_S

    def _on_connect(self, paho, _userdata, flags, code, _properties) -> None:
        if code.value:
            if code.value in {134, 135}:
                self._chat.device.recorder.note("login refused", code=code.value)
            self._give_up_at = 0.0
            return
        if not self._clean:
            self._chat.connected(self, present=flags.session_present)
        # A persistent session is sometimes subscribed again, as mosquitto_sub always does.
        if self._filters and (not flags.session_present or self.connection % 2):
            paho.subscribe([(name, 1) for name in self._filters])
        else:
            self._become_ready()

    def _enter_rooms(self, paho: mqtt.Client) -> None:
        """On each connection anew, and after each time that one came into a group."""
        for conv, times in self._chat.device.groups.rooms() - self._rooms:
            _code, mid = paho.subscribe(f"pabal/v1/room/{conv}", 0)
            self._room_of[mid or 0] = conv
            self._rooms.add((conv, times))

    def _on_subscribe(self, _paho, _userdata, mid, codes, _properties) -> None:
        refused = [code.value for code in codes if code.value > 2]
        conv = self._room_of.pop(mid, None)
        if conv is not None:
            if refused:
                self._chat.device.recorder.note("room refused", conv=conv)
            return
        if refused:
            self._chat.device.recorder.note("subscription refused", codes=refused)
        self._become_ready()

    def _become_ready(self) -> None:
        self.ready = True
        self._chat.ready(self)

    def _on_message(self, paho, _userdata, message) -> None:
        self._chat.arrived(self.connection, message)
        paho.ack(message.mid, message.qos)

    def _on_publish(self, _paho, _userdata, mid, _code, _properties) -> None:
        said = self._mids.pop(mid, None)
        if said is not None:
            self._chat.acknowledged(said)

    def publish(self, said: Said) -> None:
        mid = self.ask(said.payload)
        if mid is not None:
            self._mids[mid] = said

    def ask(self, payload: bytes) -> int | None:
        """Returns the packet's number; None without a connection."""
        if not self.ready or self._paho is None:
            return None
        topic = f"pabal/v1/up/{self._chat.device.config.user}/{self._chat.device.config.device}"
        return self._paho.publish(topic, payload, 1).mid

    def close(self) -> None:
        self._drop(time.monotonic())
