"""Reading and typing: each of many users reads once and types twice in ten seconds. What of a core the server spends on it."""

import argparse
import asyncio
import itertools
import math
import time
from collections.abc import Iterator, Sequence

import fill
import gauge
import people
from server import HOST, Server, place, serving

from cli.load.tally import clock, until
from cli.load.wire import Device, Person, connect
from pabal import topics
from pabal.ids import direct, parse_device, parse_user

_EVERY_S = 10.0
_DRAIN_S = 30
_READ = b'"read":'
_RECEIPT, _TYPING = b'{"type":"receipt"', b'{"type":"typing"'


def arguments(parser: argparse.ArgumentParser) -> None:
    # Who may be told of typing is looked up when somebody begins and then once a minute: one round goes by before it counts,
    # and a whole minute does.
    parser.set_defaults(warmup=_EVERY_S, seconds=60)
    parser.add_argument("--users", type=int, default=1000)


def measure(options: argparse.Namespace) -> Iterator[tuple[str, dict]]:
    with place(postgres=options.postgres) as where:
        everybody = people.make(where.url, options.users)
        unread = math.ceil((options.seconds + options.warmup) / _EVERY_S) + 1
        fill.write(where.url, fill.ring(everybody, unread))
        with serving(where) as server:
            yield "reading and typing", gauge.run(run(everybody, server, options))


class _User(Device):
    """Reads what the one before has written, message by message, and types there."""

    def __init__(self, person: Person, before: Person) -> None:
        user = parse_user(person.user)
        down = topics.down(user, parse_device(person.device))
        super().__init__(person, [(topics.inbox(user), 1), (topics.live(user), 0), (down, 1)])
        conv = direct(user, parse_user(before.user))
        run = b"%x" % time.time_ns()
        self._read = b'{"id":"%b-%%d","op":"read","conv":"%b","message_id":%%d}' % (run, conv.encode())
        self._typing = b'{"op":"typing","conv":"%b","on":true}' % conv.encode()
        self._upto = 0
        self.reads = self.typings = self.receipts = self.heard = self.refused = 0

    def read(self) -> None:
        self._upto += 1
        self.reads += 1
        self.transport.write(self.request(self._read % (self._upto, self._upto)))

    def type(self) -> None:
        self.typings += 1
        self.transport.write(self.request(self._typing))

    def published(self, payload: bytes) -> None:
        if payload.startswith(_RECEIPT):
            # Of the one reader of what this user wrote, who reads one after the other.
            self.receipts = max(self.receipts, int(payload[payload.rindex(_READ) + len(_READ) : -1]))
        elif payload.startswith(_TYPING):
            self.heard += 1
        elif b'"ok":false' in payload:
            self.refused += 1


async def run(everybody: Sequence[Person], server: Server, options: argparse.Namespace) -> dict:
    """The same connections first idle, then at work, for as long."""
    users = [_User(person, everybody[number - 1]) for number, person in enumerate(everybody)]

    def total(name: str) -> int:
        return sum(getattr(user, name) for user in users)

    try:
        await connect(users, HOST, server.port)
        await asyncio.sleep(options.warmup)
        idle = await _share(server, options.seconds)
        working = asyncio.create_task(_work(users))
        await asyncio.sleep(options.warmup)
        own = time.process_time()
        busy = await _share(server, options.seconds)
        own = time.process_time() - own
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        await until(
            lambda: total("receipts") >= total("reads") and total("heard") >= total("typings"), _DRAIN_S
        )
        cut_off = total("lost")
    finally:
        for user in users:
            user.close()
    return {
        "users": len(users),
        "seconds": options.seconds,
        "reads": total("reads"),
        "typings": total("typings"),
        "server_cpu_idle": round(idle, 3),
        "server_cpu_busy": round(busy, 3),
        "share_of_a_core": round(busy - idle, 3),
        "lost": total("reads") + total("typings") - total("receipts") - total("heard"),
        "refused": total("refused"),
        "cut_off": cut_off,
        "generator_cpu": round(own / options.seconds, 2),
    }


async def _share(server: Server, seconds: float) -> float:
    cpu, began = server.cpu_seconds(), clock()
    await asyncio.sleep(seconds)
    return (server.cpu_seconds() - cpu) * 1e9 / (clock() - began)


async def _work(users: Sequence[_User]) -> None:
    """Each has its own moments in every ten seconds, spread evenly: one to read and two to type. Until cancelled."""
    third = len(users) // 3
    # Each user's three acts lie a third of the time apart.
    order = [
        act
        for number, user in enumerate(users)
        for act in (user.read, users[number - third].type, users[number - 2 * third].type)
    ]
    step, start = _EVERY_S * 1e9 / len(order), clock()
    for number, act in enumerate(itertools.cycle(order)):
        while start + number * step > clock():
            await asyncio.sleep(0.002)
        act()
