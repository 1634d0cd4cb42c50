"""Breaks mosquitto and the bridge behind it while devices send, and checks that nothing acknowledged was lost.

    python tests/faults/external.py --seconds 300 --seed 1

Each device keeps a message until its reply and has one under way, as the protocol says. At the end every receiver reads
its inbox from the beginning, as a device does that follows its cursor.
"""

import argparse
import asyncio
import random
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

FOLDER = Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER), str(FOLDER.parent / "support"), str(FOLDER.parent.parent)]

from broker_client import Closed, RawClient  # noqa: E402 -- the path is made above
from mosquitto import MISSING, PROGRAM, Mosquitto  # noqa: E402
from role_process import RoleProcess  # noqa: E402

from bridge.accounts.service import Accounts  # noqa: E402
from broker.mqtt import packets as p  # noqa: E402

PASSWORD = "correct horse battery"
LOST = (Closed, OSError, TimeoutError, asyncio.IncompleteReadError)
REPLY_S = 3.0


@dataclass
class Sender:
    """One device that sends to one receiver. `said` maps a text to its message_id, once it was accepted."""

    port: int
    user: str
    to: str
    said: dict[str, int] = field(default_factory=dict)
    resent: int = 0
    _client: RawClient | None = None

    async def run(self, stop: asyncio.Event) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            await self.send(f"{self.user} {number}")
        await self.close()

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def send(self, text: str) -> None:
        """Until there is a reply."""
        while True:
            try:
                reply = await self._ask({"id": text, "to": self.to, "text": text})
            except LOST:
                self.resent += 1
                await self.close()
                await asyncio.sleep(0.1)
                continue
            if reply["ok"]:
                self.said[text] = reply["message_id"]
                return
            assert reply["error"] == "unavailable", reply
            await asyncio.sleep(0.1)

    async def _ask(self, request: dict) -> dict:
        if self._client is None:
            self._client = await connected(self.port, self.user)
        topic = f"pabal/v1/up/{self.user}/phone"
        packet = p.Publish(topic, msgspec.json.encode(request), 1, packet_id=self._client.take_id())
        await self._client.send(packet)
        return await reply_of(self._client, request["id"])


async def connected(port: int, user: str) -> RawClient:
    async with asyncio.timeout(REPLY_S):
        client = await RawClient.connect(port, f"{user}:phone", username=user)
        await client.subscribe((f"pabal/v1/down/{user}/phone", 1))
    return client


async def reply_of(client: RawClient, asked: str) -> dict:
    async with asyncio.timeout(REPLY_S):
        while True:
            packet = await client.next(REPLY_S)
            if isinstance(packet, p.Publish):
                if packet.qos:
                    await client.send(p.Puback(packet.packet_id))
                reply = msgspec.json.decode(packet.payload)
                if reply.get("re") == asked:
                    return reply


async def inbox(port: int, user: str) -> list[dict]:
    """All of it, as a device reads it that has nothing yet."""
    client, items, epoch = await connected(port, user), [], None
    while True:
        number = f"sync {len(items)} {epoch}"
        after = items[-1]["seq"] if items else 0
        asked = {"op": "sync", "id": number, "after": after, **({"epoch": epoch} if epoch else {})}
        payload = msgspec.json.encode(asked)
        await client.send(p.Publish(f"pabal/v1/up/{user}/phone", payload, 1, packet_id=client.take_id()))
        page = await reply_of(client, number)
        assert page["ok"], page
        assert "reset" not in page, page
        items += page["items"]
        epoch = page["epoch"]
        if not page["more"]:
            await client.close()
            return items


def judge(items: list[dict], senders: list[Sender]) -> list[str]:
    """What is wrong with an inbox into which these have sent."""
    wrong = []
    seqs = [item["seq"] for item in items]
    if seqs != list(range(1, len(seqs) + 1)):
        wrong.append(f"seqs are not dense: {seqs[:20]} …")
    for sender in senders:
        got = [(item["text"], item["message_id"]) for item in items if item["from"] == sender.user]
        texts = [text for text, _ in got]
        if len(set(texts)) != len(texts):
            wrong.append(f"{sender.user}: something came twice")
        missing = [pair for pair in sender.said.items() if pair not in got]
        if missing:
            wrong.append(f"{sender.user}: accepted and lost, or under another number: {missing[:5]}")
        if [number for _, number in got] != sorted(number for _, number in got):
            wrong.append(f"{sender.user}: not in the order of message_ids")
        if texts != sorted(texts, key=lambda text: int(text.split()[1])):
            wrong.append(f"{sender.user}: not in the order in which it was sent")
    return wrong


