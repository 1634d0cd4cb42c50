"""What Prometheus is told of pushes, by each process that sends some."""

from cli.exposition.row import Row, Table, attribute
from cli.pushing import PushNumbers

TABLE = (
    Row("pabal_push_jobs", "gauge", "Pushes that wait or are being sent, of all workers.", attribute("jobs")),
    Row(
        "pabal_push_oldest_seconds",
        "gauge",
        "For how long the oldest of them has been due; looked at every 5 s, as is their number.",
        attribute("oldest_s"),
    ),
    Row("pabal_push_in_flight", "gauge", "Pushes that this process is sending.", attribute("in_flight")),
    Row("pabal_push_sent_total", "counter", "Pushes that a service has taken.", attribute("sent"), "service"),
    Row(
        "pabal_push_failed_total",
        "counter",
        "Tries that failed: `later` (it is tried again), `gone` and `again` (the subscription has ended), `refused`, "
        "`gave up`.",
        attribute("failed"),
        "service,reason",
    ),
    Row(
        "pabal_push_dropped_total",
        "counter",
        "Pushes that were of no use any more, by why.",
        attribute("dropped"),
        "reason",
    ),
)


def push_figure(numbers: PushNumbers) -> Table:
    """What a registry of prometheus_client collects from."""
    return Table(TABLE, lambda: numbers)
