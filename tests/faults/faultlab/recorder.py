"""What a device saw, a JSON object a line, on disk before the device goes on.

Nobody but the device writes its file, and the server never sees it. A line that a kill cut in two is as if it had
never been written: what it would have told had not happened yet for its device.
"""

import json
import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Event = dict[str, Any]


class Recorder:
    """Appends to one file. For any thread."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        if torn(path):
            os.write(self._file, b"\n")

    def note(self, what: str, **fields: object) -> None:
        """Returns when it is on disk. `t` is the machine's steady clock, the same in all processes."""
        self.notes(what, [fields])

    def notes(self, what: str, many: Iterable[dict[str, object]]) -> None:
        """Likewise for several, and none of them is there before the one in front of it."""
        now = time.monotonic()
        lines = [json.dumps({"what": what, "t": now, **fields}, ensure_ascii=False) + "\n" for fields in many]
        if lines:
            with self._lock:
                os.write(self._file, "".join(lines).encode())
                os.fdatasync(self._file)

    def close(self) -> None:
        os.close(self._file)


def torn(path: Path) -> bool:
    """Whether the last line has no end."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if not size:
            return False
        file.seek(size - 1)
        return file.read() != b"\n"


class Follower:
    """Reads what is added to a file that may not be there yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0

    def new(self) -> list[Event]:
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._at)
            added = file.read()
        whole = added[: added.rfind(b"\n") + 1]
        self._at += len(whole)
        return [event for line in whole.splitlines() if (event := _event(line)) is not None]


def read(path: Path) -> list[Event]:
    return Follower(path).new()


def _event(line: bytes) -> Event | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None