class Laboratory:
    """mosquitto, a bridge over SQLite, and accounts; `breaks` is what can be broken."""

    def __init__(self, folder: Path, pairs: int) -> None:
        self.mosquitto = Mosquitto(folder)
        self.bridge: RoleProcess | None = None
        self.pairs = [(f"s{number}", f"r{number % max(1, pairs // 2)}") for number in range(pairs)]
        self._folder = folder

    def start(self, make_accounts: Callable[[Path, list[str]], None]) -> None:
        self.mosquitto.start()
        make_accounts(self._folder / "data", sorted({name for pair in self.pairs for name in pair}))
        self._bridge()

    def _bridge(self) -> None:
        arguments = ("--mqtt-url", self.mosquitto.url, "--data", str(self._folder / "data"), "--metrics=off")
        self.bridge = RoleProcess(self._folder / "bridge.log", "bridge", *arguments)
        self.bridge.await_ready()

    async def kill_bridge(self) -> None:
        assert self.bridge is not None
        await asyncio.to_thread(self.bridge.close)
        await asyncio.to_thread(self._bridge)

    async def kill_mosquitto(self) -> None:
        await asyncio.to_thread(self.mosquitto.kill)
        await asyncio.to_thread(self.mosquitto.start)

    def close(self) -> None:
        if self.bridge is not None:
            self.bridge.close()
        self.mosquitto.close()


def make_accounts(data: Path, users: list[str]) -> None:
    """Each with the device `phone`, logged in."""
    from cli import database  # noqa: PLC0415 -- slow to import
    from cli.settings import Settings  # noqa: PLC0415 -- likewise

    with database.accounts(Settings(data=data)) as accounts:
        _sign_up(accounts, users)


def _sign_up(accounts: Accounts, users: list[str]) -> None:
    for user in users:
        accounts.sign_up(user, PASSWORD)
        accounts.log_in(user, PASSWORD, "phone")


async def run(lab: Laboratory, breaks: list[str], pause_s: Callable[[], float]) -> tuple[int, int, list[str]]:
    """Senders send while one thing after the other breaks. Returns how many messages were accepted, how often
    something had to be sent again, and what is wrong.
    """
    stop = asyncio.Event()
    senders = [Sender(lab.mosquitto.port, user, to) for user, to in lab.pairs]
    tasks = [asyncio.create_task(sender.run(stop)) for sender in senders]
    for what in breaks:
        before = sum(len(sender.said) for sender in senders)
        await asyncio.sleep(pause_s())
        await getattr(lab, what)()
        async with asyncio.timeout(120):
            # It goes on before the next thing breaks.
            while sum(len(sender.said) for sender in senders) < before + len(senders):
                await asyncio.sleep(0.05)
    stop.set()
    async with asyncio.timeout(120):
        await asyncio.gather(*tasks)
    wrong: list[str] = []
    for receiver in sorted({sender.to for sender in senders}):
        items = await inbox(lab.mosquitto.port, receiver)
        wrong += judge(items, [sender for sender in senders if sender.to == receiver])
    return sum(len(sender.said) for sender in senders), sum(sender.resent for sender in senders), wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=20)
    given = parser.parse_args()
    if PROGRAM is None:
        print(MISSING)  # noqa: T201 -- a script
        return 2
    chance = random.Random(given.seed)
    # A bridge takes some seconds to start, mosquitto one.
    breaks = [chance.choice(["kill_bridge", "kill_mosquitto"]) for _ in range(max(2, int(given.seconds / 5)))]
    with tempfile.TemporaryDirectory() as folder:
        lab = Laboratory(Path(folder), given.pairs)
        try:
            lab.start(make_accounts)
            accepted, resent, wrong = asyncio.run(run(lab, breaks, lambda: chance.uniform(0.2, 3.0)))
        finally:
            lab.close()
    print(f"{len(breaks)} kills, {accepted} messages accepted, {resent} sent again")  # noqa: T201 -- a script
    print("\n".join(wrong) or "nothing lost, nothing twice, everything in order")  # noqa: T201 -- a script
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
