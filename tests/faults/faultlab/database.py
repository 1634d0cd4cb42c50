"""The database under the server: where it is, and how it is broken from below."""

import contextlib
import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import create_engine, text

from bridge.store import maintenance
from bridge.store.engine import sqlite_url
from faultlab.proxy import Proxy
from faultlab.server import LabError
from faultlab.wheel import NOT_YET, new_server

_START_S = 120.0


class Database(Protocol):
    """`url` is what the server is given; None for its own default, SQLite in its data folder."""

    @property
    def url(self) -> str: ...

    @property
    def given(self) -> str | None: ...


class Sqlite:
    """A file in the data folder."""

    given = None

    def __init__(self, data: Path) -> None:
        self._data = data
        self.url = sqlite_url(data)

    @property
    def _file(self) -> Path:
        return self._data / "pabal.sqlite3"

    def back_up(self, target: Path) -> None:
        """Beside the running server."""
        maintenance.backup(self._file, target)

    def restore(self, backup: Path) -> None:
        """As an operator does who knows how: the server is dead, and its log files go as well."""
        for name in ("-wal", "-shm"):
            self._file.with_name(self._file.name + name).unlink(missing_ok=True)
        shutil.copyfile(backup, self._file)


class Postgresql:
    """A cluster of its own, from the wheel. The server reaches it through a proxy, the laboratory directly."""

    def __init__(self, server: Any, folder: Path, proxy: Proxy) -> None:
        self.proxy = proxy
        self._server = server
        self._folder = folder
        self._killed: list[int] = []
        self._owner = folder.stat().st_uid
        self._address = f"postgresql+psycopg://postgres:@/{{}}?host={folder}"
        self.url = self._address.format("pabal")
        self.given = f"postgresql+psycopg://postgres@127.0.0.1:{proxy.port}/pabal"
        engine = create_engine(self._address.format("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            if connection.execute(text("SHOW fsync")).scalar_one() != "on":
                raise LabError("this PostgreSQL runs without fsync")
            connection.execute(text("CREATE DATABASE pabal"))
        engine.dispose()

    @property
    def pid(self) -> int:
        return int(self._server.get_pid())

    def kill(self) -> None:
        """`kill -9` of the postmaster; its children notice by themselves, and `start` waits for that."""
        self._killed = [self.pid, *_children(self.pid)]
        os.kill(self._killed[0], signal.SIGKILL)

    def kill_backend(self, chance: random.Random) -> None:
        """`kill -9` of one of the processes that serve connections: PostgreSQL recovers, and ends all of them."""
        serving = [pid for pid in _children(self.pid) if _serves(pid)]
        if serving:
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(serving), signal.SIGKILL)

    def stop(self) -> None:
        """As an administrator does in a hurry."""
        self._server.stop()

    def start(self) -> None:
        """Raises: LabError if it does not come back."""
        deadline = time.monotonic() + _START_S
        while any(_is_alive(pid) for pid in self._killed):
            if time.monotonic() > deadline:
                raise LabError("PostgreSQL's processes do not end")
            time.sleep(0.05)
        if self._killed:
            # Where nobody reaps it, a dead postmaster still counts as one that runs.
            for left_over in ("postmaster.pid", ".s.PGSQL.5432.lock"):
                (self._folder / left_over).unlink(missing_ok=True)
            self._killed = []
        _start(self._server)

    def back_up(self, target: Path) -> None:
        """A cold copy: PostgreSQL is away meanwhile."""
        self.stop()
        shutil.copytree(self._folder, target, ignore=shutil.ignore_patterns("*.pid", ".s.PGSQL*"))
        self.start()

    def restore(self, backup: Path) -> None:
        """The cluster as it was, with the server dead."""
        self.stop()
        for part in self._folder.iterdir():
            shutil.rmtree(part) if part.is_dir() else part.unlink()
        shutil.copytree(backup, self._folder, dirs_exist_ok=True)
        for part in (self._folder, *self._folder.rglob("*")):
            shutil.chown(part, self._owner)
        self.start()

    def freeze(self, *, frozen: bool) -> None:
        """SIGSTOP and SIGCONT of the processes that serve connections; the postmaster's own goes on."""
        number = signal.SIGSTOP if frozen else signal.SIGCONT
        for pid in _children(self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def _start(server: Any) -> None:
    """Raises: LabError if it does not."""
    deadline = time.monotonic() + _START_S
    while True:
        with contextlib.suppress(*NOT_YET):
            server.start()
            return
        if time.monotonic() > deadline:
            raise LabError("PostgreSQL does not start")
        time.sleep(0.2)


def _is_alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def _serves(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return b" pabal " in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


@contextmanager
def postgresql() -> Iterator[Postgresql]:
    """A new cluster, stopped and removed at the end."""
    # Not in a folder of pytest's: as root the cluster belongs to another user, and another pytest that starts
    # closes those folders for everybody else.
    with tempfile.TemporaryDirectory(prefix="pabal-faults-postgresql-") as made:
        folder = Path(made)
        os.environ.setdefault("XDG_RUNTIME_DIR", made)
        cluster = folder / "cluster"
        proxy = Proxy(cluster / ".s.PGSQL.5432", seed=0)
        proxy.start()
        server = new_server(cluster)
        try:
            _start(server)
            yield Postgresql(server, cluster, proxy)
        finally:
            proxy.stop()
            server.cleanup()
