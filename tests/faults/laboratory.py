"""Break the server for a while, and judge: `python tests/faults/laboratory.py --seconds 60 --seed 1`.

Prints what is going on, every violation with the command that repeats the seed, and one closing line of JSON.
Exits with 1 if a promise was broken, with 2 if the laboratory itself could not work.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

from faultlab.scenario import Plan, Report, run
from faultlab.server import LabError


def main() -> int:
    asked = _arguments()
    reports: list[Report] = []
    for seed in range(asked.seed, asked.seed + asked.seeds):
        print(f"seed {seed}: {asked.seconds:g} s of faults", flush=True)
        folder = Path(tempfile.mkdtemp(prefix=f"pabal-faults-{seed}-"))
        plan = Plan(
            seed,
            asked.seconds,
            folder,
            asked.database,
            longest_s=asked.longest,
            pace_s=asked.pace,
            changes_s=asked.changes,
            small_limit=asked.small,
            takeover_s=asked.takeover,
            only=frozenset(asked.only),
        )
        try:
            report = run(plan)
        except LabError as error:
            print(f"the laboratory failed: {error}\nlogs: {folder}", flush=True)
            return 2
        reports.append(report)
        _tell(report, plan)
        if not report.violations and not asked.keep:
            shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(_summary(asked, reports)))
    return int(any(report.violations for report in reports))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Break a server by seed, and check the guarantee.")
    parser.add_argument("--seconds", type=float, default=60, help="how long each seed breaks things")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds, one after the other")
    parser.add_argument("--longest", type=float, default=10, help="seconds that one fault lasts at most")
    parser.add_argument("--pace", type=float, default=0.15, help="seconds between two messages of a device")
    parser.add_argument("--changes", type=float, default=0.5, help="seconds between two changes of members")
    parser.add_argument("--small", type=int, default=5, help="members of a small group at most")
    parser.add_argument("--takeover", type=float, default=5, help="seconds a standby has to take over")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument(
        "--only", action="append", default=[], help="only actions with this word in their name"
    )
    parser.add_argument("--keep", action="store_true", help="keep the logs of good runs too")
    return parser.parse_args()


def _tell(report: Report, plan: Plan) -> None:
    for name, times in report.injected.items():
        print(f"  {times:4} x {name}")
    print(
        f"  {report.invoked} invoked, {report.acked} answers, {report.stored} stored, {report.delivered} receipts,"
        f" {report.server_starts} server starts, {report.device_starts} device starts, {report.seconds:g} s"
    )
    changed = ", ".join(f"{times} x {action}" for action, times in report.changes.items())
    print(
        f"  members: {changed}; {report.switches} groups became large, {report.room_entries} entries by rooms"
    )
    if report.slowest_takeover_s or report.slowest_from_frozen_s:
        print(f"  the slowest takeover took {report.slowest_takeover_s:g} s after a kill", end="")
        print(f", {report.slowest_from_frozen_s:g} s from a frozen server")
    for violation in report.violations:
        print(f"  VIOLATION: {violation.rule}: {violation.detail}")
    if report.violations:
        print(f"  repeat: make faults SECONDS={plan.seconds:g} SEED={plan.seed}; logs: {plan.folder}")
    sys.stdout.flush()


def _summary(asked: argparse.Namespace, reports: list[Report]) -> dict[str, object]:
    injected: Counter[str] = Counter()
    changes: Counter[str] = Counter()
    for report in reports:
        injected.update(report.injected)
        changes.update(report.changes)
    return {
        "seeds": [report.seed for report in reports],
        "seconds": sum(report.seconds for report in reports),
        "database": asked.database,
        "faults": injected.total(),
        "by_kind": dict(sorted(injected.items())),
        "changes": dict(sorted(changes.items())),
        "switches": sum(report.switches for report in reports),
        "room_entries": sum(report.room_entries for report in reports),
        "slowest_takeover_s": max((report.slowest_takeover_s for report in reports), default=0.0),
        "slowest_from_frozen_s": max((report.slowest_from_frozen_s for report in reports), default=0.0),
        "server_starts": sum(report.server_starts for report in reports),
        "invoked": sum(report.invoked for report in reports),
        "acked": sum(report.acked for report in reports),
        "stored": sum(report.stored for report in reports),
        "delivered": sum(report.delivered for report in reports),
        "violations": sum(len(report.violations) for report in reports),
    }


if __name__ == "__main__":
    sys.exit(main())
