"""What Prometheus is told of Redis, by each process that talks to one; docs/redis.md has the same table."""

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from bridge.backplane.link import LinkFigures

UP: Final = ("pabal_redis_up", "1 while Redis answered the last call, else 0.")
FAILURES: Final = ("pabal_redis_failures_total", "Calls that it did not answer in time, or refused.")
CALLS: Final = ("pabal_redis_call_seconds", "How long it took for those that it answered.")


class RedisFigure(Collector):
    """What a registry of prometheus_client collects from."""

    def __init__(self, figures: LinkFigures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        figures = self._figures
        yield GaugeMetricFamily(*UP, value=figures.up)
        yield CounterMetricFamily(*FAILURES, value=figures.failures)
        buckets = [
            ("+Inf" if bound == float("inf") else f"{bound:g}", n) for bound, n in figures.calls.cumulative()
        ]
        yield HistogramMetricFamily(*CALLS, buckets=buckets, sum_value=figures.calls.total)


class Joined(Collector):
    """Several of them as one."""

    def __init__(self, *collectors: Collector) -> None:
        self._collectors = collectors

    def collect(self) -> Iterator[Metric]:
        for collector in self._collectors:
            yield from collector.collect()


def with_redis(collector: Collector, figures: LinkFigures | None) -> Collector:
    """What a process tells, and of Redis if it has one."""
    return collector if figures is None else Joined(collector, RedisFigure(figures))
