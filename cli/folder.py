"""The data folder: made with mode 700, checked before anything is opened in it, and held by one server."""

import contextlib
import fcntl
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from cli.errors import CliError, SettingsError

LOCK_FILE = "pabal.lock"
MODE = 0o700
_WANTED = "expected a folder that this user may write"


def prepare(folder: Path, setting: str = "data") -> None:
    """Make the folder if it is missing, and see that it can be written; `setting` is the one to blame.

    Raises: SettingsError, in one line, if it cannot be used.
    """
    if folder.exists() and not folder.is_dir():
        raise SettingsError(f"{setting} = '{folder}' is not a folder; {_WANTED}")
    try:
        folder.mkdir(mode=MODE, parents=True, exist_ok=True)
        # root passes every access(2) check, also where nothing can be written, so that only trying tells.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _unwritable(folder, error, setting) from None


def _unwritable(folder: Path, error: OSError, setting: str = "data") -> SettingsError:
    return SettingsError(f"{setting} = '{folder}' cannot be written ({error.strerror}); {_WANTED}")


@dataclass(slots=True)
class Lock:
    """A lock file that the kernel releases with the process, however that ends.

    The file holds the pid of its holder, and is emptied by one that stops as it should: `unclean` tells that the
    holder before did not.
    """

    path: Path
    unclean: bool = field(default=False, init=False)
    _file: IO[str] | None = field(default=None, init=False)

    def acquire(self) -> Self:
        """Raises: CliError, naming the pid of the holder, if another process holds it; SettingsError if it cannot
        be written.
        """
        try:
            handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            raise _unwritable(self.path.parent, error) from None
        file = os.fdopen(handle, "a+")
        file.seek(0)
        text = file.read().strip()
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise CliError(
                f"a server with pid {text or 'unknown'} already uses {self.path.parent}; stop it first, or give "
                "this one a data folder of its own"
            ) from None
        self.unclean = bool(text)
        try:
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
        except OSError as error:
            with contextlib.suppress(OSError):
                file.close()
            raise _unwritable(self.path.parent, error) from None
        self._file = file
        return self

    def release(self) -> None:
        """Say that this was a clean end, and let go. A second call does nothing."""
        if self._file is not None:
            self._file.truncate(0)
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def holder(folder: Path) -> int | None:
    """The pid of the server that holds this folder. Returns None if there is none."""
    try:
        with (folder / LOCK_FILE).open() as file:
            text = file.read().strip()
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(text) if text.isdigit() else 0
            return None
    except OSError:
        return None
