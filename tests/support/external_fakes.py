"""Fakes of what `broker.external` is put together from."""

import asyncio
from typing import TYPE_CHECKING

from bridge.ports import Login, Unsent
from pabal.acl import EVERYTHING
from pabal.errors import Unauthorized, Unavailable
from pabal.ids import UserId

if TYPE_CHECKING:
    from collections.abc import Callable


class FakeWire:
    """A link that acknowledges nothing by itself: `said` is what went over it, in order."""

    def __init__(self) -> None:
        self.said: list[tuple] = []
        self.open: list[int] = []
        self._next = 0

    def publish(self, topic: str, payload: bytes, qos: int, *, retain: bool = False) -> int:
        self.said.append((topic, payload, qos, retain))
        if not qos:
            return 0
        self._next += 1
        self.open.append(self._next)
        return self._next

    def acknowledge(self, packet_id: int) -> None:
        self.said.append(("ack", packet_id))

    @property
    def payloads(self) -> list[bytes]:
        return [said[1] for said in self.said if said[0] != "ack"]


class FakeAccounts:
    """`broker.external.rights.Standing`: everybody stands but those in `gone`."""

    def __init__(self) -> None:
        self.gone: set[tuple[str, str]] = set()
        self.allow: dict[tuple[str, str], frozenset[str]] = {}
        self.devices: dict[str, list] = {}
        self.asked: list[tuple[str, str]] = []
        self.away = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def standing(self, user: str, device: str) -> Login:
        self.asked.append((user, device))
        gone = (user, device) in self.gone
        await self.gate.wait()
        if self.away:
            raise Unavailable("the database does not answer")
        if gone:
            raise Unauthorized("no such device")
        return Login(user, device, self.allow.get((user, device), EVERYTHING))

    async def devices_of(self, user: str) -> list:
        if self.away:
            raise Unavailable("the database does not answer")
        return self.devices.get(user, [])


class FakeOutbox:
    """`bridge.ports.OutboxReader` over a list that a test appends to; each batch is one update of bob's."""

    def __init__(self) -> None:
        self.batches: list[Unsent] = []
        self.reads = 0
        self.away = 0
        self.on_read: Callable[[], None] = lambda: None

    def add(self, number: int, *, updates: int = 1) -> Unsent:
        made = [(number * 100 + n, b"%d.%d" % (number, n)) for n in range(updates)]
        self.batches.append(Unsent(number, [(UserId("bob"), made)] if made else []))
        return self.batches[-1]

    async def unsent(self, after: int, limit: int) -> list[Unsent]:
        self.reads += 1
        if self.away:
            self.away -= 1
            raise Unavailable("the database does not answer")
        found = [one for one in self.batches if one.batch > after][:limit]
        self.on_read()
        await asyncio.sleep(0)
        return found
