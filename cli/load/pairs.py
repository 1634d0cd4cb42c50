"""Pairs of devices: a sender that publishes requests, and a receiver that follows its inbox and acknowledges.

Closed loop: each sender keeps `window` requests unanswered. Open loop (`rate`): messages are offered on a
schedule, and latency counts from when each was due, so that a server that stalls does not hide it. A message is
accepted with its PUBACK and delivered when its receiver has it; the seqs of each inbox have to follow each other.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cli.load.tally import Tally, Window, clock, summary, until, watch
from cli.load.wire import Device, LoadError, Person, connect
from pabal import topics
from pabal.ids import parse_device, parse_user

_DRAIN_S = 20.0
# The time a message was due stands at the beginning of its text, in so many digits.
_DIGITS = 19
_TEXT = b'"text":"'


@dataclass(frozen=True, slots=True)
class Load:
    """What to do. `rate` is messages a second in all, 0 for the closed loop; `size` bytes of text. `by_reply`: a
    message is accepted with its reply and not with its PUBACK, which behind another broker comes before the commit.
    """

    pairs: int = 50
    window: int = 10
    rate: float = 0
    size: int = 100
    seconds: float = 10
    warmup_s: float = 2
    by_reply: bool = False


class Receiver(Device):
    """Follows its user's inbox at QoS 1."""

    def __init__(self, tally: Tally, person: Person) -> None:
        super().__init__(person, [(topics.inbox(parse_user(person.user)), 1)])
        self._tally = tally
        self._seq = 0

    def published(self, payload: bytes) -> None:
        now, tally = clock(), self._tally
        for update in updates_in(payload):
            seq = int(update[7 : update.index(b",", 7)])
            if self._seq and seq != self._seq + 1:
                tally.out_of_order += 1
            self._seq = seq
            at = update.find(_TEXT)
            if at > 0:
                tally.delivered += 1
                if tally.measuring:
                    tally.latencies.append((now - due_of(update, at)) // 1000)


def updates_in(payload: bytes) -> list[bytes]:
    """One update, or an array of them; each begins with its seq."""
    if payload[:1] == b"{":
        return [payload]
    return payload[1:-1].replace(b'},{"seq"', b'}\0{"seq"').split(b"\0")


def due_of(update: bytes, at: int) -> int:
    return int(update[at + len(_TEXT) : at + len(_TEXT) + _DIGITS])


class Sender(Device):
    """Sends to one user or into one group, and follows the replies."""

    def __init__(
        self, tally: Tally, person: Person, field: str, target: str, load: Load, *, suffix: str = ""
    ) -> None:
        """`field` is `to` or `conv`."""
        down = topics.down(parse_user(person.user), parse_device(person.device))
        super().__init__(person, [(down, 1)], suffix=suffix)
        self._tally = tally
        self._head = b'{"id":"%x-' % time.time_ns()
        self._middle = f'","{field}":"{target}","text":"'.encode()
        self._pad = b"x" * max(0, load.size - _DIGITS) + b'"}'
        self._number = 0
        self._window = 0 if load.rate else load.window
        self._by_reply = load.by_reply
        self._unanswered = 0
        self._answered = False
        self.sending = False

    def message(self, due: int) -> bytes:
        """The next one, to be written by the caller."""
        self._number += 1
        self._unanswered += 1
        self._tally.sent += 1
        return self.request(b"%b%d%b%019d%b" % (self._head, self._number, self._middle, due, self._pad))

    def fill(self) -> None:
        """Send until the window is full."""
        if self.sending and self._unanswered < self._window:
            now = clock()
            missing = self._window - self._unanswered
            self.transport.write(b"".join(self.message(now) for _ in range(missing)))

    def acknowledged(self) -> None:
        if not self._by_reply:
            self._accept()

    def _accept(self) -> None:
        self._tally.accepted += 1
        self._unanswered -= 1
        self._answered = True

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._answered:
            self._answered = False
            self.fill()

    def published(self, payload: bytes) -> None:
        if b'"ok":false' in payload:
            self._tally.refuse(payload)
        if self._by_reply:
            self._accept()


async def send(senders: Sequence[Sender], tally: Tally, load: Load) -> Window:
    """Let the senders send, closed loop or open, and measure."""
    for sender in senders:
        sender.sending = True
        sender.fill()
    offering = asyncio.create_task(_offer(senders, load)) if load.rate else None
    try:
        window = await watch(tally, warmup_s=load.warmup_s, seconds=load.seconds)
    finally:
        for sender in senders:
            sender.sending = False
        if offering is not None:
            offering.cancel()
            await asyncio.gather(offering, return_exceptions=True)
    return window


async def _offer(senders: Sequence[Sender], load: Load) -> None:
    """Every message has a due time, spread evenly over the senders. Until cancelled."""
    step, start, number = 1e9 / load.rate, clock(), 0
    while True:
        now = clock()
        while start + number * step <= now:
            sender = senders[number % len(senders)]
            sender.transport.write(sender.message(int(start + number * step)))
            number += 1
        await asyncio.sleep(0.001)


async def run(
    people: Sequence[Person], host: str, port: int, load: Load, tally: Tally | None = None
) -> dict[str, Any]:
    """Measure pairs made of the first `2 * load.pairs` people.

    Raises: LoadError if there are too few people, or they are not let in; OSError.
    """
    if len(people) < 2 * load.pairs:
        raise LoadError(f"{load.pairs} pairs need {2 * load.pairs} people, not {len(people)}")
    tally = tally or Tally()
    couples = [(people[2 * number], people[2 * number + 1]) for number in range(load.pairs)]
    receivers = [Receiver(tally, other) for _one, other in couples]
    senders = [Sender(tally, one, "to", other.user, load) for one, other in couples]
    devices: list[Device] = [*receivers, *senders]
    try:
        await connect(devices, host, port)
        window = await send(senders, tally, load)
        await until(lambda: tally.delivered >= tally.sent and tally.accepted >= tally.sent, _DRAIN_S)
        cut_off = sum(device.lost for device in devices)
    finally:
        for device in devices:
            device.close()
    return result(tally, window, deliveries=1, cut_off=cut_off) | {
        "pairs": load.pairs,
        "window": None if load.rate else load.window,
        "offered_per_s": load.rate or None,
    }


def result(tally: Tally, window: Window, *, deliveries: int, cut_off: int = 0) -> dict[str, Any]:
    """The figures. Each message that was not refused has to be delivered `deliveries` times."""
    found: dict[str, Any] = {
        "seconds": round(window.seconds, 1),
        "accepted_per_s": round(window.accepted / window.seconds),
        "delivered_per_s": round(window.delivered / window.seconds),
        **summary(tally.latencies),
        "sent": tally.sent,
        "lost": (tally.sent - tally.refused) * deliveries - tally.delivered,
        "unacknowledged": tally.sent - tally.accepted,
        "refused": tally.refused,
        "out_of_order": tally.out_of_order,
        "cut_off": cut_off,
        "generator_cpu": round(window.cpu_seconds / window.seconds, 2),
    }
    if tally.refusal:
        found["refusal"] = tally.refusal
    return found


def is_sound(found: dict[str, Any]) -> bool:
    """Nothing was lost, refused or out of order."""
    return not any(found[name] for name in ("lost", "unacknowledged", "refused", "out_of_order", "cut_off"))
