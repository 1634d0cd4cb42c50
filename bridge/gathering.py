"""Requests that only move marks wait a moment for each other, so that a few of them share a transaction.

A transaction costs the same whether it moves one mark or fifty, and nobody waits to see that something was read. Whatever
else arrives begins the batch at once, and they go along with it in their order.
"""

import asyncio
from collections.abc import Callable
from typing import TypeGuard

from bridge.commands import AckCommand, ReadCommand
from bridge.jobs import Job, Upkeep
from bridge.ports import Source
from pabal.ids import DeviceId, UserId

# Long enough to share a commit when a hundred people read in a second; the reply to a `read` is no later for it than
# over a slow link.
GATHER_S = 0.05
_MARKS = (ReadCommand, AckCommand)
_Whose = tuple[UserId, DeviceId]


def is_mark(job: Job | Upkeep) -> TypeGuard[Job]:
    """Whether it says how far somebody has come, and nothing else."""
    return isinstance(job.command, _MARKS)


class Gathering:
    """Whose marks wait, and since when. It is on from the first of them until `end`; then `due` was called, or is not
    any more.
    """

    __slots__ = ("_devices", "_timer")

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None
        self._devices: set[_Whose] = set()

    @property
    def is_on(self) -> bool:
        return self._timer is not None

    def add(self, source: Source, loop: asyncio.AbstractEventLoop, due: Callable[[], None]) -> None:
        """`due` is called when the first of them has waited long enough."""
        if self._timer is None:
            self._timer = loop.call_later(GATHER_S, due)
        self._devices.add((source.user, source.device))

    def has(self, source: Source) -> bool:
        """Whether something of this device waits."""
        return (source.user, source.device) in self._devices

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._devices.clear()
