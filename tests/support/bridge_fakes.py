"""Fakes of the ports of `bridge.ports`, that remember and let a test wait."""

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from pabal.ids import DeviceId, UserId


class FakeTicket:
    def __init__(self) -> None:
        self.settled: list[bool] = []
        self.offences = 0

    def settle(self, accepted: bool) -> None:
        self.settled.append(accepted)

    def offend(self) -> None:
        self.offences += 1


class FakeBroker:
    """`bridge.ports.Outbound` that keeps everything, and lets a test wait for it."""

    def __init__(self) -> None:
        self.published: list[tuple[str, bytes, int]] = []
        self.traces: list[tuple[str, str]] = []
        self.inboxes: dict[str, list[tuple[int, dict]]] = {}
        self.revoked: list[tuple[str, str]] = []
        self.kicked: list[tuple[str, str | None, str, str | None]] = []
        self.forgotten: list[tuple[str, str | None]] = []
        self.announced: list[tuple[str, bytes, bool]] = []
        self.reviewed: list[str] = []
        self._changed = asyncio.Event()

    def publish(self, topic: str, payload: bytes, qos: int, trace: str | None = None) -> None:
        self.published.append((topic, payload, qos))
        if trace is not None:
            self.traces.append((topic, trace))
        self._changed.set()

    def deliver(self, user: UserId, updates: Sequence[tuple[int, bytes]]) -> None:
        seen = self.inboxes.setdefault(user, [])
        seen.extend((seq, msgspec.json.decode(payload)) for seq, payload in updates)
        self._changed.set()

    def revoke(self, user: UserId, topic: str) -> None:
        self.revoked.append((user, topic))
        self._changed.set()

    def kick(self, user: UserId, device: DeviceId | None, reason: str, credential: str | None = None) -> None:
        self.kicked.append((user, device, reason, credential))
        self._changed.set()

    def forget(self, user: UserId, device: DeviceId | None) -> None:
        self.forgotten.append((user, device))
        self._changed.set()

    def announce(self, topic: str, payload: bytes, *, keep: bool) -> None:
        self.announced.append((topic, payload, keep))
        self._changed.set()

    def review(self, user: UserId) -> None:
        self.reviewed.append(user)
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                self._changed.clear()
                await self._changed.wait()
