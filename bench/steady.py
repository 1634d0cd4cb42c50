"""Messages offered at a steady rate for minutes: latency second by second, and the checkpoints beside it."""

import argparse
import json
import re
import statistics
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import chart
import gauge
import people
from chart import Checkpoint
from server import HOST, machine, place, serving

from cli.load import pairs
from cli.load.pairs import Load
from cli.load.tally import Tally, by_second

_TOLD = re.compile(r"(PASSIVE|RESTART) checkpoint took ([0-9.]+) ms")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(seconds=300)
    parser.add_argument("--pairs", type=int, default=50)
    parser.add_argument("--rate", type=float, default=2000, help="messages a second")
    parser.add_argument("--svg", type=Path, help="where to draw it")


def measure(options: argparse.Namespace) -> Iterator[tuple[str, dict]]:
    load = Load(pairs=options.pairs, rate=options.rate, seconds=options.seconds, warmup_s=options.warmup)
    tally = Tally()
    with place(postgres=options.postgres) as where:
        everybody = people.make(where.url, 2 * options.pairs)
        logged = {"PABAL_LOG_LEVEL": "debug", "PABAL_LOG_FORMAT": "json"}
        with serving(where, **logged) as server:
            found = gauge.measured(server, pairs.run(everybody, HOST, server.port, load, tally))
            checkpoints = checkpoints_in(server.log, tally.began_s)
    seconds = by_second(tally)
    taken = [one.ms for one in checkpoints]
    yield (
        f"{options.rate:.0f} a second",
        found
        | {
            "worst_second_p99_ms": max(
                (s["p99_ms"] for s in seconds if s["p99_ms"] is not None), default=None
            ),
            "median_second_p99_ms": statistics.median(
                s["p99_ms"] for s in seconds if s["p99_ms"] is not None
            ),
            "checkpoints": len(taken),
            "checkpoint_median_ms": round(statistics.median(taken)) if taken else None,
            "checkpoint_max_ms": round(max(taken)) if taken else None,
        },
    )
    if options.svg:
        title = f"{options.rate:.0f} messages a second for {options.seconds:.0f} s, {_database(options)}"
        options.svg.write_text(chart.draw(seconds, checkpoints, title, machine()))


def _database(options: argparse.Namespace) -> str:
    return "PostgreSQL" if options.postgres else "SQLite"


def checkpoints_in(log: Path, began_s: float) -> list[Checkpoint]:
    """What the server's log tells of them, in seconds since the measurement began."""
    found = []
    for line in log.read_text().splitlines():
        told = _TOLD.search(line)
        if told:
            ended_s = datetime.fromisoformat(json.loads(line)["timestamp"]).timestamp() - began_s
            found.append(Checkpoint(ended_s - float(told[2]) / 1000, float(told[2]), told[1]))
    return [one for one in found if one.at_s >= 0]
