"""The real `pabal serve` as a process, for tests that go the whole way over real sockets."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from queue import Empty, SimpleQueue

import pytest
from faultlab.ports import port_of, reserved

from pabal_client import Client, Rest

READY = re.compile(r"^pabal ready mqtt=(\S+):(\d+) ws=(\S+):(\d+) http=(\S+):(\d+)((?: \w+=\S+:\d+)*)$")
START_S = 120
STOP_S = 90
PASSWORD = "correct horse battery"
QUIET = {"PABAL_RATE_LIMITS": "off"}


class Server:
    """`pabal serve` on free ports over a data folder that outlives it.

    `mqtt`, `ws`, `http` are ports on 127.0.0.1, `more` those of other listeners by name (after `start()`), `api` is
    the REST base URL. A restart keeps the ports, so that clients find it again, and until `close()` they are nobody
    else's. The log is in the file `log`.
    """

    def __init__(self, folder: Path, *arguments: str, environment: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "server.log"
        self._holders = [reserved() for _ in range(3)]
        self.mqtt, self.ws, self.http = map(port_of, self._holders)
        self.more: dict[str, int] = {}
        self.process: subprocess.Popen[str] | None = None
        self.stdout: list[str] = []
        self._arguments = arguments
        self._environment = environment or {}
        self._reader: threading.Thread | None = None
        self._lines: SimpleQueue[str] = SimpleQueue()

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.http}/v1"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> "Server":
        """Returns when the ready line is there; fails the test with the log if it does not come in time."""
        return self.begin().await_ready()

    def begin(self) -> "Server":
        """Only start the process: a standby is not ready before its turn."""
        self._lines = lines = SimpleQueue()
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PABAL_")}
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "cli",
                    "serve",
                    "--data",
                    str(self.data),
                    *self._addresses(),
                    *self._arguments,
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**environment, **self._environment},
            )
        self._reader = threading.Thread(target=self._drain, args=(self.process, lines), daemon=True)
        self._reader.start()
        return self

    def await_ready(self, seconds: float = START_S) -> "Server":
        try:
            line = self._lines.get(timeout=seconds)
        except Empty:
            line = ""
        ready = READY.match(line)
        if ready is None:
            self.kill()
            pytest.fail(f"no ready line but {line!r}; the log:\n{self.log.read_text()}")
        assert [int(ready[place]) for place in (2, 4, 6)] == [self.mqtt, self.ws, self.http]
        self.more = {name: int(port) for name, port in re.findall(r" (\w+)=\S+:(\d+)", ready[7])}
        return self

    def kill(self) -> None:
        """`kill -9`, as a power cut would; the data folder stays."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """Kill it where it still runs, and let others have its ports."""
        if self.process is not None:
            self.kill()
        for holder in self._holders:
            holder.close()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop. Returns its exit code."""
        return self._end(number)

    def restart(self) -> "Server":
        """Start again on the same ports; after `kill()` or `stop()`, or stopping it first."""
        if self.process is not None:
            self.stop()
        return self.start()

    def _addresses(self) -> list[str]:
        return [f"--{name}=127.0.0.1:{getattr(self, name)}" for name in ("mqtt", "ws", "http")]

    def _end(self, number: signal.Signals) -> int:
        process, self.process = self.process, None
        assert process is not None, "it is not running"
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        try:
            code = process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            pytest.fail(f"did not stop within {STOP_S} s; the log:\n{self.log.read_text()}")
        finally:
            if self._reader is not None:
                self._reader.join(STOP_S)
            if process.stdout is not None:
                process.stdout.close()
        return code

    def _drain(self, process: subprocess.Popen[str], lines: "SimpleQueue[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.stdout.append(line.rstrip("\n"))
            lines.put(self.stdout[-1])
        lines.put("")


@pytest.fixture
def start_server(tmp_path):
    """`start_server(*arguments, environment=None)` gives another started server, with `wait=False` one that is not
    ready yet; all end with the test.
    """
    servers: list[Server] = []

    def start(*arguments: str, environment: dict[str, str] | None = None, wait: bool = True) -> Server:
        folder = tmp_path / f"server{len(servers)}"
        folder.mkdir()
        server = Server(folder, *arguments, environment=environment)
        servers.append(server)
        return server.start() if wait else server.begin()

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def own_server(start_server):
    """A started server with default settings, but rate limits off."""
    return start_server(environment=QUIET)


@pytest.fixture
def server(own_server):
    return own_server


@pytest.fixture(scope="module")
def standing_server(tmp_path_factory):
    """One for all tests of a file that neither stop it nor mind what is there already; as `server` otherwise."""
    made = Server(tmp_path_factory.mktemp("standing"), environment=QUIET)
    yield made.start()
    made.close()


@pytest.fixture
def rest(server):
    with Rest(f"http://127.0.0.1:{server.http}") as rest:
        yield rest


@pytest.fixture
def open_client(server, rest, tmp_path):
    """`open_client("alice", "phone", …)` signs up and logs in where that was not done, and opens the device."""
    opened, tokens = [], {}

    def open_one(user, device="phone", *, ws=False, **options):
        if (user, device) not in tokens:
            if not any(known == user for known, _ in tokens):
                rest.sign_up(user, PASSWORD)
            tokens[user, device] = rest.log_in(user, PASSWORD, device).access_token
        broker = f"ws://127.0.0.1:{server.ws}/mqtt" if ws else f"mqtt://127.0.0.1:{server.mqtt}"
        options.setdefault("password", tokens[user, device])
        options.setdefault("store", tmp_path / f"{user}-{device}.sqlite")
        opened.append(Client.open(broker, user=user, device=device, **options))
        return opened[-1]

    yield open_one
    for client in opened:
        client.close()
