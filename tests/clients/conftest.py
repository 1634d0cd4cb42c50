"""Session cores on a bench, and clients of a very small broker, as several files here use them."""

import pytest
from fake_mqtt_broker import FakeBroker
from room_talk import CONV
from session_bench import Bench

from pabal_client import Client, backoff


@pytest.fixture
def bench():
    return Bench()


@pytest.fixture
def online(bench):
    bench.connect()
    bench.answer()
    bench.wait(2)
    bench.answer()
    return bench


@pytest.fixture
def small(online):
    """alice is online, and in a small group with bob and carol that has no place for one more."""
    online.arrive(online.server.create_group(CONV, "bob", "alice", "carol", limit=3))
    return online


@pytest.fixture
def large(small):
    """dave has joined, and so the group is large: entry 2 is his, entry 3 the switch."""
    small.arrive(small.server.join(CONV, "dave"))
    small.answer()
    small.wait(2)
    small.answer()
    return small


@pytest.fixture
def broker():
    with FakeBroker() as broker:
        yield broker


@pytest.fixture
def open_client(broker, tmp_path, monkeypatch):
    monkeypatch.setattr(backoff, "reconnect_delay", lambda *_: 0.01)
    opened = []

    def open_one(user="alice", device="phone", **options):
        options.setdefault("password", "secret")
        options.setdefault("store", tmp_path / f"{user}.db")
        client = Client.open(f"127.0.0.1:{broker.port}", user=user, device=device, **options)
        opened.append(client)
        return client

    yield open_one
    for client in opened:
        client.close()
