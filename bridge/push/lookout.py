"""What a worker saw when it last looked for what waits, so that it need not look before each of its steps. Pure."""

from collections.abc import Sequence
from typing import Final

from bridge.push.busy import Busy, Full
from bridge.push.jobs import Lane, Waiting

# For how long lanes are taken from what was seen.
LOOK_S: Final = 2.0


class Lookout:
    """Two hints: which lanes wait, and where there was no room when nothing was found elsewhere. Either may be wrong by
    now: a lane may be somebody else's, and what came since the look is found by the next one. Times are seconds
    of a clock that never goes back.
    """

    def __init__(self, dry_s: float) -> None:
        """A look that found nothing holds for `dry_s`."""
        self._dry_s = dry_s
        self._ahead: Sequence[Waiting] = ()
        self._ahead_until = 0.0
        self._dry: Full | None = None
        self._dry_until = 0.0

    def needs_look(self, full: Full, now: float) -> bool:
        """False where the last look found nothing, and there is room for no others than there was."""
        return full != self._dry or now >= self._dry_until

    def saw(self, waiting: Sequence[Waiting], full: Full, now: float) -> None:
        """What a look that began at `now` found, beside what is `full`."""
        self._ahead = waiting
        self._ahead_until = now + LOOK_S
        if not waiting and any(full):
            self._dry, self._dry_until = full, now + self._dry_s

    def choose(self, busy: Busy, most: int, now: float) -> list[Lane]:
        """As many lanes as there is room for, each once, and added to `busy`; the others are there for the next time."""
        if now >= self._ahead_until:
            self._ahead = ()
        chosen: dict[Lane, None] = {}
        left: list[Waiting] = []
        for one in self._ahead:
            if one.lane in chosen:
                continue
            if len(chosen) < most and busy.has_room(one.service, one.host):
                chosen[one.lane] = None
                busy.add(one.service, one.host)
            else:
                left.append(one)
        self._ahead = left
        return list(chosen)

    def forget_lanes(self) -> None:
        """Others take what was seen."""
        self._ahead = ()

    def look_again(self) -> None:
        """Something new may be due. From any thread."""
        self._dry_until = 0.0
