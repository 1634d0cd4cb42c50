"""What Prometheus is told of a web process; see `cli.exposition`, which prints the table of the docs for both."""

from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from typing import Any, Literal, NamedTuple

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from pabal.histogram import Histogram
from webapi.app import Watched

# By the values of a metric's labels, as a tuple of strings: a number each, or a Histogram.
Values = Mapping[Any, Any]


class Row(NamedTuple):
    """`read` gives values by those of `labels`."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    meaning: str
    read: Callable[[Watched], Values]


def _one(read: Callable[[Watched], float | Histogram]) -> Callable[[Watched], Values]:
    return lambda of: {(): read(of)}


TABLE = (
    Row(
        "pabal_web_build_info",
        "gauge",
        ("version",),
        "Always 1; the version.",
        lambda _: {(version("pabal"),): 1},
    ),
    Row(
        "pabal_web_answers_total",
        "counter",
        ("route", "status"),
        "HTTP requests that were answered, by route and status.",
        lambda of: of.figures.answers.copy(),
    ),
    Row(
        "pabal_web_seconds",
        "histogram",
        ("route",),
        "How long an HTTP request took, long polls included.",
        lambda of: {(route,): histogram for route, histogram in list(of.figures.seconds.items())},
    ),
    Row("pabal_web_waits", "gauge", (), "Long polls that wait.", _one(lambda of: of.waits())),
    Row(
        "pabal_web_relay_connected",
        "gauge",
        (),
        "1 while the relay can be asked.",
        _one(lambda of: int(of.relay_connected())),
    ),
    Row(
        "pabal_web_relay_seconds",
        "histogram",
        (),
        "From asking the relay to its answer.",
        _one(lambda of: of.figures.round_trips),
    ),
    Row(
        "pabal_web_relay_unanswered_total",
        "counter",
        (),
        "Questions to the relay that were too many, or not answered in time.",
        _one(lambda of: of.figures.unanswered),
    ),
)


class WebFigure(Collector):
    """What a registry of prometheus_client collects from."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched

    def collect(self) -> Iterator[Metric]:
        for row in TABLE:
            yield _family(row, row.read(self._watched))


def _family(row: Row, values: Values) -> Metric:
    if row.kind == "histogram":
        histograms = HistogramMetricFamily(row.name, row.meaning, labels=row.labels)
        for labels, histogram in values.items():
            bounds = [
                ("+Inf" if bound == float("inf") else f"{bound:g}", n) for bound, n in histogram.cumulative()
            ]
            histograms.add_metric(labels, bounds, histogram.total)
        return histograms
    family = (CounterMetricFamily if row.kind == "counter" else GaugeMetricFamily)(
        row.name, row.meaning, labels=row.labels
    )
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def rows() -> list[str]:
    """As those of `cli.exposition`."""
    return [
        f"| `{row.name}` | {row.kind} | {', '.join(f'`{label}`' for label in row.labels)} | {row.meaning} |"
        for row in TABLE
    ]
