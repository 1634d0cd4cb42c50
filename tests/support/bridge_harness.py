"""People in a database, and a bridge over it that is asked as their devices would ask it."""

import asyncio

import msgspec
from bridge_fakes import FakeBroker, FakeTicket
from sqlalchemy import Engine

from bridge.build import Bridge
from bridge.ports import Source
from bridge.store.tables import account, device
from pabal.acl import EVERYTHING
from pabal.codec import Format, sniff
from pabal.ids import DeviceId, UserId

PEOPLE = ("alice", "bob", "carol")


class Harness:
    """Sends as a device would, and waits for the answers."""

    def __init__(self, bridge: Bridge, broker: FakeBroker) -> None:
        self.bridge = bridge
        self.broker = broker

    def submit(
        self, user: str, payload: object, *, device: str = "d", allow: frozenset[str] = EVERYTHING
    ) -> FakeTicket:
        ticket = FakeTicket()
        raw = payload if isinstance(payload, bytes) else msgspec.json.encode(payload)
        source = Source(UserId(user), DeviceId(device), allow)
        self.bridge.relay.submit(source, raw, sniff(raw), ticket)
        return ticket

    def replies(self, user: str, device: str = "d") -> list[dict]:
        topic = f"pabal/v1/down/{user}/{device}"
        return [
            msgspec.msgpack.decode(raw) if sniff(raw) is Format.MSGPACK else msgspec.json.decode(raw)
            for name, raw, _qos in self.broker.published
            if name == topic
        ]

    async def ask(
        self, user: str, request: dict, *, device: str = "d", allow: frozenset[str] = EVERYTHING
    ) -> dict:
        """One request, its reply; the packet must have been acknowledged too."""
        seen = len(self.replies(user, device))
        ticket = self.submit(user, request, device=device, allow=allow)
        await self.broker.until(lambda: len(self.replies(user, device)) > seen)
        await self.settled(ticket)
        return self.replies(user, device)[seen]

    async def settled(self, ticket: FakeTicket) -> bool:
        async with asyncio.timeout(60):
            while not ticket.settled:
                await asyncio.sleep(0.001)
        assert len(ticket.settled) == 1
        return ticket.settled[0]


def populate(engine: Engine) -> None:
    with engine.begin() as connection:
        for user in PEOPLE:
            connection.execute(
                account.insert(), {"user_id": user, "state": "active", "admin": False, "created_ts": 0}
            )
            connection.execute(
                device.insert(),
                {"user_id": user, "device_id": "d", "cursor": 0, "allow": "send receive", "created_ts": 0},
            )
    engine.dispose()
