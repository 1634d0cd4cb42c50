"""Devices that are nothing but MQTT clients. Each is its own outbox: what its log says was not answered, it says
again, with the same id.

- plain: one persistent session, acknowledges an update only when that is on disk. It subscribes to the rooms of the
  large groups that it is in, and asks for what it did not get there.
- twin: two connections at a time, and every request goes out on both of them.
- sensor: sends without an id; PUBACK is all that it ever hears.
"""

import json
import time

import paho.mqtt.client as mqtt

from faultlab.device import Device, conversation
from faultlab.groups import described
from faultlab.recorder import Event
from faultlab.wire import Said, Wire

_AGAIN_S = 2.0
_PROBE_S = 2.0


class Chat:
    """Asks and hears, over one wire or two. One unanswered request a conversation."""

    def __init__(self, device: Device) -> None:
        self.device = device
        config = device.config
        down, inbox = f"pabal/v1/down/{config.user}/{config.device}", f"pabal/v1/inbox/{config.user}"
        name = f"{config.user}:{config.device}"
        match config.kind:
            case "plain":
                self._wires = [Wire(self, 0, name, clean=False, filters=[inbox, down])]
            case "twin":
                self._wires = [Wire(self, n, f"{name}:{n}", clean=True, filters=[down]) for n in (1, 2)]
            case _:
                self._wires = [Wire(self, 0, name, clean=True, filters=[])]
        self._with_id = config.kind != "sensor"
        self._connections = sum(event["what"] == "start" for event in device.past) * 1_000_000
        self._open: dict[str, Said] = {}
        self._texts: dict[str, str] = {}
        self._speak_at = 0.0
        self._probe_at = 0.0
        self._asked = 0
        self._remember()

    def _remember(self) -> None:
        answered = {e["text"] for e in self.device.past if e["what"] in {"reply", "refused"} and "text" in e}
        for event in self.device.past:
            if event["what"] == "invoke":
                self._texts[event["id"] or ""] = event["text"]
                if event["text"] not in answered:
                    self._open[event["conv"]] = _said(event)

    def next_connection(self) -> int:
        self._connections += 1
        return self._connections

    def run(self) -> None:
        while not self.device.ending.is_set():
            for wire in self._wires:
                wire.step()
            now = time.monotonic()
            if any(wire.ready for wire in self._wires):
                self._repeat(now)
                self._speak(now)
                if self.device.config.kind == "plain":
                    self._look_after_rooms(now)
            self.device.drained(empty=not self._open)
        for wire in self._wires:
            wire.close()

    def _repeat(self, now: float) -> None:
        if self._with_id:
            for said in self._open.values():
                if said.again_at <= now:
                    self._publish(said, now)

    def _speak(self, now: float) -> None:
        if self.device.quiet.is_set() or now < self._speak_at:
            return
        self._speak_at = now + self.device.pause()
        conv = conversation(self.device.config.user, self.device.peer())
        if conv in self._open:
            return
        text = self.device.words()
        known = described(text)
        id_ = f"{known['text']}".replace(" ", ".") if self._with_id else None
        self._texts[id_ or ""] = str(known["text"])
        invoked: Event = {"conv": conv, "id": id_, "mentions": self.device.mentions(conv), **known}
        self.device.recorder.note("invoke", **invoked)
        self._open[conv] = _said(invoked)
        self._publish(self._open[conv], now)

    def _look_after_rooms(self, now: float) -> None:
        """The probe says how far the rooms are, and whether the epoch is another one."""
        groups = self.device.groups
        due: list[dict[str, object]] = []
        if now >= self._probe_at:
            self._probe_at = now + _PROBE_S
            if groups.epoch is not None:
                due.append({"op": "sync", "after": groups.seq, "epoch": groups.epoch, "limit": 1})
        for request in [*due, *groups.missing()]:
            self._asked += 1
            named = {"id": f"{request['op']}.{self._connections}.{self._asked}", **request}
            for wire in self._wires:
                wire.ask(json.dumps(named).encode())

    def _publish(self, said: Said, now: float) -> None:
        said.again_at = now + _AGAIN_S
        for wire in self._wires:
            wire.publish(said)

    def ready(self, wire: Wire) -> None:
        """Everything that has no answer goes out again."""
        for said in self._open.values():
            wire.publish(said)

    def connected(self, wire: Wire, *, present: bool) -> None:
        self.device.recorder.note("connected", via=wire.connection, present=present)

    def acknowledged(self, said: Said) -> None:
        if not self._with_id and self._open.get(said.conv) is said:
            del self._open[said.conv]
            self.device.recorder.note("reply", id=None, ok=True, conv=said.conv, text=said.text)

    def arrived(self, connection: int, message: mqtt.MQTTMessage) -> None:
        decoded = json.loads(message.payload)
        for one in decoded if isinstance(decoded, list) else [decoded]:
            if "/inbox/" in message.topic:
                self.device.point("before_keep")
                self.device.heard(connection, one, again=message.dup)
            elif "/room/" in message.topic:
                self.device.groups.live(connection, one)
            elif str(one.get("re")).startswith(("sync.", "history.")):
                self._looked_up(one)
            elif "re" in one:
                self._answered(one)
            else:
                self.device.recorder.note("down", **one)

    def _looked_up(self, reply: Event) -> None:
        """What is refused is asked again, or is not meant for us any more."""
        groups = self.device.groups
        if not reply["ok"]:
            return
        if reply.get("reset"):
            if reply["epoch"] != groups.epoch:
                groups.start_over(reply["epoch"], reply["head"], reply["conversations"])
        elif reply["re"].startswith("sync."):
            groups.told(reply["rooms"])
        else:
            groups.page(reply["conv"], reply["items"])

    def _answered(self, reply: Event) -> None:
        text = self._texts.get(reply["re"])
        if text is None:
            return
        waiting = next((said for said in self._open.values() if said.id == reply["re"]), None)
        if reply["ok"]:
            fields = {name: reply[name] for name in ("conv", "message_id", "dup")}
            self.device.recorder.note("reply", id=reply["re"], ok=True, text=text, **fields)
        elif reply["error"] in {"unavailable", "rate_limited"}:
            if waiting is not None:
                waiting.again_at = time.monotonic() + 0.3
            return
        else:
            conv = None if waiting is None else waiting.conv
            self.device.recorder.note("refused", id=reply["re"], text=text, conv=conv, error=reply["error"])
        if waiting is not None:
            del self._open[waiting.conv]


def _said(invoked: Event) -> Said:
    text, id_, conv = invoked["text"], invoked["id"], invoked["conv"]
    request = {"conv": conv, "text": text + " " + "x" * (invoked["size"] - len(text) - 1)}
    if invoked["mentions"]:
        request["mentions"] = invoked["mentions"]
    if id_ is not None:
        request["id"] = id_
    return Said(text, id_, conv, json.dumps(request).encode())


def run(device: Device) -> None:
    Chat(device).run()
