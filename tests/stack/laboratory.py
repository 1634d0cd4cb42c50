"""Bring docker/ up for real, break it, and judge: `python tests/stack/laboratory.py` (make stack-test).

Prints what is going on, and one closing line of JSON. Exits with 1 if a promise was broken, with 2 if the laboratory
itself could not work, with 3 where there is no Docker to work with.
"""

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from stacklab import rounds
from stacklab.containers import Stack
from stacklab.images import build, why_not
from stacklab.rounds import Report, Rounds, say
from stacklab.shell import StackError

FILES = {"embedded": "compose.yaml", "mosquitto": "compose.mosquitto.yaml"}
# One of each kind, and what is the most work to get right.
QUICK = {"embedded": ["postgres", "broker"], "mosquitto": ["mosquitto", "bridge"]}


def main() -> int:
    asked = _arguments()
    reason = why_not()
    if reason is not None:
        print(f"stack test: not run: {reason}", flush=True)
        return 3
    signal.signal(signal.SIGTERM, lambda *_about: sys.exit(2))  # so that who is told to stop tears down
    reports: list[Report] = []
    try:
        if not asked.no_build:
            say(f"built the images in {build(asked.build_network):.0f} s")
        reports += [_one(name, asked) for name in ([asked.only] if asked.only else FILES)]
    except StackError as error:
        print(f"the laboratory failed: {error}", flush=True)
        return 2
    print(json.dumps({"stacks": [report.shown() for report in reports]}, ensure_ascii=False))
    return int(any(report.violations for report in reports))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Bring the stack up, break it, and check the guarantee.")
    parser.add_argument(
        "--quick", action="store_true", help="kill two containers of each stack, not all of them"
    )
    parser.add_argument("--only", choices=list(FILES), help="one of the two stacks")
    parser.add_argument("--no-build", action="store_true", help="take the images as they are")
    parser.add_argument("--build-network", default="host", help="the network in which the images are built")
    parser.add_argument("--keep", action="store_true", help="leave the containers running in the end")
    return parser.parse_args()


def _one(name: str, asked: argparse.Namespace) -> Report:
    print(f"{FILES[name]}:", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="pabal-stack-"))
    report, begun = Report(name), time.monotonic()
    stack = Stack(FILES[name], f"pabal-stack-{name}", folder)
    try:
        _go_round(name, stack, folder, report, asked)
    finally:
        if not asked.keep:
            stack.down()
            shutil.rmtree(folder, ignore_errors=True)
    report.seconds = time.monotonic() - begun
    for violation in report.violations:
        say(f"BROKEN: {violation.rule}: {violation.detail}")
    return report


def _go_round(name: str, stack: Stack, folder: Path, report: Report, asked: argparse.Namespace) -> None:
    stack.down()
    report.up_s = rounds.bring_up(stack)
    of = Rounds(stack, folder, report)
    try:
        of.begin_talk()
        for container in stack.containers():
            if not asked.quick or container.service in QUICK[name]:
                of.kill(container)
        of.judge()
        if name == "embedded":
            # What a mosquitto by itself knows of logins is not enough for the tour.
            of.tour()
        of.back_up_and_restore()
    finally:
        of.close()


if __name__ == "__main__":
    sys.exit(main())
