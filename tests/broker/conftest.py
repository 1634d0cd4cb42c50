"""Brokers on free ports: one open, one with login, rules and the bridge's fakes behind it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from broker_client import RawClient
from broker_fakes import FakeAuthenticator, FakeInbound, FakeInbox, FakeStore

from broker.build import MQTT_LISTENER, build_broker
from broker.open_mode import build_open_broker
from broker.server import PabalBroker
from broker.settings import BrokerSettings
from pabal.ids import DeviceId, UserId

ANY = "127.0.0.1:0"


async def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Waits for a condition; a deadline, not a delay."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.002)


class World:
    """A broker, its surroundings, and clients that are closed at the end."""

    def __init__(self) -> None:
        self.settings = BrokerSettings(tick=0.05, retry_delay=0.02)
        self.inbox = FakeInbox()
        self.store = FakeStore(self.inbox)
        self.inbound = FakeInbound()
        self.authenticator = FakeAuthenticator()
        self.directory: Any = None
        self.presence: Any = None
        self.plugins: dict[str, dict[str, Any]] = {}
        self.broker: PabalBroker | None = None
        self.clients: list[RawClient] = []

    async def start(self, **settings: Any) -> PabalBroker:
        """With everything behind it: login `{user}`, password `{device}-secret`."""
        more = {} if self.directory is None else {"directory": self.directory}
        broker = build_broker(
            mqtt=ANY,
            ws=None,
            authenticator=self.authenticator,
            services={"web-1": "service-secret", "many": "shared-secret"},
            inbound=self.inbound,
            inbox=self.inbox,
            store=self.store,
            queues=self.store,
            settings=self._settings(settings),
            plugins=self.plugins,
            presence=self.presence,
            **more,
        )
        return await self._started(broker)

    async def open(
        self, *, deny: tuple[str, ...] = (), ws: str | None = None, stored: bool = False, **settings: Any
    ) -> PabalBroker:
        """With nothing behind it but perhaps a store."""
        store = self.store if stored else None
        return await self._started(
            build_open_broker(
                mqtt=ANY, ws=ws, deny=deny, store=store, queues=store, settings=self._settings(settings)
            )
        )

    def _settings(self, changed: dict[str, Any]) -> BrokerSettings:
        fields = {name: getattr(self.settings, name) for name in self.settings.__dataclass_fields__}
        return BrokerSettings(**{**fields, **changed})

    async def _started(self, broker: PabalBroker) -> PabalBroker:
        self.broker = broker
        await broker.start()
        return broker

    @property
    def port(self) -> int:
        assert self.broker is not None
        return self.broker.bound[MQTT_LISTENER][1]

    async def kill(self) -> None:
        """The broker is gone; what the store holds is all that is left."""
        assert self.broker is not None
        broker, self.broker = self.broker, None
        await broker.shutdown()

    async def raw(self) -> RawClient:
        client = await RawClient.open(self.port)
        self.clients.append(client)
        return client

    async def client(self, client_id: str, **fields: Any) -> RawClient:
        """To the open broker."""
        client = await RawClient.connect(self.port, client_id, **fields)
        self.clients.append(client)
        return client

    async def device(self, name: str = "alice:phone", **fields: Any) -> RawClient:
        """Logged in, with the right credential for this client id."""
        return await self.client(name, **credential(name), **fields)

    def deliver(self, user: str, *payloads: bytes) -> None:
        """Commit updates and tell the broker, as the bridge does."""
        assert self.broker is not None
        self.broker.deliver(UserId(user), [self.inbox.append(user, payload) for payload in payloads])

    def kick(
        self, user: str, device: str | None, reason: str = "logout", credential: str | None = None
    ) -> None:
        assert self.broker is not None
        self.broker.kick(UserId(user), DeviceId(device) if device else None, reason, credential)

    def forget(self, user: str, device: str | None) -> None:
        assert self.broker is not None
        self.broker.forget(UserId(user), DeviceId(device) if device else None)


def credential(client_id: str) -> dict[str, Any]:
    user, device, *_ = client_id.split(":")
    return {"username": user, "password": f"{device}-secret".encode()}


@pytest.fixture(name="until")
def _until() -> Callable[..., Awaitable[None]]:
    return until


@pytest.fixture(name="credential")
def _credential() -> Callable[[str], dict[str, Any]]:
    return credential


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    for gate in (made.inbox.gate, made.store.gate, made.store.queue_gate, made.authenticator.gate):
        gate.open()
    for client in made.clients:
        await client.close()
    if made.broker is not None:
        await made.broker.shutdown()
