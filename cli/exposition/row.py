"""One row of a table of metrics: what it is called, what it means, and where its value comes from."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from pabal.histogram import Histogram

One = float | Histogram
# By label; where there are several labels, by all of them.
Value = One | Mapping[str, One] | Mapping[tuple[str, ...], One]


class Row(NamedTuple):
    """`label` names what tells the values of one metric apart, if there are several; several labels have commas."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    read: Callable[[Any], Value]
    label: str | None = None

    @property
    def labels(self) -> list[str]:
        return [] if self.label is None else self.label.split(",")

    def family(self, of: object) -> Metric:
        """As prometheus_client writes it, read from `of` now."""
        value = self.read(of)
        values: Mapping[Any, Any] = value if isinstance(value, Mapping) else {(): value}
        if self.kind == "histogram":
            return self._histograms(values)
        kind = CounterMetricFamily if self.kind == "counter" else GaugeMetricFamily
        family = kind(self.name, self.meaning, labels=self.labels)
        for label, one in values.items():
            family.add_metric(_listed(label), one)
        return family

    def _histograms(self, values: Mapping[Any, Any]) -> Metric:
        family = HistogramMetricFamily(self.name, self.meaning, labels=self.labels)
        for label, histogram in values.items():
            buckets = [
                ("+Inf" if bound == float("inf") else f"{bound:g}", n) for bound, n in histogram.cumulative()
            ]
            family.add_metric(_listed(label), buckets, histogram.total)
        return family


def attribute(*path: str) -> Callable[[Any], Any]:
    """Reads this attribute of that attribute … of what is looked at; as it is now, where it may grow meanwhile."""

    def read(of: Any) -> Any:
        for name in path:
            of = getattr(of, name)
        return of.copy() if isinstance(of, dict) else of

    return read


class Table(Collector):
    """What a registry of prometheus_client collects from: all rows, of one look."""

    def __init__(self, rows: Sequence[Row], look: Callable[[], object]) -> None:
        self._rows = rows
        self._look = look

    def collect(self) -> Iterator[Metric]:
        of = self._look()
        for row in self._rows:
            yield row.family(of)


def markdown(table: Sequence[Row]) -> list[str]:
    """One line for each metric, behind those of the head."""
    lines = ["| metric | kind | label | what it is |", "|---|---|---|---|"]
    for row in table:
        labels = ", ".join(f"`{label}`" for label in row.labels)
        lines.append(f"| `{row.name}` | {row.kind} | {labels} | {row.meaning} |")
    return lines


def _listed(label: str | tuple[str, ...]) -> list[str]:
    return [label] if isinstance(label, str) else list(label)
