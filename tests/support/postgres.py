"""A real PostgreSQL for tests: one server a test process, and databases that are used again when they are clean."""

import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from faultlab.wheel import NOT_YET, new_server
from postgres_template import Template
from sqlalchemy import Engine, create_engine, text

from bridge.store import schema
from bridge.store.engine import open_engine

_START_S = 120


class Postgres:
    def __init__(self, folder: Path, server: Any) -> None:
        self.folder = folder
        self._server = server
        self._numbers = itertools.count(1)
        self._maintenance = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        # What is committed need not outlive the machine that runs the tests, but only PostgreSQL's own stops.
        self._run("ALTER SYSTEM SET fsync = off")
        # It would write statistics at moments of its own, and a copy with others than the template's is not used again.
        self._run("ALTER SYSTEM SET autovacuum = off")
        self._run("SELECT pg_reload_conf()")
        self._templates: dict[str, Template] = {}
        # Which template a database was made from, while it is somebody's.
        self._given: dict[str, Template] = {}
        self._run("CREATE DATABASE migrated")
        self._keep("migrated", schema.upgrade)

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://postgres:@/{database}?host={self.folder}"

    def template(self, name: str, fill: Callable[[Engine], object]) -> str:
        """The name of a template: a migrated database with what `fill` puts into it when it is first asked for."""
        if name not in self._templates:
            self._run(f"CREATE DATABASE {name} TEMPLATE migrated")
            self._keep(name, fill)
        return name

    def fresh(self, template: str = "migrated") -> str:
        """The URL of a database as the template is; `template1` is one without our tables."""
        known = self._templates.get(template)
        if known is not None and known.clean:
            name = known.clean.pop()
        else:
            name = f"test{next(self._numbers)}"
            self._run(f"CREATE DATABASE {name} TEMPLATE {template}")
        if known is not None:
            self._given[name] = known
        return self.url(name)

    def in_bytes(self) -> str:
        """The URL of a new database that does not know what its text is written in, as `LANG=C` makes them."""
        name = f"test{next(self._numbers)}"
        self._run(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
        return self.url(name)

    def give_back(self, url: str) -> None:
        """Ends whoever is still connected. What can be made clean again is kept for the next, the rest is gone."""
        name = _name(url)
        template = self._given[name]
        if template.restore(self._conninfo(name)):
            del self._given[name]
            template.clean.append(name)
        else:
            self.drop(url)

    def drop(self, url: str) -> None:
        """Also ends whoever is still connected."""
        name = _name(url)
        self._given.pop(name, None)
        self._run(f"DROP DATABASE {name} WITH (FORCE)")

    def _keep(self, name: str, fill: Callable[[Engine], object]) -> None:
        engine = open_engine(self.url(name))
        fill(engine)
        engine.dispose()
        self._templates[name] = Template(self._conninfo(name))

    def _conninfo(self, database: str) -> str:
        return f"host={self.folder} user=postgres dbname={database}"

    def _run(self, statement: str) -> None:
        with self._maintenance.connect() as connection:
            connection.execute(text(statement))

    def stop(self) -> None:
        """As an administrator does who is in a hurry: all sessions end."""
        self._maintenance.dispose()
        self._server.stop()

    def start(self) -> None:
        """Again, after `stop`."""
        _start(self._server)

    def close(self) -> None:
        self._maintenance.dispose()


def _name(url: str) -> str:
    return url.split("/")[3].split("?", maxsplit=1)[0]


@contextmanager
def running() -> Iterator[Postgres]:
    """The wheel's PostgreSQL over a new cluster, stopped and removed at the end."""
    # Not in a folder of pytest's: as root the cluster belongs to another user, and another pytest that starts
    # closes those folders for everybody else.
    with tempfile.TemporaryDirectory(prefix="pabal-postgres-") as made:
        folder = Path(made)
        # The package looks for the user's run-time folder when it is imported, and warns where there is none.
        os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
        server = new_server(folder / "cluster")
        try:
            _start(server)
            postgres = Postgres(folder / "cluster", server)
            yield postgres
            postgres.close()
        finally:
            server.cleanup()


def _start(server: Any) -> None:
    """A busy machine needs longer than the wheel waits."""
    deadline = time.monotonic() + _START_S
    while True:
        try:
            server.start()
        except NOT_YET:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return
