"""Messages between two: closed loop, 2,000 a second offered, and logins beside the closed loop."""

import argparse
from collections.abc import Iterator

import gauge
import people
from logins import Logins
from server import HOST, place, serving

from cli.load import pairs
from cli.load.pairs import Load


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pairs", type=int, default=50)
    parser.add_argument("--window", type=int, default=10, help="unanswered requests of each sender")
    parser.add_argument("--rate", type=float, default=2000, help="of the offered part; 0 leaves it out")
    parser.add_argument("--no-logins", action="store_true")


def measure(options: argparse.Namespace) -> Iterator[tuple[str, dict]]:
    closed = Load(
        pairs=options.pairs, window=options.window, seconds=options.seconds, warmup_s=options.warmup
    )
    offered = Load(pairs=options.pairs, rate=options.rate, seconds=options.seconds, warmup_s=options.warmup)
    with place(postgres=options.postgres) as where:
        everybody = people.make(where.url, 2 * options.pairs)
        with serving(where) as server:

            def go(load: Load) -> dict:
                return gauge.measured(server, pairs.run(everybody, HOST, server.port, load))

            yield "closed loop", go(closed)
            if options.rate:
                yield "offered", go(offered)
            if not options.no_logins:
                with Logins(server) as beside:
                    found = go(closed)
                yield "closed loop with logins", found
                yield "logins", beside.summary()
