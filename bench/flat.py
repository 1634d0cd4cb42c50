"""Whether a million stored messages slow the relay down: the closed loop on an empty and on a filled database, in turns."""

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence

import gauge
import people
from fill import fill
from server import HOST, Place, Server, place, serving

from bridge.store import maintenance
from bridge.store.engine import open_engine
from cli.load import pairs
from cli.load.pairs import Load
from cli.load.wire import Person


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(seconds=3, warmup=1)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--pairs", type=int, default=50)
    parser.add_argument("--window", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=8)


def measure(options: argparse.Namespace) -> Iterator[tuple[str, dict]]:
    if options.users < 2 * options.pairs:
        raise SystemExit(f"{options.pairs} pairs need {2 * options.pairs} users")
    load = Load(pairs=options.pairs, window=options.window, seconds=options.seconds, warmup_s=options.warmup)
    with place(postgres=options.postgres) as empty, place(postgres=options.postgres) as full:
        few = people.make(empty.url, 2 * options.pairs)
        many = people.make(full.url, options.users)
        began = time.perf_counter()
        fill(full.url, many, options.messages)
        filled = {"messages": options.messages, "users": options.users}
        yield "filling", filled | {"seconds": round(time.perf_counter() - began), **checked(full)}
        chosen = _spread(many, options.pairs)
        rates: dict[str, list[int]] = {"empty": [], "filled": []}
        costs: dict[str, list[int]] = {"empty": [], "filled": []}
        with serving(empty) as new, serving(full) as old:

            def go(server: Server, everybody: Sequence[Person]) -> dict:
                return gauge.measured(server, pairs.run(everybody, HOST, server.port, load))

            for number in range(options.rounds):
                turns = [("empty", new, few), ("filled", old, chosen)]
                for name, server, everybody in turns if number % 2 else turns[::-1]:
                    found = go(server, everybody)
                    rates[name].append(found["delivered_per_s"])
                    costs[name].append(found["server_cpu_us_per_message"])
                    yield f"{name} {number + 1}", found
        ratios = [round(old / new, 2) for new, old in zip(rates["empty"], rates["filled"], strict=True)]
        yield (
            "filled : empty",
            {
                "rate": _ratio(rates),
                "lowest_of_a_round": min(ratios),
                "highest_of_a_round": max(ratios),
                "server_cpu": _ratio(costs),
            },
        )
        yield "filled afterwards", checked(full)


def _ratio(figures: dict[str, list[int]]) -> float:
    """Of all rounds together."""
    return round(statistics.mean(figures["filled"]) / statistics.mean(figures["empty"]), 3)


def _spread(everybody: Sequence[Person], count: int) -> list[Person]:
    """Pairs from all over the database who have written to each other before."""
    step = len(everybody) // count
    return [everybody[number * step + side] for number in range(count) for side in (0, 1)]


def checked(where: Place) -> dict:
    """What `pabal db check` does."""
    began = time.perf_counter()
    engine = open_engine(where.url, read_only=True, bounded=False)
    breaches = [finding for finding in maintenance.check(engine) if finding.breaches]
    engine.dispose()
    if breaches:
        raise SystemExit(f"the database is not sound: {breaches}")
    return {"checked_in_s": round(time.perf_counter() - began)}
