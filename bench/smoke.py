"""All parts in small, on one server: whether the bench still runs. Its figures mean nothing."""

import argparse
from collections.abc import Iterator

import catch_up
import chart
import conversations
import flat
import gauge
import groups
import groups100
import large
import people
import pushes
import receipts
import stack
from fill import fill
from server import HOST, place, serving
from steady import checkpoints_in

from cli.load import pairs
from cli.load.pairs import Load
from cli.load.tally import Tally, by_second

_PEOPLE, _MESSAGES = 6, 120


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(seconds=0.5, warmup=0.1)


def measure(options: argparse.Namespace) -> Iterator[tuple[str, dict]]:
    load = Load(pairs=1, rate=40, seconds=options.seconds, warmup_s=options.warmup)
    with place(postgres=options.postgres) as where:
        everybody = people.make(where.url, 3 * _PEOPLE)
        fill(where.url, everybody[_PEOPLE:], _MESSAGES)
        yield "flat", flat.checked(where)
        with serving(where, PABAL_LOG_LEVEL="debug", PABAL_LOG_FORMAT="json") as server:
            yield from catch_up.ways(server, everybody[:_PEOPLE], 60, 1)
            tally = Tally()
            yield "steady", gauge.run(pairs.run(everybody, HOST, server.port, load, tally))
            drawn = chart.draw(by_second(tally), checkpoints_in(server.log, tally.began_s), "smoke", "")
            yield "chart", {"bytes": len(drawn)}
            circles = [everybody[:3], everybody[3:6]]
            yield "groups", gauge.run(groups.run(circles, server.port, load))
            yield "large", gauge.run(large.run(everybody, server.port, load, senders=1))
            yield "groups100", gauge.run(groups.run(circles, server.port, load, groups100.Member))
    yield from _of_people(options)


def _of_people(options: argparse.Namespace) -> Iterator[tuple[str, dict]]:
    few = argparse.Namespace(**vars(options) | {"users": 30, "conversations": 6, "messages": 3, "repeat": 2})
    yield from receipts.measure(few)
    yield from conversations.measure(few)
    alone = {"only": "serve", "pairs": 1, "window": 2, "rate": 40}
    yield from stack.measure(argparse.Namespace(**vars(options) | alone))
    yield from pushes.measure(argparse.Namespace(**vars(options) | {"pushes": 30, "outage": 1, "kills": 0}))
