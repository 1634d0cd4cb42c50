"""A migrated SQLite database for tests: migrated once a test process, then copied."""

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine

from bridge.store import schema
from bridge.store.engine import open_engine, sqlite_url


def migrated_sqlite(folder: Path, fill: Callable[[Engine], object] | None = None) -> str:
    """The URL of a new migrated database in this folder, with what `fill` (a function of a module) puts into it."""
    url = sqlite_url(folder)
    engine = open_engine(url)
    Path(str(engine.url.database)).write_bytes(_made(fill))
    return url


@functools.cache
def _made(fill: Callable[[Engine], object] | None) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(sqlite_url(Path(folder)))
        schema.upgrade(engine)
        if fill is not None:
            fill(engine)
        # The last connection that ends moves everything into the one file.
        engine.dispose()
        [file] = Path(folder).iterdir()
        return file.read_bytes()
