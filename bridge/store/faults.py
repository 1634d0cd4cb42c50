"""Named points at which the fault laboratory breaks this process. Outside the laboratory nothing happens there.

They stand where a crash hurts most: around COMMIT, and between what is committed and what is told. A point is
`reach`ed once a batch, never once a message.
"""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from sqlalchemy.exc import OperationalError

POINTS: Final = ("before_commit", "after_commit", "before_reply", "before_publish", "before_outbox_delete")
_IN_TRANSACTION: Final = ("before_commit", "before_outbox_delete")
_KILL_FIELDS: Final = 3
_FAIL_FIELDS: Final = 4


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Faults(Protocol):
    """What the bridge asks at its points, and what time it is."""

    def reach(self, point: str) -> None:
        """May not return. Raises: OperationalError, as a database that fails there does."""
        ...

    def now_ms(self) -> int: ...


class NoFaults:
    """The one of every real server."""

    def reach(self, point: str) -> None:
        pass

    def now_ms(self) -> int:
        return now_ms()


NO_FAULTS: Final = NoFaults()


class Armed:
    """Does what a specification says, a list separated by commas:

    - `kill:POINT:N` ends the process with SIGKILL when the point is reached the Nth time.
    - `fail:POINT:N:TIMES` makes the database fail there, from the Nth time on, so many times. For the two points
      inside the transaction.
    - `clock:FILE` shifts the bridge's clock by the number of milliseconds in that file, if it is there.

    Raises: ValueError, in words for a person, for anything else.
    """

    def __init__(self, specification: str, kill: Callable[[], None] | None = None) -> None:
        self._kill = kill or _kill
        self._kills: dict[str, int] = {}
        self._failures: dict[str, tuple[int, int]] = {}
        self._clock: Path | None = None
        self._reached = dict.fromkeys(POINTS, 0)
        for part in specification.split(","):
            self._arm(part.strip())

    def _arm(self, part: str) -> None:
        action, _, rest = part.partition(":")
        fields = part.split(":")
        if action == "clock" and rest:
            self._clock = Path(rest)
        elif action == "kill" and len(fields) == _KILL_FIELDS and fields[1] in POINTS:
            self._kills[fields[1]] = _positive(fields[2])
        elif action == "fail" and len(fields) == _FAIL_FIELDS and fields[1] in _IN_TRANSACTION:
            self._failures[fields[1]] = _positive(fields[2]), _positive(fields[3])
        else:
            raise ValueError(
                f"{part!r} is none of kill:POINT:N, fail:POINT:N:TIMES, clock:FILE with a POINT of {', '.join(POINTS)}"
                f" (fail: {', '.join(_IN_TRANSACTION)})"
            )

    def reach(self, point: str) -> None:
        self._reached[point] += 1
        count = self._reached[point]
        if count == self._kills.get(point):
            self._kill()
        first, times = self._failures.get(point, (0, 0))
        if first <= count < first + times:
            raise OperationalError("COMMIT", {}, OSError("disk I/O error (made by the laboratory)"))

    def now_ms(self) -> int:
        return now_ms() + self._shift()

    def _shift(self) -> int:
        if self._clock is None:
            return 0
        try:
            return int(self._clock.read_text())
        except (OSError, ValueError):
            return 0


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{text!r} is no count from 1 on")
    return int(text)


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
