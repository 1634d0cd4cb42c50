"""How much a worker has under way, and whether there is room for more of its kind. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Limits:
    """How many tries are under way at once, in all, of one service, and at one host: a host that does not answer must
    leave others of its service their share.
    """

    in_flight: int = 200
    per_service: int = 128
    per_host: int = 64


class Full(NamedTuple):
    """Where there is no room."""

    services: frozenset[str]
    hosts: frozenset[str]


class Busy:
    """Of each service and host how many are under way; an empty host is none."""

    def __init__(self, limits: Limits, under_way: Iterable[tuple[str, str]]) -> None:
        """`under_way` has a service and a host for each."""
        self._limits = limits
        self._services: Counter[str] = Counter()
        self._hosts: Counter[str] = Counter()
        for service, host in under_way:
            self.add(service, host)

    def add(self, service: str, host: str) -> None:
        self._services[service] += 1
        if host:
            self._hosts[host] += 1

    def has_room(self, service: str, host: str) -> bool:
        return (
            self._services[service] < self._limits.per_service and self._hosts[host] < self._limits.per_host
        )

    def full(self) -> Full:
        return Full(
            frozenset(name for name, count in self._services.items() if count >= self._limits.per_service),
            frozenset(name for name, count in self._hosts.items() if count >= self._limits.per_host),
        )
