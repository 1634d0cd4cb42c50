"""Tests by clause: `@pytest.mark.clauses(v3="3.1.0-1", v5="3.1.0-1 3.1.0-2")` names what a test is about.

A test with clauses of both versions runs once for each, with `level` 4 or 5; the clauses are in its id.
"""

from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
from broker_client import RawClient

from broker.build import MQTT_LISTENER, WS_LISTENER
from broker.mqtt import packets as p
from broker.mqtt.properties import Properties
from broker.open_mode import build_open_broker
from broker.server import PabalBroker
from broker.settings import BrokerSettings

LEVELS = {"v3": 4, "v5": 5}
VERSIONS = {"v3": "3.1.1", "v5": "5.0"}
DENIED = "denied/topic"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "clauses(v3, v5): the numbers of the normative statements that are tested"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("clauses")
    if marker is None:
        return
    if "level" not in metafunc.fixturenames:
        metafunc.fixturenames.append("level")
    cases = [
        pytest.param(
            LEVELS[version], id=f"{VERSIONS[version]} " + " ".join(f"MQTT-{n}" for n in numbers.split())
        )
        for version, numbers in marker.kwargs.items()
    ]
    metafunc.parametrize("level", cases)


class Place:
    """An open broker, and clients of one protocol level."""

    def __init__(self, broker: PabalBroker, level: int) -> None:
        self.broker = broker
        self.level = level
        self._clients: list[RawClient] = []

    @property
    def port(self) -> int:
        return self.broker.bound[MQTT_LISTENER][1]

    @property
    def ws_port(self) -> int:
        return self.broker.bound[WS_LISTENER][1]

    async def raw(self) -> RawClient:
        """A connection on which nothing was said."""
        client = await RawClient.open(self.port)
        client.level = client._parser.level = self.level
        self._clients.append(client)
        return client

    async def client(self, name: str, **fields: Any) -> RawClient:
        """Connected; a session that ends with its connection."""
        client = await RawClient.connect(self.port, name, level=self.level, **fields)
        self._clients.append(client)
        return client

    async def lasting(self, name: str, *, clean: bool = False, **fields: Any) -> RawClient:
        """Connected; a session that outlives the connection."""
        if self.level == p.LEVEL_5:
            fields["properties"] = Properties(session_expiry_interval=1000)
        return await self.client(name, clean=clean, **fields)

    async def subscriber(self, *filters: tuple[str, int], name: str = "subscriber") -> RawClient:
        client = await self.client(name)
        assert all(code < p.FAILED for code in await client.subscribe(*filters))
        return client

    async def close(self) -> None:
        for client in self._clients:
            await client.close()
        await self.broker.shutdown()


@pytest.fixture
async def place(level: int) -> AsyncIterator[Place]:
    settings = BrokerSettings(tick=0.05, sys_interval=0.0, max_packet_bytes=100_000, receive_maximum=20)
    broker = build_open_broker(mqtt="127.0.0.1:0", ws="127.0.0.1:0", deny=[DENIED], settings=settings)
    await broker.start()
    made = Place(broker, level)
    yield made
    await made.close()


async def ended(client: RawClient, *reasons: int) -> None:
    """The server closes the connection; a client of MQTT 5 is told one of these reasons, if any are named."""
    found = await client.closed()
    if client.level == p.LEVEL_5 and reasons:
        assert found, "closed without a DISCONNECT"
        last = found[-1]
        assert isinstance(last, p.Disconnect | p.Connack)
        assert (last.reason if isinstance(last, p.Disconnect) else last.code) in reasons
    else:
        assert not any(isinstance(one, p.Connack) and one.code == 0 for one in found)


def payloads(found: Iterable[p.Publish]) -> list[bytes]:
    return [one.payload for one in found]


@pytest.fixture(name="ended")
def _ended() -> Any:
    return ended


@pytest.fixture(name="payloads")
def _payloads() -> Any:
    return payloads
