"""What is done to them: lanes at a time, each through a deck that the seed has shuffled.

A lane does one thing after the other, and each leaves the world whole again: whatever was stopped goes on,
whatever was killed is started. The order of a seed is always the same; its effects are not, as real processes race.
"""

import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from faultlab.database import Postgresql, Sqlite
from faultlab.disk import Disk
from faultlab.proxy import Proxy
from faultlab.server import LabError, ServerProcess
from faultlab.troupe import Troupe

Act = Callable[[], object]


@dataclass
class Stage:
    """Everything that can be broken."""

    server: ServerProcess
    database: Sqlite | Postgresql
    disk: Disk
    mqtt: Proxy
    http: Proxy
    troupe: Troupe
    longest_s: float
    small_limit: int
    takeover_s: float
    stop: threading.Event = field(default_factory=threading.Event)
    injected: Counter[str] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)
    takeovers: list[float] = field(default_factory=list)
    takeovers_from_frozen: list[float] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    restored_at: float | None = None


class Lane:
    """One thread that goes through its deck until told to stop. `failure` is what ended it early."""

    def __init__(self, stage: Stage, chance: random.Random, acts: dict[str, Act], pause_s: float) -> None:
        self._stage = stage
        self._chance = chance
        self._acts = acts
        self._pause_s = pause_s
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=type(self).__name__, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self, seconds: float) -> None:
        """Raises: LabError if it hangs, or had failed."""
        self._thread.join(seconds)
        if self._thread.is_alive():
            raise LabError(f"the nemesis hangs after {dict(self._stage.injected)}")
        if self.failure is not None:
            raise LabError(f"the nemesis failed: {self.failure!r}") from self.failure

    def _run(self) -> None:
        try:
            while self._acts:
                deck = list(self._acts)
                self._chance.shuffle(deck)
                for name in deck:
                    if self._stage.stop.wait(self._chance.uniform(0.3, 1.0) * self._pause_s):
                        return
                    self._acts[name]()
                    self._count(name)
        except BaseException as failure:  # noqa: BLE001 -- told by `join`, in the thread that can act on it
            self.failure = failure

    def _count(self, name: str) -> None:
        self._stage.injected[name] += 1


def chosen(acts: dict[str, Act], only: frozenset[str]) -> dict[str, Act]:
    return {name: act for name, act in acts.items() if not only or any(word in name for word in only)}
