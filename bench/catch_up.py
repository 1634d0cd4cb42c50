"""How long a device that was away needs until it has everything: by sync, by the client library, as a plain client."""

import argparse
import asyncio
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import gauge
import people
from requests_once import Asker
from server import HOST, Server, place, serving

from cli.load.pairs import updates_in
from cli.load.wire import Device, Person, connect
from pabal_client.client import Client
from pabal_client.updates import Message

_SENDERS = 50
_AT_ONCE = 100
_TIMEOUT_S = 60
_KEPT = 10_000  # updates that a server keeps unless it is told otherwise


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--updates", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=3, help="times that each way is measured")


def measure(options: argparse.Namespace) -> Iterator[tuple[str, dict]]:
    with place(postgres=options.postgres) as where:
        everybody = people.make(where.url, _SENDERS + 1)
        keep = {"PABAL_INBOX_KEEP_UPDATES": str(max(options.updates, _KEPT))}
        with serving(where, **keep) as server:
            yield from ways(server, everybody, options.updates, options.repeat)


def ways(
    server: Server, everybody: Sequence[Person], updates: int, repeat: int
) -> Iterator[tuple[str, dict]]:
    """The others send to the first, whose inbox was empty; then each way of catching up is measured."""
    reader, port = everybody[0], server.port
    gauge.run(_leave_sessions(reader, port, repeat))
    gauge.run(_send_all(everybody[1:], reader, port, updates))
    for name, once in (
        ("sync, page by page", lambda _n: gauge.run(_by_sync(reader, port))),
        ("client library, new device", lambda _n: _by_library(reader, server, updates)),
        ("plain persistent session", lambda n: gauge.run(_by_session(reader, port, n, updates))),
    ):
        cpu = server.cpu_seconds()
        taken = sorted(once(number) for number in range(repeat))
        yield (
            name,
            {
                "updates": updates,
                "fastest_s": round(taken[0], 2),
                "median_s": round(taken[len(taken) // 2], 2),
                "slowest_s": round(taken[-1], 2),
                "server_cpu_s": round((server.cpu_seconds() - cpu) / repeat, 2),
            },
        )


async def _send_all(senders: Sequence[Person], reader: Person, port: int, updates: int) -> dict:
    shares = [updates // len(senders) + (n < updates % len(senders)) for n in range(len(senders))]

    async def send(person: Person, share: int) -> None:
        device = Asker(person)
        await connect([device], HOST, port)
        for first in range(0, share, _AT_ONCE):
            some = range(min(_AT_ONCE, share - first))
            await device.ask_all([{"to": reader.user, "text": "x" * 100} for _ in some])
        device.close()

    await asyncio.gather(*(send(person, share) for person, share in zip(senders, shares, strict=True)))
    return {}


class _Plain(Device):
    """A plain MQTT client with a persistent session on the inbox."""

    def __init__(self, person: Person, number: int, upto: int) -> None:
        inbox = (f"pabal/v1/inbox/{person.user}", 1)
        super().__init__(person, [inbox], clean=False, suffix=f"away{number}")
        self._upto = upto
        self._seq = 0
        self.current = asyncio.Event()

    def published(self, payload: bytes) -> None:
        for update in updates_in(payload):
            seq = int(update[7 : update.index(b",", 7)])
            if seq != self._seq + 1:
                raise SystemExit(f"seq {seq} came after {self._seq}")
            self._seq = seq
        if self._seq == self._upto:
            self.current.set()


async def _leave_sessions(reader: Person, port: int, count: int) -> dict:
    devices = [_Plain(reader, number, 0) for number in range(count)]
    await connect(devices, HOST, port)
    for device in devices:
        device.close()
    return {}


async def _by_session(reader: Person, port: int, number: int, upto: int) -> float:
    began = time.perf_counter()
    device = _Plain(reader, number, upto)
    await connect([device], HOST, port)
    async with asyncio.timeout(_TIMEOUT_S):
        await device.current.wait()
    taken = time.perf_counter() - began
    device.close()
    return taken


async def _by_sync(reader: Person, port: int) -> float:
    began = time.perf_counter()
    device = Asker(reader)
    await connect([device], HOST, port)
    cursor = 0
    while True:
        page = await device.ask({"op": "sync", "after": cursor, "limit": 500})
        if [item["seq"] for item in page["items"]] != list(
            range(cursor + 1, cursor + 1 + len(page["items"]))
        ):
            raise SystemExit(f"the page after {cursor} has holes")
        cursor += len(page["items"])
        if not page["more"]:
            break
    device.close()
    if cursor != page["head"]:
        raise SystemExit(f"the last page ends at {cursor} of {page['head']}")
    return time.perf_counter() - began


def _by_library(reader: Person, server: Server, upto: int) -> float:
    """Each update is on the client's own disk, and was handed to the application, before it counts."""
    done, taken = threading.Event(), []

    def on_message(message: Message) -> None:
        taken.append(message.seq)
        if message.seq == upto:
            done.set()

    with tempfile.TemporaryDirectory(prefix="pabal-bench-client-") as made:
        began = time.perf_counter()
        client = Client.open(
            f"mqtt://{HOST}:{server.port}",
            user=reader.user,
            device=reader.device,
            password=reader.secret,
            suffix="library",
            store=Path(made) / "client.db",
            on_message=on_message,
        )
        with client:
            if not done.wait(_TIMEOUT_S):
                raise SystemExit(f"the client library has {len(taken)} updates after {_TIMEOUT_S} s")
            seconds = time.perf_counter() - began
    if taken != list(range(1, upto + 1)):
        raise SystemExit("the client library handed over something else than 1, 2, 3 …")
    return seconds
