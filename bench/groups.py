"""Small groups, all members online: each message is copied into every member's inbox and sent to each."""

import argparse
from collections.abc import Iterator, Sequence

import gauge
import people
from requests_once import ask
from server import HOST, place, serving

from cli.load.pairs import Load, Receiver, Sender, result, send
from cli.load.tally import Tally, until
from cli.load.wire import Device, Person, connect

_DRAIN_S = 30


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--groups", type=int, default=10)
    parser.add_argument("--members", type=int, default=100)
    parser.add_argument("--window", type=int, default=2, help="unanswered requests of each group's sender")
    parser.add_argument("--rate", type=float, default=0, help="messages a second offered; 0: closed loop")


def measure(options: argparse.Namespace) -> Iterator[tuple[str, dict]]:
    load = Load(window=options.window, rate=options.rate, seconds=options.seconds, warmup_s=options.warmup)
    with place(postgres=options.postgres) as where:
        everybody = people.make(where.url, options.groups * options.members)
        circles = [everybody[n :: options.groups] for n in range(options.groups)]
        with serving(where) as server:
            yield f"groups of {options.members}", gauge.measured(server, run(circles, server.port, load))


async def run(
    circles: Sequence[Sequence[Person]], port: int, load: Load, member: type[Receiver] = Receiver
) -> dict:
    """The first of each circle makes its group, and sends from a second connection."""
    tally = Tally()
    convs = []
    for circle in circles:
        made = {"op": "group.create", "name": "bench", "members": [p.user for p in circle[1:]]}
        convs.append((await ask(circle[0], HOST, port, made))["conv"])
    receivers = [member(tally, person) for circle in circles for person in circle]
    senders = [
        Sender(tally, circle[0], "conv", conv, load, suffix="up")
        for circle, conv in zip(circles, convs, strict=True)
    ]
    devices: list[Device] = [*receivers, *senders]
    members = len(circles[0])
    try:
        await connect(devices, HOST, port)
        window = await send(senders, tally, load)
        await until(lambda: tally.delivered >= members * tally.sent, _DRAIN_S)
        cut_off = sum(device.lost for device in devices)
    finally:
        for device in devices:
            device.close()
    return result(tally, window, deliveries=members, cut_off=cut_off) | {
        "groups": len(circles),
        "members": members,
        "window": None if load.rate else load.window,
        "offered_per_s": load.rate or None,
    }
