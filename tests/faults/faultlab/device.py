"""One device as a process: `python -m faultlab.device CONFIG`. It says and hears, and logs before it goes on.

Commands come as lines on standard input: `quiet` (say nothing new), `die POINT` (SIGKILL yourself there), `end`.
When that pipe closes, the process ends: it never outlives the laboratory.
"""

import json
import os
import random
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from faultlab.evidence import RECEIVERS
from faultlab.groups import Groups, noted
from faultlab.recorder import Event, Recorder, read

# Where a device can be told to die: between what it received and what it keeps of it.
DEATHS = ("before_keep", "before_log", "after_log")
_SIZES = (0, 0, 0, 0, 0, 100, 2_000, 20_000)
_MENTION_SHARE = 0.1


@dataclass(frozen=True)
class Config:
    """What a device must know. Ports are the proxies'."""

    user: str
    device: str
    kind: str
    peers: list[str]
    crowd: list[str]
    secret: str
    mqtt: int
    http: int
    log: str
    store: str
    seed: int
    pace_s: float

    @property
    def name(self) -> str:
        return f"{self.user}:{self.device}"


class Device:
    """What all kinds share: the log, what is said next, and when to stop."""

    def __init__(self, config: Config) -> None:
        self.config = config
        path = Path(config.log)
        self.past: list[Event] = read(path) if path.exists() else []
        self.recorder = Recorder(path)
        starts = sum(event["what"] == "start" for event in self.past)
        self._said = sum(event["what"] == "invoke" for event in self.past)
        self._chance = random.Random(f"{config.seed} {config.name} {starts}")
        self.quiet = threading.Event()
        self.ending = threading.Event()
        self._dies_at: str | None = None
        self._drained = False
        self.tops: dict[str, int] = {}
        self.groups = Groups(self.recorder, config.user, follows=config.kind in RECEIVERS)
        self.groups.replay(self.past)
        self.recorder.note("start", n=starts + 1)
        threading.Thread(target=self._obey, name="commands", daemon=True).start()

    def _obey(self) -> None:
        for line in sys.stdin:
            match line.split():
                case ["quiet"]:
                    self.quiet.set()
                case ["die", point]:
                    self._dies_at = point
                case ["end"]:
                    self.quiet.set()
                    self.ending.set()
                case _:
                    raise AssertionError(line)
        if not self.ending.is_set():
            os._exit(3)

    def point(self, name: str) -> None:
        """A place to die at."""
        if self._dies_at == name:
            os.kill(os.getpid(), signal.SIGKILL)

    def pause(self) -> float:
        """Seconds until this device speaks next."""
        return self._chance.expovariate(1 / self.config.pace_s)

    def chance(self, share: float) -> bool:
        return self._chance.random() < share

    def peer(self) -> str:
        """Whom to talk to: somebody given, or a group that one is in."""
        groups = self.groups.convs()
        return self._chance.choice(groups if groups and self.chance(0.5) else self.config.peers)

    def mentions(self, conv: str) -> list[str]:
        """Who is named in a message: now and then somebody, in a large group."""
        if self.groups.is_large(conv) and self.chance(_MENTION_SHARE):
            return [self._chance.choice(self.config.crowd)]
        return []

    def words(self) -> str:
        """A text that was never said before; its first two words say whose it is and which."""
        self._said += 1
        return f"{self.config.name} {self._said} " + "x" * self._chance.choice(_SIZES)

    def heard(self, via: int, update: Event, *, again: bool = False) -> None:
        """An update has arrived: on disk when this returns."""
        self.point("before_log")
        if update.get("type") == "message":
            self.tops[update["conv"]] = update["message_id"]
        numbered = {name: update.get(name) for name in ("seq", "epoch", "id")}
        self.recorder.note("receipt", via=via, again=again, **numbered, **noted(update))
        self.point("after_log")
        self.groups.take(update)

    def drained(self, *, empty: bool) -> None:
        """Say once that nothing is unanswered any more, after the last word."""
        if self.quiet.is_set() and empty and not self._drained:
            self._drained = True
            self.recorder.note("drained")


def addressed(peer: str) -> dict[str, str]:
    """The field of a request that says where to: a group is a conversation, anything else is a user."""
    return {"conv": peer} if is_group(peer) else {"to": peer}


def conversation(user: str, peer: str) -> str:
    return peer if is_group(peer) else "~".join(sorted((user, peer)))


def is_group(peer: str) -> bool:
    return len(peer) == 13 and peer.startswith("g")


def main() -> None:
    # Each kind imports what it needs: a process that starts in a third of a second dies more often.
    config = Config(**json.loads(Path(sys.argv[1]).read_text()))
    match config.kind:
        case "sdk":
            from faultlab.sdk_device import run  # noqa: PLC0415 -- see above
        case "rest":
            from faultlab.rest_device import run  # noqa: PLC0415 -- see above
        case _:
            from faultlab.plain_device import run  # noqa: PLC0415 -- see above
    device = Device(config)
    try:
        run(device)
    except Exception as error:
        device.recorder.note("ended", error=repr(error))
        raise
    device.recorder.note("end")
    # Whatever thread still waits somewhere has nothing to say any more.
    os._exit(0)


if __name__ == "__main__":
    main()
