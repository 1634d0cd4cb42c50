"""What Prometheus is told of pushes, by each process that sends some. `python -m cli.push_exposition` prints the table
of docs/operations.md.
"""

from collections.abc import Callable, Iterator

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from cli.exposition import Row, Value, family, rows
from cli.pushing import PushNumbers


def _of(name: str) -> Callable[[PushNumbers], Value]:
    return lambda numbers: getattr(numbers, name)


TABLE = (
    Row("pabal_push_jobs", "gauge", "Pushes that wait or are being sent, of all workers.", _of("jobs")),
    Row(
        "pabal_push_oldest_seconds",
        "gauge",
        "For how long the oldest of them has been due; looked at every 5 s, as is their number.",
        _of("oldest_s"),
    ),
    Row("pabal_push_in_flight", "gauge", "Pushes that this process is sending.", _of("in_flight")),
    Row("pabal_push_sent_total", "counter", "Pushes that a service has taken.", _of("sent"), "service"),
    Row(
        "pabal_push_failed_total",
        "counter",
        "Tries that failed: `later` (it is tried again), `gone` and `again` (the subscription has ended), `refused`, "
        "`gave up`.",
        _of("failed"),
        "service,reason",
    ),
    Row(
        "pabal_push_dropped_total",
        "counter",
        "Pushes that were of no use any more, by why.",
        _of("dropped"),
        "reason",
    ),
)


class PushFigure(Collector):
    def __init__(self, numbers: PushNumbers) -> None:
        self._numbers = numbers

    def collect(self) -> Iterator[Metric]:
        for row in TABLE:
            yield family(row, row.read(self._numbers))


if __name__ == "__main__":
    print("\n".join(rows(TABLE)))  # noqa: T201 -- what it is for
