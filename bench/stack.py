"""The same load on three deployments: all in one on SQLite, roles on PostgreSQL, a bridge behind mosquitto on PostgreSQL.

A message counts as accepted with its reply, which alone says so behind another broker.
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import deployments
import gauge
from deployments import Deployment
from server import HOST

from cli.load import pairs
from cli.load.pairs import Load

_WAYS: dict[str, Callable[[int], AbstractContextManager[Deployment]]] = {
    "serve": deployments.all_in_one,
    "roles": deployments.roles,
    "mosquitto": deployments.behind_mosquitto,
}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pairs", type=int, default=50)
    parser.add_argument("--window", type=int, default=10, help="unanswered requests of each sender")
    parser.add_argument("--rate", type=float, default=1000, help="messages a second of the offered part")
    parser.add_argument("--only", choices=_WAYS, help="one deployment of the three")


def measure(options: argparse.Namespace) -> Iterator[tuple[str, dict]]:
    common = {
        "pairs": options.pairs, "seconds": options.seconds, "warmup_s": options.warmup, "by_reply": True
    }  # fmt: skip
    loads = {"offered": Load(rate=options.rate, **common), "closed": Load(window=options.window, **common)}
    for way, deployed in _WAYS.items():
        if options.only in {None, way}:
            with deployed(2 * options.pairs) as deployment:
                for name, load in loads.items():
                    yield f"{way}, {name}", _measured(deployment, load)


def _measured(deployment: Deployment, load: Load) -> dict:
    """CPU counts from connecting to the last delivery, over all messages of that time."""
    before = {name: role.cpu_seconds() for name, role in deployment.roles.items()}
    found = gauge.run(pairs.run(deployment.people, HOST, deployment.port, load))
    spent = {name: role.cpu_seconds() - before[name] for name, role in deployment.roles.items()}
    sent = max(1, found["sent"])
    found |= {f"{name}_cpu_ms_per_1000": round(used / sent * 1e6) for name, used in spent.items()}
    found["cpu_ms_per_1000"] = round(sum(spent.values()) / sent * 1e6)
    return found | {f"{name}_mib": round(role.memory_mib()) for name, role in deployment.roles.items()}
