"""What Prometheus is told of `pabal bridge`: the connection to the broker, and the relay behind it."""

from collections.abc import Callable
from typing import Any, NamedTuple

from bridge.figures import Figures
from broker.external.adapter import ExternalBroker
from cli.exposition import relay
from cli.exposition.row import Row, Table, attribute


class Sources(NamedTuple):
    broker: ExternalBroker
    relay: Figures


def _counted(name: str) -> Callable[[Any], Any]:
    return attribute("broker", "figures", name)


TABLE = (
    relay.BUILD,
    Row("pabal_mqtt_connected", "gauge", "1 while the broker is there.", lambda of: of.broker.connected),
    Row("pabal_mqtt_links_total", "counter", "How often it was connected to.", _counted("links")),
    Row("pabal_mqtt_received_total", "counter", "Messages from the broker.", _counted("received")),
    Row("pabal_mqtt_published_total", "counter", "Replies and news given to it.", _counted("published")),
    Row("pabal_mqtt_updates_total", "counter", "Updates given to it.", lambda of: of.broker.courier.sent),
    Row(
        "pabal_mqtt_keeps_up",
        "gauge",
        "1 while updates go out as they are committed, 0 while the outbox is read.",
        lambda of: of.broker.courier.keeps_up,
    ),
    Row(
        "pabal_mqtt_queued_messages",
        "gauge",
        "Messages that wait for their turn.",
        lambda of: of.broker.queued,
    ),
    Row(
        "pabal_mqtt_dropped_total",
        "counter",
        "Replies and news that found no broker; requests are sent again.",
        _counted("dropped"),
    ),
    Row(
        "pabal_mqtt_refused_total",
        "counter",
        "Publishes that the broker acknowledged and did nothing with.",
        _counted("refused"),
    ),
    Row("pabal_mqtt_unkept_total", "counter", "Requests to be brought again.", _counted("unkept")),
    Row("pabal_mqtt_strange_total", "counter", "Messages that mean nothing here.", _counted("strange")),
    *relay.TABLE,
)


def bridge_figure(broker: ExternalBroker, figures: Figures) -> Table:
    """What a registry of prometheus_client collects from."""
    return Table(TABLE, lambda: Sources(broker, figures))
