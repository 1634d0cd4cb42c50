"""Whether a role is well: what `/readyz` says. That something answers at all is `/healthz`."""

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Final

from pabal.errors import Unavailable

# Shorter than the patience of who asks.
_ANSWER_S: Final = 4.0

Condition = Callable[[], Awaitable[str | None]]


class Phase(StrEnum):
    """Of a process. Only one that serves can be ready."""

    STARTING = "starting"
    STANDBY = "standby"
    SERVING = "serving"
    STOPPING = "stopping"


class Health:
    """Belongs to the event loop. `phase` is set by the role as it goes on."""

    def __init__(self) -> None:
        self.phase = Phase.STARTING
        self._conditions: list[Condition] = []

    def require(self, condition: Condition) -> None:
        """Not ready while this says why not."""
        self._conditions.append(condition)

    async def why_not(self) -> str | None:
        """None if it is ready: a phase, or what a condition says."""
        if self.phase is not Phase.SERVING:
            return self.phase.value
        for condition in self._conditions:
            why = await condition()
            if why is not None:
                return why
        return None


def that(holds: Callable[[], bool], otherwise: str) -> Condition:
    """A condition that is looked up at once."""

    async def condition() -> str | None:
        return None if holds() else otherwise

    return condition


class Answering:
    """A condition that is asked for in a thread: whoever asks while a question is under way gets its answer, so
    that a database that hangs costs one thread.
    """

    def __init__(self, ping: Callable[[], None], otherwise: str, answer_s: float = _ANSWER_S) -> None:
        """`ping` may block, and raises `Unavailable`."""
        self._ping = ping
        self._otherwise = otherwise
        self._answer_s = answer_s
        self._asked: asyncio.Task[None] | None = None

    async def __call__(self) -> str | None:
        if self._asked is None or self._asked.done():
            self._asked = asyncio.create_task(asyncio.to_thread(self._ping))
        try:
            async with asyncio.timeout(self._answer_s):
                await asyncio.shield(self._asked)
        except (Unavailable, TimeoutError):
            self._asked.add_done_callback(_seen)
            return self._otherwise
        return None


def _seen(asked: "asyncio.Task[None]") -> None:
    if not asked.cancelled():
        asked.exception()  # so that nobody is warned of an answer that nobody waited for
