"""The devices as processes: started, told, killed, started again, and their logs followed from outside."""

import contextlib
import json
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from faultlab.cast import Role
from faultlab.device import Config
from faultlab.recorder import Event, Follower
from faultlab.server import LabError, environment


class Actor:
    """One device."""

    def __init__(self, role: Role, config: Config, folder: Path) -> None:
        self.role = role
        self.starts = 0
        self.log: list[Event] = []
        self._config = folder / f"{role.user}-{role.device}.json"
        self._config.write_text(json.dumps(asdict(config)))
        self._errors = folder / f"{role.user}-{role.device}.err"
        self._follower = Follower(Path(config.log))
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self.starts += 1
        with self._errors.open("a") as errors:
            self._process = subprocess.Popen(
                # Ten of them would otherwise keep a server from starting in time where there is little to compute with.
                ["nice", "-n", "10", sys.executable, "-m", "faultlab.device", str(self._config)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                text=True,
                env=environment(PYTHONPATH=":".join(path for path in sys.path if path)),
            )

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def tell(self, command: str) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.write(command + "\n")
                self._process.stdin.flush()

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def wait_dead(self, seconds: float) -> bool:
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
        return not self.alive

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self._close()

    def end(self) -> None:
        """Raises: LabError if it does not end by itself."""
        self.signal(signal.SIGCONT)
        self.tell("end")
        ended = self.wait_dead(120)
        self.kill()
        if not ended:
            raise LabError(f"{self.role.name} did not end")

    def _close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.wait()
            if process.stdin is not None:
                with contextlib.suppress(OSError):
                    process.stdin.close()

    def look(self) -> list[Event]:
        """The whole log, as far as it is written."""
        self.log += self._follower.new()
        return self.log

    def errors(self) -> str:
        return self._errors.read_text()[-2000:] if self._errors.exists() else ""


class Troupe:
    """All of them."""

    def __init__(self, actors: list[Actor]) -> None:
        self.actors = actors

    def __getitem__(self, name: str) -> Actor:
        return next(actor for actor in self.actors if actor.role.name == name)

    def start(self) -> None:
        for actor in self.actors:
            actor.start()

    def kill(self) -> None:
        for actor in self.actors:
            actor.kill()

    def logs(self) -> dict[str, list[Event]]:
        return {actor.role.name: list(actor.look()) for actor in self.actors}
