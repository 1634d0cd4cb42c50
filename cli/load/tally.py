"""What a measurement counted: how many, how long each took, and how that went second by second."""

import asyncio
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

clock = time.perf_counter_ns


@dataclass(slots=True)
class Tally:
    """The counters of one measurement.

    Attributes:
        sent, accepted, delivered: from the beginning to the end, so that they can be compared.
        latencies: microseconds, of what arrived while `measuring`.
        marks: how many latencies there were at the end of each second.
        began_s: when measuring began, in seconds since 1970, to lay logs beside it.
    """

    sent: int = 0
    accepted: int = 0
    delivered: int = 0
    refused: int = 0
    out_of_order: int = 0
    refusal: str = ""
    measuring: bool = False
    latencies: "array[int]" = field(default_factory=lambda: array("q"))
    marks: list[int] = field(default_factory=list)
    began_s: float = 0.0

    def refuse(self, reply: bytes) -> None:
        self.refused += 1
        self.refusal = reply.decode(errors="replace")

    async def tick(self) -> None:
        """Mark each second, until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time() + 1
        while True:
            await asyncio.sleep(due - loop.time())
            self.marks.append(len(self.latencies))
            due += 1


@dataclass(frozen=True, slots=True)
class Window:
    """What came in the measured time, of which connecting, warming up and draining are no part."""

    seconds: float
    cpu_seconds: float
    accepted: int
    delivered: int


async def watch(tally: Tally, *, warmup_s: float, seconds: float) -> Window:
    """Let `warmup_s` pass, then measure for `seconds`."""
    await asyncio.sleep(warmup_s)
    tally.measuring, tally.began_s = True, time.time()
    ticking = asyncio.create_task(tally.tick())
    began, cpu, accepted, delivered = clock(), time.process_time(), tally.accepted, tally.delivered
    await asyncio.sleep(seconds)
    tally.measuring = False
    window = Window(
        (clock() - began) / 1e9,
        time.process_time() - cpu,
        tally.accepted - accepted,
        tally.delivered - delivered,
    )
    ticking.cancel()
    await asyncio.gather(ticking, return_exceptions=True)
    return window


async def until(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Wait for it, and for `timeout_s` at most. Returns whether it came."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while not condition():
        if loop.time() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


def percentile(ordered: Sequence[int], share: float) -> float | None:
    """In milliseconds, of sorted microseconds; None of nothing."""
    if not ordered:
        return None
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] / 1000, 2)


def summary(latencies: Sequence[int]) -> dict[str, float | None]:
    ordered = sorted(latencies)
    return {
        "p50_ms": percentile(ordered, 0.5),
        "p99_ms": percentile(ordered, 0.99),
        "max_ms": percentile(ordered, 1.0),
    }


def by_second(tally: Tally) -> list[dict[str, float | None]]:
    """A summary of each whole second."""
    parts: list[dict[str, float | None]] = []
    first = 0
    for last in tally.marks:
        parts.append(summary(tally.latencies[first:last]))
        first = last
    return parts
