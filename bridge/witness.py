"""What was last seen of a database, kept in a file outside it: so a restored backup is noticed.

A backup brings its own epoch back with it, so the database cannot tell by itself that its counters have gone
back. The file can: it knows a transaction that the database has forgotten.
"""

import contextlib
import logging
import os
from pathlib import Path

import msgspec

logger = logging.getLogger("pabal.bridge")


class Seen(msgspec.Struct, frozen=True):
    """`batch` is the number of the newest transaction of that epoch."""

    epoch: str
    batch: int


class Witness:
    """The file. Without a path nothing is remembered."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._written: Seen | None = None
        self._complained = False

    def read(self) -> Seen | None:
        """None if there is none, or none that can be read, which is logged."""
        if self._path is None:
            return None
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Seen)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            logger.warning("%s cannot be read and is made anew: %s", self._path, error)
            return None

    def write(self, seen: Seen) -> None:
        """Replace the file as a whole. A failure is logged, once, and stops nothing."""
        if self._path is None or seen == self._written:
            return
        scratch = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            scratch.write_bytes(msgspec.json.encode(seen))
            scratch.replace(self._path)
        except OSError as error:
            with contextlib.suppress(OSError):
                scratch.unlink(missing_ok=True)
            if not self._complained:
                logger.warning(
                    "%s cannot be written; a restored backup may go unnoticed: %s", self._path, error
                )
            self._complained = True
            return
        self._written = seen
        self._complained = False


def restored(seen: Seen | None, epoch: str, batch: int, *, shared: bool) -> str | None:
    """Why the database must have been restored from a backup; None if nothing speaks for it.

    `shared`: servers with other files use this database too and may have made a new epoch, so that only
    a number that has gone back says anything.
    """
    if seen is None:
        return None
    if seen.batch > batch:
        return f"the database has forgotten what was committed after transaction {batch}"
    if seen.epoch != epoch and not shared:
        return f"the database is of epoch {epoch}, and {seen.epoch} was seen here before"
    return None
