"""A large group, all members online: each message goes out once, on the group's room, to whoever follows it."""

import argparse
from collections.abc import Iterator, Sequence

import gauge
import people
from requests_once import Asker
from server import HOST, place, serving

from cli.load.pairs import Load, Sender, due_of, result, send
from cli.load.tally import Tally, clock, until
from cli.load.wire import Device, Person, connect

_AT_CREATION = 500
_AT_ONCE = 100
_DRAIN_S = 30
_NUMBER = b'"message_id":'
_TEXT = b'"text":"'


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--members", type=int, default=5000)
    parser.add_argument("--rate", type=float, default=20, help="messages a second")
    parser.add_argument("--senders", type=int, default=10)


def measure(options: argparse.Namespace) -> Iterator[tuple[str, dict]]:
    load = Load(rate=options.rate, seconds=options.seconds, warmup_s=options.warmup)
    with place(postgres=options.postgres) as where:
        everybody = people.make(where.url, options.members)
        with serving(where) as server:
            work = run(everybody, server.port, load, options.senders)
            yield f"large group of {options.members}", gauge.measured(server, work)


class Follower(Device):
    """A member who follows the room, and the inbox as members do.

    All get the same bytes, so they are taken apart once: there is one of these for each of 5,000 members.
    """

    last: tuple[bytes, int, int] = (b"", 0, 0)

    def __init__(self, tally: Tally, person: Person, conv: str) -> None:
        super().__init__(person, [(f"pabal/v1/room/{conv}", 0), (f"pabal/v1/inbox/{person.user}", 1)])
        self._tally = tally
        self._number = 0

    def published(self, payload: bytes) -> None:
        same, number, due = Follower.last
        if payload != same:
            at = payload.index(_NUMBER) + len(_NUMBER)
            number = int(payload[at : payload.index(b",", at)])
            text = payload.find(_TEXT)
            if text < 0:
                return
            due = due_of(payload, text)
            Follower.last = payload, number, due
        tally = self._tally
        if self._number and number != self._number + 1:
            tally.out_of_order += 1
        self._number = number
        tally.delivered += 1
        if tally.measuring:
            tally.latencies.append((clock() - due) // 1000)


async def _fill_group(everybody: Sequence[Person], port: int) -> str:
    """Made with as many members as may be named at once; the others are added. Returns its id."""
    owner = Asker(everybody[0])
    await connect([owner], HOST, port)
    names = [person.user for person in everybody[1:]]
    made = await owner.ask({"op": "group.create", "name": "bench", "members": names[:_AT_CREATION]})
    conv = made["conv"]
    rest = names[_AT_CREATION:]
    for first in range(0, len(rest), _AT_ONCE):
        await owner.ask_all(
            [{"op": "group.add", "conv": conv, "user": user} for user in rest[first : first + _AT_ONCE]]
        )
    owner.close()
    return conv


async def run(everybody: Sequence[Person], port: int, load: Load, senders: int) -> dict:
    tally = Tally()
    conv = await _fill_group(everybody, port)
    began = clock()
    followers = [Follower(tally, person, conv) for person in everybody]
    sending = [Sender(tally, person, "conv", conv, load, suffix="up") for person in everybody[:senders]]
    devices: list[Device] = [*followers, *sending]
    try:
        await connect(devices, HOST, port)
        connected_s = (clock() - began) / 1e9
        window = await send(sending, tally, load)
        await until(lambda: tally.delivered >= len(followers) * tally.sent, _DRAIN_S)
        cut_off = sum(device.lost for device in devices)
    finally:
        for device in devices:
            device.close()
    return result(tally, window, deliveries=len(followers), cut_off=cut_off) | {
        "members": len(followers),
        "offered_per_s": load.rate,
        "connected_in_s": round(connected_s, 1),
    }
