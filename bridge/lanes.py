"""One device's requests are answered in order: while a read of it is under way, what follows waits in its lane."""

from collections import deque

from bridge.jobs import Job
from bridge.ports import Source
from pabal.ids import DeviceId, UserId

_Whose = tuple[UserId, DeviceId]


class Lanes:
    """`waiting` is how many requests stand in all lanes together; whoever admits requests bounds it."""

    __slots__ = ("_open", "waiting")

    def __init__(self) -> None:
        self._open: dict[_Whose, deque[Job]] = {}
        self.waiting = 0

    def open(self, source: Source) -> None:
        """A read of this device begins."""
        self._open[source.user, source.device] = deque()

    def joins(self, job: Job) -> bool:
        """Whether the job has to wait for a read of its device, where it now stands."""
        if not self._open:
            return False
        lane = self._open.get((job.source.user, job.source.device))
        if lane is None:
            return False
        lane.append(job)
        self.waiting += 1
        return True

    def close(self, source: Source) -> deque[Job]:
        """The read has ended. Returns what waited for it, in order."""
        lane = self._open.pop((source.user, source.device))
        self.waiting -= len(lane)
        return lane
