"""A relay over a store that a test holds back, breaks and inspects."""

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import msgspec
from bridge_fakes import FakeBroker, FakeTicket

from bridge.commands import SendCommand
from bridge.ports import Source
from bridge.relay import Relay
from bridge.store.relay_store import Batch, Committed
from pabal.codec import Format
from pabal.ids import DeviceId, UserId
from pabal.ratelimit import RateLimiter


class HeldStore:
    """Commits when let: `gate` open by default."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.failures: list[Exception] = []
        self.poison: str | None = None

    def commit(self, batch: Batch) -> Committed:
        self.entered.set()
        assert self.gate.wait(60)
        if self.failures:
            raise self.failures.pop(0)
        if any(isinstance(c, SendCommand) and c.text == self.poison for c in batch.commands):
            raise ZeroDivisionError("a bug")
        self.batches.append(batch)
        outcomes: list[object] = []
        deliveries: dict[UserId, list[tuple[int, bytes]]] = {}
        for command in batch.commands:
            if isinstance(command, SendCommand):
                outcomes.append(msgspec.json.encode({"re": command.request_id, "ok": True}))
                deliveries.setdefault(UserId("bob"), []).append((1, b"{}"))
            else:
                outcomes.append(None)
        return Committed(len(self.batches), outcomes, deliveries)

    def trim(self) -> bool:
        return False


class SilentReads:
    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()

    def sync(self, *_args: object) -> bytes:
        assert self.gate.wait(60)
        if self.failure is not None:
            raise self.failure
        return b'{"re":"s","ok":true}'


class Rig:
    def __init__(self, relay: Relay, store: HeldStore, broker: FakeBroker, reads: SilentReads) -> None:
        self.relay = relay
        self.store = store
        self.broker = broker
        self.reads = reads

    def send(self, number: object, user: str = "alice", **fields: object) -> FakeTicket:
        payload = msgspec.json.encode({"id": f"{number}", "to": "bob", "text": f"{number}", **fields})
        return self.submit(payload, user)

    def submit(self, payload: bytes, user: str = "alice") -> FakeTicket:
        ticket = FakeTicket()
        self.relay.submit(Source(UserId(user), DeviceId("d")), payload, Format.JSON, ticket)
        return ticket

    async def until(self, condition) -> None:
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.001)

    def replies(self) -> list[dict]:
        return [msgspec.json.decode(raw) for _topic, raw, _qos in self.broker.published]


@asynccontextmanager
async def relaying(limiter: RateLimiter | None = None, stalled_s: float = 600) -> AsyncIterator[Rig]:
    """With small bounds. `stalled_s` is longer than any machine is slow."""
    store, broker, reads = HeldStore(), FakeBroker(), SilentReads()
    with ThreadPoolExecutor(2) as readers:
        lost: list[bool] = []
        relay = Relay(
            store,
            reads,
            readers,
            limiter=limiter,
            max_waiting=10,
            max_batch=4,
            on_lost=lambda: lost.append(True),
            stalled_s=stalled_s,
        )
        relay.start(broker)
        rig = Rig(relay, store, broker, reads)
        rig.lost = lost
        yield rig
        store.gate.set()
        await relay.stop()
