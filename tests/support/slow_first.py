"""In which order the workers of a run take the tests, so that none is left with an hour's work when the others are done.

xdist gives each worker an equal share of the list to begin with, and whoever is done takes from the end of another's.
So each share begins with its part of the slow ones. They are known by what they say of themselves: a `timeout` of their
own, or that they start processes (`functional`).
"""

import itertools
from collections import defaultdict

import pytest


def spread(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """The same tests; those of one file stay together, but for the few that take long by themselves."""
    longest = sorted((one for one in items if _seconds(one)), key=_seconds, reverse=True)
    files: dict[object, list[pytest.Item]] = defaultdict(list)
    quick: list[pytest.Item] = []
    for one in items:
        if not _seconds(one):
            (files[one.path] if one.get_closest_marker("functional") else quick).append(one)
    slow: list[list[pytest.Item]] = [[] for _ in range(workers)]
    for file in sorted(files.values(), key=len, reverse=True):
        min(slow, key=len).extend(file)
    rest = iter(quick)
    done: list[pytest.Item] = []
    for number, started in enumerate(slow):
        long = longest[number::workers]
        # Every other worker comes to its long ones later, so that the machine is not asked for all of them at once.
        done += started + long if number % 2 else long + started
        done += itertools.islice(rest, max(0, len(items) * (number + 1) // workers - len(done)))
    return done + list(rest)


def _seconds(one: pytest.Item) -> float:
    marker = one.get_closest_marker("timeout")
    return 0.0 if marker is None else float(marker.args[0])
