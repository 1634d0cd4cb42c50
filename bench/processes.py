"""What processes have used so far, as the system tells it: of one, or of one with all that came from it."""

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Role:
    """A part of a deployment: the process `pid` (`itself`), what it started (`children`), or both."""

    pid: int
    itself: bool = True
    children: bool = True

    def pids(self) -> list[int]:
        found = [self.pid] if self.itself else []
        return found + (_descendants(self.pid) if self.children else [])

    def cpu_seconds(self) -> float:
        """Of those that are there."""
        return sum(_cpu_seconds(pid) for pid in self.pids())

    def memory_mib(self) -> float:
        """What is theirs, and their share of what several use."""
        return sum(_memory_mib(pid) for pid in self.pids())


def _descendants(pid: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _fields(int(entry.name))):
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found: list[int] = []
    left = [pid]
    while left:
        children = parents.get(left.pop(), [])
        found += children
        left += children
    return found


def _fields(pid: int) -> list[str]:
    """What stands behind the name in its line, the state first; nothing once it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _cpu_seconds(pid: int) -> float:
    fields = _fields(pid)
    return (int(fields[11]) + int(fields[12])) / _TICKS if fields else 0.0


def _memory_mib(pid: int) -> float:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return int(rollup.split("\nPss:")[1].split()[0]) / 1024
