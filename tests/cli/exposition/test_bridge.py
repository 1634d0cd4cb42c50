"""What Prometheus is told of `pabal bridge`."""

from prometheus_client import CollectorRegistry, generate_latest

from bridge.figures import Figures
from broker.external.figures import Figures as LinkFigures
from cli.exposition.bridge import TABLE, bridge_figure


class FakeCourier:
    keeps_up = True
    sent = 7


class FakeAdapter:
    connected = True
    queued = 3
    courier = FakeCourier()

    def __init__(self) -> None:
        self.figures = LinkFigures()


def test_every_row_is_told_and_has_its_value():
    adapter, relay = FakeAdapter(), Figures()
    adapter.figures.unkept = 2
    relay.refuse("forbidden")
    registry = CollectorRegistry()
    registry.register(bridge_figure(adapter, relay))
    told = generate_latest(registry).decode()
    for row in TABLE:
        assert f"# HELP {row.name} {row.meaning}" in told
    for line in (
        "pabal_mqtt_connected 1.0",
        "pabal_mqtt_updates_total 7.0",
        "pabal_mqtt_queued_messages 3.0",
        "pabal_mqtt_unkept_total 2.0",
        'pabal_requests_refused_total{code="forbidden"} 1.0',
    ):
        assert line in told.splitlines()
