"""Session cores on a bench, and clients of a very small broker, as several files here use them."""

import pytest
from fake_mqtt_broker import FakeBroker
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
