"""What Prometheus and those who ask for health read: every metric of the table, and a listener that bounds what
comes in.
"""

import asyncio
import contextlib
import json

import pytest
from broker_client import RawClient
from prometheus_client.parser import text_string_to_metric_families

from bridge.figures import Figures
from broker.build import MQTT_LISTENER
from broker.open_mode import build_open_broker
from cli import metrics, sockets
from cli.address import Address
from cli.exposition.broker import TABLE, broker_figure
from cli.roles.health import Health, Phase

ANY = Address("127.0.0.1", 0)


@pytest.fixture
async def broker():
    made = build_open_broker(mqtt="127.0.0.1:0")
    await made.start()
    yield made
    await made.shutdown()


@pytest.fixture
def health():
    return Health()


@pytest.fixture
async def address(broker, health):
    relay = Figures()
    relay.accepted = 3
    relay.refuse("conflict")
    relay.batches.add(2)
    listening = sockets.listen("metrics", ANY)
    listener = metrics.MetricsListener(health)
    listener.expose(broker_figure(broker, relay))
    await listener.start(listening)
    yield sockets.address_of(listening)
    await listener.stop()


async def ask(address, request):
    reader, writer = await asyncio.open_connection(*address)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return answer


async def scrape(address):
    """The samples by name and labels."""
    answer = await ask(address, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


async def test_every_metric_of_the_table_is_there_and_no_other(address):
    found = await scrape(address)
    names = {key[0] for key in found}
    for row in TABLE:
        if row.label is None:
            assert (f"{row.name}_count" if row.kind == "histogram" else row.name) in names
    assert {name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum") for name in names} <= {
        row.name for row in TABLE
    }


async def test_the_figures_are_those_of_the_traffic(address, broker):
    client = await RawClient.connect(broker.bound[MQTT_LISTENER][1], "c")
    await client.subscribe(("t", 1))
    await client.publish("u", b"x", 1)
    await client.ping()
    await client.publish("$SYS/x", b"x", 1)
    found = await scrape(address)
    await client.close()
    assert (
        found["pabal_connections",] == found["pabal_clients_connected",] == found["pabal_logins_total",] == 1
    )
    assert found["pabal_subscriptions",] == 1
    received = {key[1]: value for key, value in found.items() if key[0] == "pabal_packets_received_total"}
    assert received == {"CONNECT": 1, "SUBSCRIBE": 1, "PUBLISH": 2, "PINGREQ": 1}
    sent = {key[1]: value for key, value in found.items() if key[0] == "pabal_packets_sent_total"}
    assert sent == {"CONNACK": 1, "SUBACK": 1, "PUBACK": 2, "PINGRESP": 1}
    assert found["pabal_offences_total", "publish"] == found["pabal_dropped_total", "refused"] == 1
    assert found["pabal_requests_accepted_total",] == 3
    assert found["pabal_requests_refused_total", "conflict"] == 1
    assert found["pabal_batch_requests_bucket", "2"] == found["pabal_batch_requests_count",] == 1
    assert found["pabal_batch_requests_bucket", "1"] == 0


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"404"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", b"405"),
        (b"HEAD /metrics HTTP/1.0\r\n\r\n", b"200"),
        (b"GET /metrics?x=1 HTTP/1.1\r\n\r\n", b"200"),
    ],
)
async def test_it_answers_what_is_asked_for(address, request_, status):
    assert (await ask(address, request_)).startswith(b"HTTP/1.1 " + status)


async def test_a_request_that_is_too_long_is_not_answered(address):
    with contextlib.suppress(ConnectionError):
        assert await ask(address, b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 100_000) == b""
    assert await scrape(address)


async def test_who_says_nothing_is_cut_off(address, monkeypatch):
    monkeypatch.setattr(metrics, "_REQUEST_S", 0.05)
    reader, writer = await asyncio.open_connection(*address)
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""
    writer.close()


async def test_only_so_many_are_served_at_once(address, monkeypatch):
    monkeypatch.setattr(metrics, "_MOST", 1)
    monkeypatch.setattr(metrics, "_REQUEST_S", 600.0)
    silent = await asyncio.open_connection(*address)
    with contextlib.suppress(ConnectionError):
        while await ask(address, b"GET /metrics HTTP/1.1\r\n\r\n"):
            await asyncio.sleep(0)
    silent[1].close()


async def test_it_is_healthy_from_the_start_and_ready_once_it_serves(address, health):
    async def asked(path):
        head, _, body = (await ask(address, b"GET " + path + b" HTTP/1.1\r\n\r\n")).partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(body)

    assert await asked(b"/healthz") == (200, {"ok": True})
    assert await asked(b"/readyz") == (503, {"ready": False, "detail": "starting"})
    health.phase = Phase.STANDBY
    assert await asked(b"/healthz") == (200, {"ok": True})
    assert await asked(b"/readyz") == (503, {"ready": False, "detail": "standby"})
    health.phase = Phase.SERVING
    assert await asked(b"/readyz") == (200, {"ready": True})
