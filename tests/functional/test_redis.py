"""A broker and two web processes with a real Redis beside them, which is absent, killed, emptied, hangs, and refuses."""

import contextlib
import subprocess
import sys
import threading
import time

import httpx2
import pytest
from faultlab.ports import port_of, reserved
from people import Person, Plain, wait_for
from redis_server import RedisServer
from role_process import RoleProcess

from bridge.backplane import names

pytestmark = pytest.mark.functional

# What everything but messages may take; they are not to wait at all.
RECOVERS_S = 30
# Where the broker says that clients find it; the web processes are told another address.
TOLD = "mqtt://chat.example:1883"
FAILURES = 5
CHANNELS = ("pabal:0:news", "pabal:0:changes")


@pytest.fixture
def valkey(tmp_path):
    server = RedisServer(tmp_path / "valkey")
    yield server
    server.close()


def test_a_redis_that_will_not_do_stops_the_start_before_anything_is_begun(tmp_path, valkey):
    valkey.start().ask("CONFIG", "SET", "maxmemory", "1")
    where = ("--data", str(tmp_path / "data"), "--redis-url", valkey.url, "--metrics", "off")
    listening = ("--mqtt", "127.0.0.1:0", "--ws", "127.0.0.1:0", "--http", "127.0.0.1:0")
    ended = subprocess.run(
        [sys.executable, "-m", "cli", "serve", *where, *listening],
        capture_output=True, text=True, timeout=150, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "is full and takes no writes" in ended.stderr
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert not (tmp_path / "data").exists()


class Stack:
    """A broker and two web processes on one folder."""

    def __init__(self, folder, valkey, stack):
        self.valkey = valkey
        mqtt = f"127.0.0.1:{port_of(stack.enter_context(contextlib.closing(reserved())))}"
        shared = ("--data", str(folder / "data"), "--redis-url", valkey.url)
        limits = {"PABAL_RATE_LIMITS": "on", "PABAL_REQUEST_RATE": "10000", "PABAL_REQUEST_BURST": "10000"}
        limits["PABAL_LOGIN_FAILURES_PER_MINUTE"] = str(FAILURES)

        def start(name, role, *arguments):
            made = RoleProcess(folder / f"{name}.log", role, *arguments, *shared, environment=limits)
            stack.callback(made.close)
            return made

        listening = ("--mqtt", mqtt, "--ws=127.0.0.1:0", "--metrics=127.0.0.1:0")
        self.broker = start("broker", "broker", *listening, "--public-mqtt", TOLD)
        self.broker.await_ready()
        self.webs = [
            start(name, "webapi", "--http=127.0.0.1:0", "--relay", f"mqtt://{mqtt}")
            for name in ("one", "other")
        ]
        self.apis = [f"{web.await_ready().url()}/v1" for web in self.webs]
        self.alice = [stack.enter_context(contextlib.closing(Person(api, "alice", f"d{n}")))
                      for n, api in enumerate(self.apis)]  # fmt: skip
        self.bob = stack.enter_context(contextlib.closing(Person(self.apis[1], "bob")))
        self.sent = []
        self._rounds = 0

    def send(self, count):
        """Through both by turns; every one is accepted."""
        for _ in range(count):
            number = len(self.sent)
            answer = self.alice[number % 2].send("bob", f"m{number}", id=f"i{number}")
            assert answer.status_code == 201, answer.text
            self.sent.append(f"m{number}")

    def tells_of_the_broker(self):
        found = [one.http.get("/brokers").json()["brokers"] for one in self.alice]
        return all(brokers[0]["tcp"] == TOLD for brokers in found)

    def shows_who_is_online(self):
        """From the mirror, which says whose it is."""
        return self.valkey.ask("HGET", names.PRESENCE, "") is not None

    def listens(self):
        counts = self.valkey.ask("PUBSUB", "NUMSUB", *CHANNELS)
        return counts[1] == len(self.webs) and counts[3] == 1

    def counts_together(self):
        """Failed logins of a new name at both, until both refuse: each for itself would let twice as many through."""
        self._rounds += 1
        wrong = {"user": f"nobody{self._rounds}", "password": "a wrong password", "device": "d"}
        failed, refused, begun = 0, set(), time.monotonic()
        while len(refused) < 2:
            for number, api in enumerate(self.apis):
                answer = httpx2.post(f"{api}/sessions", json=wrong, timeout=60)
                assert answer.status_code in {401, 429}, answer.text
                failed += answer.status_code == 401
                if answer.status_code == 429:
                    refused.add(number)
        back = (time.monotonic() - begun) * FAILURES / 60
        return failed <= FAILURES + back

    def recovers(self, what):
        begun = time.monotonic()
        for condition in (
            self.tells_of_the_broker,
            self.listens,
            self.shows_who_is_online,
            self.counts_together,
        ):
            left = begun + RECOVERS_S - time.monotonic()
            wait_for(condition, f"{condition.__name__} after it was {what}", max(left, 0.001))


def poll(person, after):
    """A long poll under way; called, it gives what it brought."""
    brought = []

    def wait():
        brought.extend(person.http.get("/sync", params={"after": after, "wait": 60}).json()["items"])

    thread = threading.Thread(target=wait)
    thread.start()

    def end():
        thread.join(90)
        return [item.get("text") for item in brought]

    return end


def test_whatever_happens_to_redis_nothing_accepted_is_lost_and_the_rest_recovers(tmp_path, valkey):
    with contextlib.ExitStack() as stack:
        # It is not there when they start, and nobody misses it.
        all_ = Stack(tmp_path, valkey, stack)
        all_.send(4)
        assert not all_.tells_of_the_broker()
        valkey.start()
        all_.recovers("started")

        waiting = poll(all_.bob, len(all_.sent))
        all_.send(1)
        assert waiting() == [all_.sent[-1]]
        device = stack.enter_context(
            contextlib.closing(Plain(all_.broker.port("mqtt"), "bob:cli", all_.bob.secret("cli")).connect())
        )
        wait_for(
            lambda: (
                all_.alice[0].http.get("/presence?users=alice,bob").status_code == 200
                and valkey.ask("HGET", names.PRESENCE, "bob") == b"online"
            )
        )

        for what, hurt, mend in (
            ("killed", valkey.kill, valkey.start),
            ("emptied", lambda: valkey.ask("FLUSHALL"), lambda: None),
            ("stopped", valkey.freeze, valkey.thaw),
            ("refusing", lambda: valkey.ask("REPLICAOF", "127.0.0.1", "1"),
             lambda: valkey.ask("REPLICAOF", "NO", "ONE")),
        ):  # fmt: skip
            all_.send(2)
            hurt()
            waiting = poll(all_.bob, len(all_.sent))
            all_.send(10)
            assert waiting()[:1] == [all_.sent[-10]], what
            mend()
            all_.recovers(what)

        # Whoever is kicked is so at once, and what was accepted is there, once and in order.
        assert all_.bob.http.delete("/devices/cli").status_code == 204
        wait_for(lambda: not device.client.is_connected(), "the kick")
        texts = [item["text"] for item in all_.bob.inbox() if item["type"] == "message"]
        assert texts == all_.sent
        assert [web.stop() for web in (*all_.webs, all_.broker)] == [0, 0, 0]
        assert valkey.ask("HLEN", names.BROKERS) == 0
        for process in (*all_.webs, all_.broker):
            log = process.log.read_text()
            assert "Traceback" not in log
            # Once for each time that it was away for longer than a moment, and once when it was back.
            assert 1 <= log.count("answers again") <= log.count("going on without it") <= 30, log
