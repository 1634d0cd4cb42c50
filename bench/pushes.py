"""Pushes through the Web Push adapter to a local endpoint: how many a second on one core, after an outage, under kills."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fill
import people
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from server import HOST, Place, place

from bridge.store.engine import open_engine
from bridge.store.push_store import PushStore
from bridge.store.tables import push_subscription
from push.fields import encoded

_AT_ONCE = 1000
_WARM = 200
# A worker that was killed has its leases for a while.
_PATIENCE_S = 600


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pushes", type=int, default=5000, help="of each part, each to another device")
    parser.add_argument("--outage", type=float, default=60, help="seconds for which the endpoint answers 503")
    parser.add_argument("--kills", type=int, default=5, help="of the worker, while it sends")


def measure(options: argparse.Namespace) -> Iterator[tuple[str, dict]]:
    yield "pushes", _part(options, lambda run: run.drain())
    yield f"after {options.outage:g} s of outage", _part(options, lambda run: run.drain(), options.outage)
    if options.kills:
        yield f"{options.kills} kills", _part(options, lambda run: run.drain(options.kills))


def _part(options: argparse.Namespace, act, outage_s: float = 0.0) -> dict:
    with place(postgres=options.postgres) as where, _endpoint(where.folder, outage_s) as endpoint:
        everybody = people.make(where.url, options.pushes)
        _subscribe(where.url, [one.user for one in everybody], endpoint.url)
        fill.write(where.url, fill.ring(everybody, 1))
        return act(_Run(where, endpoint, options.pushes))


class _Endpoint:
    def __init__(self, process: subprocess.Popen, url: str) -> None:
        self._process = process
        self.url = url

    def told(self) -> dict:
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@contextmanager
def _endpoint(folder: Path, outage_s: float) -> Iterator[_Endpoint]:
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("push_endpoint.py")), str(folder), str(outage_s)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield _Endpoint(process, process.stdout.readline().strip())
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


class _Run:
    """One queue, and workers that empty it."""

    def __init__(self, where: Place, endpoint: _Endpoint, pushes: int) -> None:
        self._where = where
        self._endpoint = endpoint
        self._pushes = pushes
        self._cpu_s = 0.0

    def drain(self, kills: int = 0) -> dict:
        store = PushStore.open(self._where.url)
        worker = self._start()
        began = time.monotonic()
        # What a worker loads for its first pushes, and its connection, are had once.
        warm = 0 if kills else self._warmed(worker)
        rated = time.monotonic()
        left = kills
        while (depth := store.depth().jobs) and time.monotonic() - began < _PATIENCE_S:
            if left and depth < self._pushes * left / (kills + 1):
                self._end(worker, signal.SIGKILL)
                worker, left = self._start(), left - 1
            time.sleep(0.05)
        ended = time.monotonic()
        took_s, rated_s = ended - began, ended - rated
        self._end(worker, signal.SIGTERM)
        in_doubt = len(store.dead(before_ts=2**53, limit=self._pushes))
        store.close()
        told = self._endpoint.told()
        return {
            "sent": told["sent"],
            "seconds": round(took_s, 1),
            "a_second": round((told["sent"] - warm) / rated_s),
            "worker_cpu_us": round(self._cpu_s * 1e6 / max(told["sent"] - warm, 1)),
            "a_second_on_one_core": round((told["sent"] - warm) / self._cpu_s) if self._cpu_s else None,
            "in_doubt": in_doubt,
            "killed": kills - left,
            "twice": told["twice"],
            # What is in doubt may have been sent or not, and is not sent again.
            "lost": max(self._pushes - told["paths"] - in_doubt, 0) + depth,
        }

    def _warmed(self, worker: subprocess.Popen) -> int:
        """How many were sent until then."""
        while (sent := self._endpoint.told()["sent"]) < min(_WARM, self._pushes // 10):
            if worker.poll() is not None:
                raise SystemExit("the worker ended")
            time.sleep(0.01)
        self._cpu_s = -_cpu_s(worker.pid)
        return sent

    def _start(self) -> subprocess.Popen:
        log = (self._where.folder / "push.log").open("ab")
        with log:
            process = subprocess.Popen(
                [
                    sys.executable, "-m", "cli", "push", "--data", str(self._where.folder),
                    "--database-url", self._where.url, "--metrics", f"{HOST}:0",
                    "--push-private-endpoints", "localhost", "--push-ca", str(self._where.folder / "push-ca.pem"),
                ],
                env={**os.environ, "PABAL_LOG_LEVEL": "warning"}, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        line = process.stdout.readline()
        if not line.startswith("pabal push ready"):
            process.kill()
            raise SystemExit(f"the worker did not start: {(self._where.folder / 'push.log').read_text()}")
        # Starting is not what is measured.
        self._cpu_s -= _cpu_s(process.pid)
        return process

    def _end(self, process: subprocess.Popen, number: signal.Signals) -> None:
        self._cpu_s += _cpu_s(process.pid)
        process.send_signal(number)
        process.wait(60)
        process.stdout.close()


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _subscribe(url: str, users: list[str], endpoint: str) -> None:
    """Each device at a path of its own, so that what is sent twice is seen there."""
    point = ec.generate_private_key(ec.SECP256R1()).public_key()
    keys = {
        "p256dh": encoded(point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)),
        "auth": encoded(os.urandom(16)),
    }
    engine = open_engine(url, bounded=False)
    with engine.begin() as connection:
        for first in range(0, len(users), _AT_ONCE):
            rows = [
                {
                    "user_id": user, "device_id": people.DEVICE, "service": "webpush",
                    "target": json.dumps({"endpoint": f"{endpoint}/{user}", **keys}), "preview": "full", "lang": "ko",
                    "host": endpoint.removeprefix("https://"),
                    "subscribed_ts": 1,
                }
                for user in users[first : first + _AT_ONCE]
            ]  # fmt: skip
            connection.execute(push_subscription.insert(), rows)
    engine.dispose()
