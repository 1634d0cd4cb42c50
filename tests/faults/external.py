"""Breaks mosquitto and the bridge behind it while devices send, and checks that nothing acknowledged was lost.

    python tests/faults/external.py --seconds 300 --seed 1
    python tests/faults/external.py --standby bridge --seconds 60      # or broker: how long a takeover takes

Each device keeps a message until its reply and has one under way, as the protocol says. At the end every receiver reads
its inbox from the beginning, as a device does that follows its cursor.
"""

import argparse
import asyncio
import contextlib
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER), str(FOLDER.parent / "support"), str(FOLDER.parent.parent)]

from faultlab.ports import port_of, reserved  # noqa: E402 -- the path is made above
from mosquitto import MISSING, PROGRAM, Mosquitto  # noqa: E402
from role_process import RoleProcess  # noqa: E402
from senders import Sender, inbox, judge  # noqa: E402

PASSWORD = "correct horse battery"


class Laboratory:
    """mosquitto, a bridge over SQLite, and accounts; its methods `kill_…` are what can be broken."""

    def __init__(self, folder: Path, pairs: int, database: str | None = None) -> None:
        """`database` is the URL of a PostgreSQL; without it, it is SQLite."""
        self.mosquitto = Mosquitto(folder)
        self.port = self.mosquitto.port
        self.server: RoleProcess | None = None
        self.pairs = [(f"s{number}", f"r{number % max(1, pairs // 2)}") for number in range(pairs)]
        self.secrets: dict[str, bytes] = {}
        self.takeovers: list[float] = []
        self._folder = folder
        self._database = database

    def start(self) -> None:
        self.mosquitto.start()
        users = sorted({name for pair in self.pairs for name in pair})
        self.secrets = make_accounts(self._folder / "data", users, self._database)
        self.server = self._bridge().await_ready()

    def _bridge(self) -> RoleProcess:
        arguments = ("--mqtt-url", self.mosquitto.url, "--data", str(self._folder / "data"), "--metrics=off")
        return RoleProcess(self._folder / "bridge.log", "bridge", *arguments)

    async def kill_bridge(self) -> None:
        assert self.server is not None
        await asyncio.to_thread(self.server.close)
        self.server = self._bridge()
        await asyncio.to_thread(self.server.await_ready)

    async def kill_mosquitto(self) -> None:
        await asyncio.to_thread(self.mosquitto.kill)
        await asyncio.to_thread(self.mosquitto.start)

    async def mend(self, took_s: float) -> None:
        """Awaited when everybody has been answered, so long after what was broken last."""

    def close(self) -> None:
        if self.server is not None:
            self.server.close()
        self.mosquitto.close()


class Standby(Laboratory):
    """Two of one role on one PostgreSQL: `bridge` behind mosquitto, or `broker` on one port. A kill of the one that
    serves is a takeover by the other; then a new one stands by.
    """

    def __init__(self, folder: Path, pairs: int, role: str, database: str) -> None:
        super().__init__(folder, pairs, database)
        self._role = role
        self._holder = reserved()
        if role == "broker":
            self.port = port_of(self._holder)
        self._waiting: RoleProcess | None = None
        self._number = 0

    def start(self) -> None:
        super().start()
        self._waiting = self._stand_by()

    def _bridge(self) -> RoleProcess:
        self._number += 1
        where = ("--mqtt-url", self.mosquitto.url)
        if self._role == "broker":
            where = (f"--mqtt=127.0.0.1:{self.port}", "--ws=127.0.0.1:0")
        data = self._folder / f"data{self._number}"
        shared = ("--database-url", self._database, "--keys-file", str(self._folder / "keys" / "keys.json"))
        log = self._folder / f"{self._role}{self._number}.log"
        return RoleProcess(log, self._role, *where, "--data", str(data), "--metrics=off", *shared)

    def _stand_by(self) -> RoleProcess:
        made, end = self._bridge(), time.monotonic() + 120
        while "standing by" not in made.log.read_text():
            assert time.monotonic() < end, made.log.read_text()
            time.sleep(0.05)
        return made

    async def kill_bridge(self) -> None:
        assert self.server is not None
        killed, self.server = self.server, self._waiting
        killed.process.kill()

    async def mend(self, took_s: float) -> None:
        self.takeovers.append(took_s)
        print(f"taken over and all answered after {took_s:.2f} s", flush=True)  # noqa: T201 -- a script
        assert self.server is not None
        await asyncio.to_thread(self.server.await_ready)
        self._waiting = await asyncio.to_thread(self._stand_by)

    def close(self) -> None:
        if self._waiting is not None:
            self._waiting.close()
        super().close()
        self._holder.close()


