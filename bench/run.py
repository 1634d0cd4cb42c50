"""Measures a server, and prints a line of JSON for each part and a table at the end.

    python bench/run.py direct                          # closed loop, 2,000/s offered, logins beside
    python bench/run.py groups --groups 10 --members 100
    python bench/run.py large --members 5000 --rate 20
    python bench/run.py catch-up --updates 10000
    python bench/run.py flat --messages 1000000 --users 10000
    python bench/run.py receipts                        # reading and typing of 1,000 users
    python bench/run.py groups100                       # 100 groups of 100, 50 messages a second
    python bench/run.py conversations                   # the list of somebody with 1,000 conversations
    python bench/run.py push                            # Web Push: 5,000 pushes, an outage, kills of the worker
    python bench/run.py stack                           # all in one, roles, and a bridge behind mosquitto
    python bench/run.py steady --seconds 300 --svg docs/latency-five-minutes.svg

The server runs as `pabal serve` would, in a process of its own: SQLite with synchronous=FULL, or with
`--postgres` a PostgreSQL beside it with fsync and synchronous_commit on. The generator is this process. Exits
with 1 if anything was lost, refused or out of order.
"""

import argparse
import json
import sys
from types import ModuleType

import catch_up
import conversations
import direct
import flat
import groups
import groups100
import large
import pushes
import receipts
import smoke
import stack
import steady
import table
from server import machine
from started import many_files

PARTS: dict[str, ModuleType] = {
    "direct": direct,
    "groups": groups,
    "large": large,
    "catch-up": catch_up,
    "flat": flat,
    "steady": steady,
    "receipts": receipts,
    "groups100": groups100,
    "conversations": conversations,
    "push": pushes,
    "stack": stack,
    "smoke": smoke,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    chosen = parser.add_subparsers(dest="part", required=True)
    for name, module in PARTS.items():
        of_part = chosen.add_parser(name, help=module.__doc__, description=module.__doc__)
        of_part.add_argument("--seconds", type=float, default=10, help="of each measured part")
        of_part.add_argument("--warmup", type=float, default=2, help="seconds before each of them")
        of_part.add_argument("--postgres", action="store_true", help="on a PostgreSQL of its own")
        module.arguments(of_part)
    options = parser.parse_args()
    many_files()
    print(f"# {machine()}", flush=True)
    found: list[tuple[str, dict]] = []
    for name, figures in PARTS[options.part].measure(options):
        print(json.dumps({"part": name, **figures}), flush=True)
        found.append((name, figures))
    print()
    print(table.text(found))
    sys.exit(0 if all(table.is_sound(figures) for _name, figures in found) else 1)


if __name__ == "__main__":
    main()
