"""What Prometheus is told of a web process."""

from importlib.metadata import version

from cli.exposition.row import Row, Table, attribute
from webapi.app import Watched

TABLE = (
    Row(
        "pabal_web_build_info",
        "gauge",
        "Always 1; the version.",
        lambda _: {version("pabal"): 1},
        "version",
    ),
    Row(
        "pabal_web_answers_total",
        "counter",
        "HTTP requests that were answered, by route and status.",
        attribute("figures", "answers"),
        "route,status",
    ),
    Row(
        "pabal_web_seconds",
        "histogram",
        "How long an HTTP request took, long polls included.",
        attribute("figures", "seconds"),
        "route",
    ),
    Row("pabal_web_waits", "gauge", "Long polls that wait.", lambda of: of.waits()),
    Row(
        "pabal_web_relay_connected",
        "gauge",
        "1 while the relay can be asked.",
        lambda of: int(of.relay_connected()),
    ),
    Row(
        "pabal_web_relay_seconds",
        "histogram",
        "From asking the relay to its answer.",
        attribute("figures", "round_trips"),
    ),
    Row(
        "pabal_web_relay_unanswered_total",
        "counter",
        "Questions to the relay that were too many, or not answered in time.",
        attribute("figures", "unanswered"),
    ),
)


def web_figure(watched: Watched) -> Table:
    """What a registry of prometheus_client collects from."""
    return Table(TABLE, lambda: watched)
