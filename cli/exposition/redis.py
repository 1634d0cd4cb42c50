"""What Prometheus is told of Redis, by each process that talks to one."""

from collections.abc import Iterator

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from bridge.backplane.link import LinkFigures
from cli.exposition.row import Row, Table, attribute

TABLE = (
    Row("pabal_redis_up", "gauge", "1 while Redis answered the last call, else 0.", attribute("up")),
    Row(
        "pabal_redis_failures_total",
        "counter",
        "Calls that it did not answer in time, or refused.",
        attribute("failures"),
    ),
    Row(
        "pabal_redis_call_seconds",
        "histogram",
        "How long it took for those that it answered.",
        attribute("calls"),
    ),
)


class Joined(Collector):
    """Several of them as one."""

    def __init__(self, *collectors: Collector) -> None:
        self._collectors = collectors

    def collect(self) -> Iterator[Metric]:
        for collector in self._collectors:
            yield from collector.collect()


def with_redis(collector: Collector, figures: LinkFigures | None) -> Collector:
    """What a process tells, and of Redis if it has one."""
    return collector if figures is None else Joined(collector, Table(TABLE, lambda: figures))
