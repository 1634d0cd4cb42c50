"""What Prometheus is told of Redis, by each process that talks to one. `python -m cli.redis_exposition` prints the table
of docs/redis.md.
"""

from collections.abc import Callable, Iterator

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from bridge.backplane.link import LinkFigures
from cli.exposition import Row, Value, family, rows


def _of(name: str) -> Callable[[LinkFigures], Value]:
    return lambda figures: getattr(figures, name)


TABLE = (
    Row("pabal_redis_up", "gauge", "1 while Redis answered the last call, else 0.", _of("up")),
    Row(
        "pabal_redis_failures_total",
        "counter",
        "Calls that it did not answer in time, or refused.",
        _of("failures"),
    ),
    Row(
        "pabal_redis_call_seconds", "histogram", "How long it took for those that it answered.", _of("calls")
    ),
)


class RedisFigure(Collector):
    """What a registry of prometheus_client collects from."""

    def __init__(self, figures: LinkFigures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        for row in TABLE:
            yield family(row, row.read(self._figures))


if __name__ == "__main__":
    print("\n".join(rows(TABLE)))  # noqa: T201 -- what it is for
