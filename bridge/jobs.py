"""What waits for the committer: requests on their way, and the broker's own durable state."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from bridge.commands import Command
from bridge.ports import Source, Ticket
from bridge.tracing import Followed
from pabal import messages as m
from pabal.errors import PabalError


class Packet:
    """One inbound packet: it is acknowledged when all its requests are done."""

    __slots__ = ("_keep", "_left", "ticket")

    def __init__(self, ticket: Ticket, requests: int) -> None:
        self.ticket = ticket
        self._left = requests
        self._keep = True

    def done(self, *, kept: bool) -> None:
        self._keep &= kept
        self._left -= 1
        if not self._left:
            self.ticket.settle(self._keep)


@dataclass(slots=True)
class Job:
    """One request on its way. `reply` sends its answer.

    Attributes:
        is_told: answered although it has no id: it could not be read, so that somebody may find the mistake.
    """

    source: Source
    request: m.AnyRequest | PabalError
    request_id: str | None
    packet: Packet
    reply: Callable[[bytes], None]
    command: Command | None = None
    followed: Followed | None = None
    is_told: bool = False


@dataclass(slots=True)
class Upkeep:
    """The broker's own durable state in the same group commit."""

    command: Command
    future: asyncio.Future[int | None]
    followed: None = None
