"""The real `pabal ROLE` as a process, for tests of a deployment."""

import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from queue import Empty, SimpleQueue

import pytest

START_S = 120
STOP_S = 60
SECRET = "a secret for services"


class RoleProcess:
    """`pabal ROLE …`, with its log in a file. `bound` are its addresses by name, once it is ready."""

    def __init__(
        self, log: Path, role: str, *arguments: str, environment: dict[str, str] | None = None
    ) -> None:
        self.role = role
        self.log = log
        self.bound: dict[str, str] = {}
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PABAL_")}
        shared = {"PABAL_RATE_LIMITS": "off", "PABAL_SERVICE_SECRET": SECRET}
        with log.open("a") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cli", role, *arguments],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=file, text=True,
                env={**clean, **shared, **(environment or {})},
            )  # fmt: skip
        self._lines: SimpleQueue[str] = SimpleQueue()
        self._reader = threading.Thread(target=self._drain, daemon=True)
        self._reader.start()

    def await_ready(self, seconds: float = START_S) -> "RoleProcess":
        try:
            line = self._lines.get(timeout=seconds)
        except Empty:
            line = ""
        if re.fullmatch(rf"pabal {self.role} ready( \w+=\S+:\d+)+", line) is None:
            self.close()
            pytest.fail(f"no ready line but {line!r}; the log:\n{self.log.read_text()}")
        self.bound = dict(part.split("=") for part in line.split()[3:])
        return self

    def port(self, name: str) -> int:
        return int(self.bound[name].rpartition(":")[2])

    def url(self, name: str = "http") -> str:
        return f"http://{self.bound[name]}"

    def stop(self) -> int:
        """Asks it to. Returns its exit code."""
        self.process.terminate()
        return self._ended()

    def kill(self) -> None:
        """`kill -9`."""
        self.process.kill()
        self._ended()

    def close(self) -> None:
        if self.process.poll() is None:
            self.kill()
        self._reader.join(STOP_S)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def _ended(self) -> int:
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            pytest.fail(f"{self.role} did not stop within {STOP_S} s; the log:\n{self.log.read_text()}")

    def _drain(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put("")
