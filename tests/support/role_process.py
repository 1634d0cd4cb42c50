"""A role of the `pabal` command as a process, for tests that start and kill it."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from queue import Empty, SimpleQueue

_READY_S = 120
_STOP_S = 60


class RoleProcess:
    """`pabal ROLE …`; `start` returns with its ready line. What it logs is in the file `log`."""

    def __init__(self, log: Path, *arguments: str, environment: dict[str, str] | None = None) -> None:
        self.log = log
        self._arguments = arguments
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PABAL_")}
        self._environment = {
            **clean,
            "PABAL_METRICS": "off",
            "PABAL_RATE_LIMITS": "off",
            **(environment or {}),
        }
        self.process: subprocess.Popen[str] | None = None
        self._lines: SimpleQueue[str] = SimpleQueue()
        self._reader: threading.Thread | None = None

    def begin(self) -> "RoleProcess":
        """Only start it: a standby is not ready before its turn."""
        self._lines = lines = SimpleQueue()
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cli", *self._arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=self._environment,
            )
        self._reader = threading.Thread(target=_drain, args=(self.process, lines), daemon=True)
        self._reader.start()
        return self

    def ready(self, seconds: float = _READY_S) -> str:
        """The ready line."""
        try:
            line = self._lines.get(timeout=seconds)
        except Empty:
            line = ""
        assert line.startswith("pabal ready "), (
            f"no ready line but {line!r}; the log:\n{self.log.read_text()}"
        )
        return line

    def start(self) -> str:
        return self.begin().ready()

    def kill(self) -> None:
        self.end(signal.SIGKILL)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int | None:
        """Returns its exit code, None if it was not running."""
        process, self.process = self.process, None
        if process is None:
            return None
        process.send_signal(number)
        try:
            return process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        finally:
            if self._reader is not None:
                self._reader.join(_STOP_S)
            if process.stdout is not None:
                process.stdout.close()


def _drain(process: "subprocess.Popen[str]", lines: "SimpleQueue[str]") -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line.rstrip("\n"))
    lines.put("")
