"""What is done with a stack, one after the other: up, the tour, a kill of each container, a backup, down."""

import os
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from readme_tour import Place, steps, walk

from stacklab import backup
from stacklab.containers import Container, Stack
from stacklab.crew import Crew
from stacklab.shell import StackError
from stacklab.verdict import Evidence, Violation, judge

NAMES = ["ann", "ben", "cho", "dee"]
_UP_S = 180.0
_TOUR_S = 300.0
# Until everybody is answered again after a kill, whatever was killed.
RECOVERY_S = 60.0
_PACE_S = 0.2
_QUIET_S = 1.0


@dataclass
class Report:
    """Of one stack. Times are seconds; those of `back` and `heard` are from a kill until that container was healthy,
    and until everybody was answered again.
    """

    stack: str
    up_s: float = 0.0
    tour_s: float | None = None
    back: dict[str, float] = field(default_factory=dict)
    heard: dict[str, float] = field(default_factory=dict)
    longest_http_s: float = 0.0
    acknowledged: int = 0
    restored: int | None = None
    seconds: float = 0.0
    violations: list[Violation] = field(default_factory=list)

    def shown(self) -> dict[str, object]:
        told = asdict(self)
        told["violations"] = len(self.violations)
        return {name: round(value, 1) if isinstance(value, float) else value for name, value in told.items()}


def bring_up(stack: Stack) -> float:
    """As docker/README.md says for a first start. Returns how many seconds it took. Raises: StackError."""
    begun = time.monotonic()
    stack.make_secrets()
    stack.one_off("db", "upgrade", seconds=_UP_S)
    if stack.has_mosquitto:
        stack.configure_mosquitto()
    stack.compose("up", "-d", seconds=_UP_S)
    stack.until_well(_UP_S)
    stack.fetch_ca()
    took = time.monotonic() - begun
    say(f"up, and all {len(stack.containers())} containers healthy, after {took:.0f} s")
    return took


class Rounds:
    """Of one stack, which is up when they begin."""

    def __init__(self, stack: Stack, folder: Path, report: Report) -> None:
        self._stack = stack
        self._report = report
        self._folder = folder
        self._crew = Crew(stack.api, stack.mqtts, stack.ca, folder, NAMES, _PACE_S)

    def tour(self) -> None:
        """The five minutes of the README. Raises: StackError where the tools are missing."""
        begun = time.monotonic()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PABAL_")}
        environment |= {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}",
            "PABAL_SERVER": self._stack.api,
            "SSL_CERT_FILE": str(self._stack.ca),
            "CURL_CA_BUNDLE": str(self._stack.ca),
            "TMPDIR": str(self._folder),
        }
        mqtt = f"-h localhost -p {self._stack.mqtts} --cafile {self._stack.ca}"
        try:
            walk(steps("README.md"), Place(self._stack.api, mqtt), environment, _TOUR_S)
        except AssertionError as error:
            self._report.violations.append(Violation("the tour prints what the README says", str(error)))
        self._report.tour_s = time.monotonic() - begun
        say(f"the tour of the README: {self._report.tour_s:.0f} s")

    def begin_talk(self) -> None:
        self._crew.sign_up()
        if self._stack.has_mosquitto:
            devices = [f"{name}:lab" for name in NAMES]
            told = dict(line.split() for line in self._stack.configure_mosquitto(*devices).splitlines())
            self._crew.secrets = {name: told[f"{name}:lab"] for name in NAMES}
            self._stack.compose("restart", "mosquitto")
            self._stack.until_well(_UP_S)
        self._crew.open()
        self._crew.speak()
        say(f"{len(NAMES)} people talk; all were answered after {self._crew.until_heard(RECOVERY_S):.1f} s")

    def kill(self, container: Container) -> None:
        """And wait until it is back, and everybody is answered."""
        begun = time.monotonic()
        container.kill()
        try:
            self._crew.until_heard(RECOVERY_S)
            heard = time.monotonic() - begun
            self._stack.until_well(RECOVERY_S)
        except StackError as error:
            self._report.violations.append(
                Violation("what is killed comes back", f"{container.name}: {error}")
            )
            say(f"killed {container.name}: {error}")
            return
        back = time.monotonic() - begun
        self._report.back[container.name], self._report.heard[container.name] = (
            round(back, 1),
            round(heard, 1),
        )
        say(f"killed {container.name}: everybody answered after {heard:.1f} s, healthy after {back:.1f} s")
        time.sleep(_QUIET_S)

    def judge(self) -> Evidence:
        """Hush everybody, and hold what they have against what they were told."""
        crew = self._crew
        crew.settle()
        evidence = crew.evidence()
        self._report.violations += judge(evidence)
        self._report.acknowledged = crew.acknowledged()
        self._report.longest_http_s = crew.longest_http_s()
        say(
            f"{self._report.acknowledged} messages acknowledged, {len(self._report.violations)} promises broken"
        )
        return evidence

    def back_up_and_restore(self) -> None:
        """With talk before, during and after."""
        crew, file = self._crew, self._folder / "pabal.dump"
        crew.speak()
        crew.until_heard(RECOVERY_S)
        before_dump = crew.kept()
        backup.make(self._stack, file)
        crew.until_heard(RECOVERY_S)
        crew.settle()
        before, lost = backup.position(crew), crew.texts()
        # What was said later may be in the backup or not; what was acknowledged before must be.
        later = lost - {one.text for one in before_dump.said}
        before_dump.said += [one._replace(message_id=None) for one in crew.kept().said if one.text in later]
        backup.restore(self._stack, file)
        found = backup.check(crew, before, before_dump)
        found += backup.devices_start_over(crew, before)
        crew.speak()
        crew.until_heard(RECOVERY_S)
        crew.settle()
        found += judge(crew.evidence(lost))
        self._report.violations += found
        self._report.restored = sum(one.message_id is not None for one in before_dump.said)
        say(f"restored a backup of {file.stat().st_size} bytes: {len(found)} promises broken")

    def close(self) -> None:
        self._crew.close()


def say(line: str) -> None:
    sys.stdout.write(f"  {line}\n")
    sys.stdout.flush()
