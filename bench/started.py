"""`pabal ROLE` as a process to measure: once it is ready, and ended after."""

import os
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_START_S = 120
_STOP_S = 60


@dataclass(frozen=True)
class Started:
    """`bound` are the addresses of its ready line, by name."""

    process: subprocess.Popen
    bound: dict[str, str]
    log: Path

    def port(self, name: str) -> int:
        return int(self.bound[name].rpartition(":")[2])


@contextmanager
def started(folder: Path, url: str, name: str, *flags: str, **settings: str) -> Iterator[Started]:
    """On this folder and database, without rate limits. `settings` are further ones, by the names of their variables."""
    log = folder / f"{name}.log"
    quiet = {"PABAL_RATE_LIMITS": "off", "PABAL_LOG_LEVEL": "warning", "PABAL_DATABASE_URL": url}
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", name, "--data", str(folder), *flags],
            env={**os.environ, **quiet, **settings}, stdout=subprocess.PIPE, stderr=errors, text=True,
            preexec_fn=many_files,
        )  # fmt: skip
    watchdog = threading.Timer(_START_S, process.kill)
    watchdog.start()
    try:
        line = process.stdout.readline()
        watchdog.cancel()
        # The all-in-one does not say its name.
        said, ready, addresses = line.partition("ready ")
        if not ready or said.split() not in (["pabal"], ["pabal", name]):
            raise SystemExit(f"pabal {name} did not start: {line!r}\n{log.read_text()}")
        yield Started(process, dict(part.split("=", 1) for part in addresses.split()), log)
    finally:
        watchdog.cancel()
        end(process)
        process.stdout.close()


def end(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def many_files() -> None:
    """As many open files as this process may have."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
