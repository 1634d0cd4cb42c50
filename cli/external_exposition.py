"""What Prometheus is told of `pabal bridge`: what the relay counts, and the connection to the broker.

Its table in docs/operations.md is made from this one: `python -m cli.external_exposition` prints it.
"""

from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Literal, NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from bridge.figures import Figures
from broker.external.adapter import ExternalBroker
from pabal.histogram import Histogram


class Sources(NamedTuple):
    broker: ExternalBroker
    relay: Figures


Value = float | dict[str, float] | Histogram


class Row(NamedTuple):
    """`label` names what tells the values of one metric apart, if there are several."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    read: Callable[[Sources], Value]
    label: str | None = None


def _counted(name: str) -> Callable[[Sources], float]:
    return lambda of: getattr(of.broker.figures, name)


TABLE = (
    Row("pabal_build_info", "gauge", "Always 1; the version.", lambda _: {version("pabal"): 1}, "version"),
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
    Row(
        "pabal_requests_accepted_total",
        "counter",
        "Requests that write, committed; what only reads is not counted.",
        lambda of: of.relay.accepted,
    ),
    Row(
        "pabal_requests_refused_total",
        "counter",
        "Requests refused, by code.",
        lambda of: dict(of.relay.refused),
        "code",
    ),
    Row(
        "pabal_users_online",
        "gauge",
        "Users who are shown as online or away.",
        lambda of: of.relay.users_online,
    ),
    Row("pabal_batch_requests", "histogram", "Requests in one transaction.", lambda of: of.relay.batches),
    Row("pabal_commit_seconds", "histogram", "How long a transaction took.", lambda of: of.relay.commits),
)


class ExternalFigure(Collector):
    """What a registry of prometheus_client collects from."""

    def __init__(self, broker: ExternalBroker, relay: Figures) -> None:
        self._of = Sources(broker, relay)

    def collect(self) -> Iterator[Metric]:
        for row in TABLE:
            yield _family(row, row.read(self._of))


def _family(row: Row, value: Value) -> Metric:
    if isinstance(value, Histogram):
        buckets = [("+Inf" if bound == float("inf") else f"{bound:g}", n) for bound, n in value.cumulative()]
        histogram = HistogramMetricFamily(row.name, row.meaning)
        histogram.add_metric([], buckets, value.total)
        return histogram
    kind = CounterMetricFamily if row.kind == "counter" else GaugeMetricFamily
    family = kind(row.name, row.meaning, labels=[] if row.label is None else [row.label])
    for label, one in value.items() if isinstance(value, dict) else [(None, value)]:
        family.add_metric([] if label is None else [label], one)
    return family


def rows() -> list[str]:
    """One line of Markdown for each metric."""
    lines = ["| metric | kind | label | what it is |", "|---|---|---|---|"]
    lines += [
        f"| `{row.name}` | {row.kind} | {'' if row.label is None else f'`{row.label}`'} | {row.meaning} |"
        for row in TABLE
    ]
    return lines


if __name__ == "__main__":
    print("\n".join(rows()))  # noqa: T201 -- what it is for
