"""The server under test: a real `pabal serve` that is started, stopped, killed and looked at from outside."""

import contextlib
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from queue import Empty, SimpleQueue

READY = re.compile(r"^pabal ready mqtt=\S+:(\d+) ws=\S+:(\d+) http=\S+:(\d+)$")
START_S = 120
STOP_S = 90
ROOT = Path(__file__).parents[3]
# The word with which a start ends that finds no database.
_NO_DATABASE = "cannot be used: "


class LabError(Exception):
    """The bench itself does not work, or the server does not come back; the message says which."""


def environment(**more: str) -> dict[str, str]:
    """Ours without any setting of Pabal; children find the same sources as this process."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PABAL_")}
    return {**kept, **more}


class ServerProcess:
    """`pabal serve` over a data folder that outlives it. Ports stay the same over restarts."""

    def __init__(
        self, data: Path, log: Path, clock: Path, database_url: str | None = None, *, small_limit: int = 100
    ) -> None:
        self.data = data
        self.log = log
        self.clock = clock
        self.mqtt = self.ws = self.http = 0
        self.starts = 0
        self._database_url = database_url
        self._small_limit = small_limit
        self._process: subprocess.Popen[str] | None = None
        self._readers: list[threading.Thread] = []
        self._standby: ServerProcess | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise LabError("the server is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, faults: str = "") -> None:
        """Returns when it is ready. Raises: LabError if it is not in time, with the end of its log."""
        deadline = time.monotonic() + START_S
        while True:
            self._begin(faults)
            try:
                self._become_ready(armed=bool(faults), seconds=START_S)
            except LabError:
                # A database that was broken a moment ago may still be coming back.
                if _NO_DATABASE not in self.tail(3) or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return

    def _begin(self, faults: str = "") -> None:
        self._lines: SimpleQueue[str] = SimpleQueue()
        armed = ",".join(part for part in (f"clock:{self.clock}", faults) if part)
        self._process = process = self._popen(armed)
        self._readers = [
            threading.Thread(target=_queue_lines, args=(process.stdout, self._lines), daemon=True),
            threading.Thread(target=_save_lines, args=(process.stderr, self.log), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _become_ready(self, *, armed: bool, seconds: float) -> None:
        try:
            line = self._lines.get(timeout=seconds)
        except Empty:
            line = ""
        ready = READY.match(line)
        if ready is None and armed and not line:
            self.reap()  # the fault it was armed with came before it was ready
            return
        if ready is None:
            self.kill()
            raise LabError(f"the server did not start: {line!r}\n{self.tail()}")
        self.mqtt, self.ws, self.http = (int(port) for port in ready.groups())
        self.starts += 1

    def _popen(self, armed: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.log.parent,
            env=environment(
                PABAL_RATE_LIMITS="off",
                PABAL_FAULTS=armed,
                PABAL_INBOX_KEEP_UPDATES="10000000",
                PABAL_SMALL_GROUP_LIMIT=str(self._small_limit),
                **self._database(),
            ),
        )

    def _database(self) -> dict[str, str]:
        return {"PABAL_DATABASE_URL": self._database_url} if self._database_url else {}

    def command(self) -> list[str]:
        addresses = [f"--{name}=127.0.0.1:{getattr(self, name)}" for name in ("mqtt", "ws", "http")]
        return [sys.executable, "-m", "cli", "serve", "--data", str(self.data), *addresses]

    def stand_by(self, *, same_ports: bool = True) -> None:
        """Start another server on the same database, which waits for this one to be gone.

        Raises: LabError if it does not wait.
        """
        log = self.log.with_name("standby.log")
        other = ServerProcess(self.data, log, self.clock, self._database_url, small_limit=self._small_limit)
        if same_ports:
            other.mqtt, other.ws, other.http = self.mqtt, self.ws, self.http
        self._standby = other
        other._begin_anew()
        deadline = time.monotonic() + START_S
        while "standing by" not in other.tail():
            if time.monotonic() > deadline:
                raise LabError(f"the second server does not stand by:\n{other.tail()}")
            if not other.running:
                other.reap()  # then all that it said is in its log
                if _NO_DATABASE not in other.tail(3):
                    raise LabError(f"the second server does not stand by:\n{other.tail()}")
                # The database was being broken just then, and a start that finds none ends with this word.
                other._begin_anew()
            time.sleep(0.05)

    def _begin_anew(self) -> None:
        self.log.unlink(missing_ok=True)
        self._begin()

    def lose_standby(self) -> None:
        """`kill -9` of the one that stands by."""
        standby, self._standby = self._standby, None
        if standby is not None:
            standby.kill()

    def usurp(self) -> tuple[float, bool]:
        """Stop this one in the middle of whatever it does; go on with the other, on ports of its own; and then let
        this one see that it is too late. Returns the seconds until the other was ready, and whether this one
        ended by itself.

        Raises: LabError if the other is not ready in time.
        """
        other, self._standby = self._standby, None
        if other is None or self._process is None:
            raise LabError("nobody stands by")
        frozen, readers = self._process, self._readers
        frozen.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        try:
            self._process, self._readers, self._lines = other._process, other._readers, other._lines
            self._become_ready(armed=False, seconds=START_S)
            took_s = time.monotonic() - began
        finally:
            frozen.send_signal(signal.SIGCONT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            frozen.wait(STOP_S)
        ended = frozen.poll() is not None
        frozen.kill()
        frozen.wait()
        _close(frozen, readers)
        return took_s, ended

    def take_over(self) -> float:
        """`kill -9` of this one, and go on with the other. Returns the seconds until that was ready.

        Raises: LabError if it is not in time.
        """
        other, self._standby = self._standby, None
        if other is None:
            raise LabError("nobody stands by")
        self.kill()
        began = time.monotonic()
        self._process, self._readers, self._lines = other._process, other._readers, other._lines
        self._become_ready(armed=False, seconds=START_S)
        return time.monotonic() - began

    def say_restored(self) -> None:
        """`pabal db restored`. Raises: LabError if that fails."""
        command = [sys.executable, "-m", "cli", "db", "restored", "--data", str(self.data)]
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            timeout=START_S,
            env=environment(**self._database()),
            cwd=self.log.parent,
        )
        if done.returncode:
            raise LabError(f"pabal db restored: {done.stderr}")

    def kill(self) -> None:
        """`kill -9`; the children of it end by themselves."""
        self.signal(signal.SIGKILL)
        self.reap()
        self.lose_standby()

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def stop(self) -> int:
        """As an operator would. Returns the exit code. Raises: LabError if it does not end."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        return self.reap()

    def wait_dead(self, seconds: float) -> bool:
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
        return not self.running

    def reap(self) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        try:
            code = process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise LabError(f"the server did not stop within {STOP_S} s\n{self.tail()}") from None
        finally:
            _close(process, self._readers)
        return code

    def web_processes(self) -> list[int]:
        """The pids of the web process and its workers."""
        found, look = [], [self.pid]
        while look:
            children = _children(look.pop())
            found += children
            look += children
        return found

    def limit_files(self, size: int | None) -> None:
        """No file of the server may grow beyond so many bytes (None: any size); its writes fail there."""
        limit = resource.RLIM_INFINITY if size is None else size
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    def tail(self, lines: int = 15) -> str:
        return "\n".join(self.log.read_text().splitlines()[-lines:]) if self.log.exists() else ""


def _close(process: "subprocess.Popen[str]", readers: list[threading.Thread]) -> None:
    for reader in readers:
        reader.join(60)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _children(pid: int) -> list[int]:
    found = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def _queue_lines(pipe, lines: "SimpleQueue[str]") -> None:
    for line in pipe:
        lines.put(line.rstrip("\n"))
    lines.put("")


def _save_lines(pipe, log: Path) -> None:
    """Through a pipe, so that a limit on the server's files does not silence its log."""
    with log.open("a") as file:
        for line in pipe:
            file.write(line)
            file.flush()