def make_accounts(data: Path, users: list[str], database: str | None = None) -> dict[str, bytes]:
    """Each with the device `phone`. Returns its secrets by user."""
    from pydantic import SecretStr  # noqa: PLC0415 -- slow to import

    from cli import database as databases  # noqa: PLC0415 -- likewise
    from cli.settings import Settings  # noqa: PLC0415 -- likewise

    url = None if database is None else SecretStr(database)
    with databases.accounts(Settings(data=data, database_url=url)) as accounts:
        for user in users:
            accounts.sign_up(user, PASSWORD)
        return {user: accounts.add_device(user, PASSWORD, "phone", None).secret.encode() for user in users}


async def run(lab: Laboratory, breaks: list[str], pause_s: Callable[[], float]) -> tuple[int, int, list[str]]:
    """Senders send while one thing after the other breaks. Returns how many messages were accepted, how often
    something had to be sent again, and what is wrong.
    """
    stop = asyncio.Event()
    secrets = lab.secrets if lab.port != lab.mosquitto.port else {}
    senders = [Sender(lab.port, user, to, secrets.get(user)) for user, to in lab.pairs]
    tasks = [asyncio.create_task(sender.run(stop)) for sender in senders]
    for what in breaks:
        await asyncio.sleep(pause_s())
        begun, before = time.monotonic(), [len(sender.said) for sender in senders]
        await getattr(lab, what)()
        async with asyncio.timeout(120):
            # It goes on before the next thing breaks. One answer may have been under way, the second was asked later.
            while any(len(sender.said) < n + 2 for sender, n in zip(senders, before, strict=True)):
                await asyncio.sleep(0.01)
        await lab.mend(time.monotonic() - begun)
    stop.set()
    async with asyncio.timeout(120):
        await asyncio.gather(*tasks)
    wrong: list[str] = []
    for receiver in sorted({sender.to for sender in senders}):
        items = await inbox(lab.port, receiver, secrets.get(receiver))
        wrong += judge(items, [sender for sender in senders if sender.to == receiver])
    return sum(len(sender.said) for sender in senders), sum(sender.resent for sender in senders), wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--standby", choices=["bridge", "broker"], help="two of these, on PostgreSQL")
    given = parser.parse_args()
    if PROGRAM is None:
        print(MISSING)  # noqa: T201 -- a script
        return 2
    chance = random.Random(given.seed)
    # A bridge takes some seconds to start, mosquitto one.
    kinds = ["kill_bridge"] if given.standby else ["kill_bridge", "kill_mosquitto"]
    breaks = [chance.choice(kinds) for _ in range(max(2, int(given.seconds / 5)))]
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if given.standby:
            from postgres import running  # noqa: PLC0415 -- only here

            lab: Laboratory = Standby(
                folder, given.pairs, given.standby, stack.enter_context(running()).fresh()
            )
        else:
            lab = Laboratory(folder, given.pairs)
        stack.callback(lab.close)
        lab.start()
        accepted, resent, wrong = asyncio.run(run(lab, breaks, lambda: chance.uniform(0.2, 3.0)))
    print(f"{len(breaks)} kills, {accepted} messages accepted, {resent} sent again")  # noqa: T201 -- a script
    if lab.takeovers:
        taken = sorted(lab.takeovers)
        shown = f"median {taken[len(taken) // 2]:.2f} s, slowest {taken[-1]:.2f} s"
        print(f"{len(taken)} takeovers until all were answered: {shown}")  # noqa: T201 -- a script
    print("\n".join(wrong) or "nothing lost, nothing twice, everything in order")  # noqa: T201 -- a script
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
