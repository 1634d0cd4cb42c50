"""What Prometheus is told: one row for each metric, with where its value comes from.

Everything is a plain number that the broker and the relay keep anyway, read when somebody asks. The table of
docs/operations.md is made from this one: `python -m cli.exposition` prints it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Literal, NamedTuple

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from bridge.figures import Figures
from broker.census import Census
from broker.metrics import Metrics
from broker.mqtt.packets import Type
from broker.server import PabalBroker
from cli import web_exposition
from pabal.histogram import Histogram


class Sources(NamedTuple):
    """Of one look."""

    metrics: Metrics
    census: Census
    lag: Histogram
    relay: Figures


# By label; where there are several labels, by all of them.
Value = float | Mapping[str, float] | Mapping[tuple[str, str], float] | Histogram


class Row(NamedTuple):
    """`label` names what tells the values of one metric apart, if there are several; two labels have a comma."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    read: Callable[[Any], Value]
    label: str | None = None


def _counted(name: str) -> Callable[[Sources], float]:
    return lambda of: getattr(of.metrics, name)


def _there(name: str) -> Callable[[Sources], float]:
    return lambda of: getattr(of.census, name)


def _by_type(counts: list[int]) -> dict[str, float]:
    return {kind.name: counts[kind] for kind in Type if counts[kind]}


def _dropped(of: Sources) -> dict[str, float]:
    return {
        name.removeprefix("dropped_"): count
        for name, count in of.metrics.snapshot().items()
        if name.startswith("dropped_")
    }


TABLE = (
    Row("pabal_build_info", "gauge", "Always 1; the version.", lambda _: {version("pabal"): 1}, "version"),
    Row("pabal_connections", "gauge", "MQTT connections, logged in or not yet.", _counted("connections")),
    Row("pabal_clients_connected", "gauge", "Sessions with a connection.", _there("connected")),
    Row("pabal_sessions", "gauge", "Sessions, with a connection or without.", _there("sessions")),
    Row(
        "pabal_sessions_persistent",
        "gauge",
        "Those that outlive their connection.",
        _counted("sessions_persistent"),
    ),
    Row(
        "pabal_sessions_expired_total",
        "counter",
        "Sessions whose time without their client was over.",
        _counted("sessions_expired"),
    ),
    Row(
        "pabal_sessions_refused_total",
        "counter",
        "Sessions beyond a limit of number.",
        _counted("sessions_refused"),
    ),
    Row("pabal_subscriptions", "gauge", "Subscriptions of all sessions.", _there("subscriptions")),
    Row("pabal_retained_messages", "gauge", "Retained messages.", _there("retained")),
    Row("pabal_retained_bytes", "gauge", "Their bytes.", _counted("retained_bytes")),
    Row(
        "pabal_retained_refused_total",
        "counter",
        "Retained messages beyond a limit of number or bytes.",
        _counted("retained_refused"),
    ),
    Row("pabal_inflight_messages", "gauge", "Messages sent and not acknowledged yet.", _there("inflight")),
    Row(
        "pabal_queued_messages", "gauge", "Messages that wait for a slow or absent client.", _there("queued")
    ),
    Row("pabal_queued_bytes", "gauge", "Their bytes.", _counted("queued_bytes")),
    Row(
        "pabal_queue_writes_total",
        "counter",
        "Group commits of messages for sessions that outlive their connection.",
        _counted("saved_groups"),
    ),
    Row(
        "pabal_unsettled_packets",
        "gauge",
        "Packets of clients that wait to be committed or stored.",
        _there("unsettled"),
    ),
    Row("pabal_sockets_total", "counter", "Connections accepted on any listener.", _counted("sockets")),
    Row("pabal_logins_total", "counter", "Logins that were good.", _counted("connects")),
    Row("pabal_logins_refused_total", "counter", "Logins that were not.", _counted("logins_refused")),
    Row(
        "pabal_connections_refused_total",
        "counter",
        "Connections beyond a limit of number or rate.",
        _counted("connections_refused"),
    ),
    Row(
        "pabal_tls_handshakes_failed_total",
        "counter",
        "TLS handshakes that failed or took too long.",
        _counted("handshakes_failed"),
    ),
    Row("pabal_takeovers_total", "counter", "Connections ended by a newer one.", _counted("takeovers")),
    Row(
        "pabal_timeouts_total",
        "counter",
        "Connections ended for want of a CONNECT, a sign of life, or reading.",
        _counted("timeouts"),
    ),
    Row("pabal_malformed_total", "counter", "Connections ended for malformed MQTT.", _counted("malformed")),
    Row(
        "pabal_offences_total",
        "counter",
        "What clients had no right to, or could not be read.",
        lambda of: dict(of.metrics.offences_by),
        "kind",
    ),
    Row(
        "pabal_packets_received_total",
        "counter",
        "MQTT packets from clients.",
        lambda of: _by_type(of.metrics.received),
        "type",
    ),
    Row(
        "pabal_packets_sent_total",
        "counter",
        "MQTT packets to clients.",
        lambda of: _by_type(of.metrics.sent_by_type()),
        "type",
    ),
    Row("pabal_received_bytes_total", "counter", "Bytes from clients.", _counted("bytes_in")),
    Row("pabal_sent_bytes_total", "counter", "Bytes to clients.", _counted("bytes_out")),
    Row("pabal_dropped_total", "counter", "Messages and events that went nowhere.", _dropped, "reason"),
    Row("pabal_wills_total", "counter", "Last wills published.", _counted("wills")),
    Row(
        "pabal_loop_lag_seconds",
        "histogram",
        "How late the event loop came to what was due.",
        lambda of: of.lag,
    ),
    Row("pabal_requests_submitted_total", "counter", "Packets handed to the relay.", _counted("submitted")),
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


class Figure(Collector):
    """What a registry of prometheus_client collects from."""

    def __init__(self, broker: PabalBroker, relay: Figures) -> None:
        self._broker = broker
        self._relay = relay

    def collect(self) -> Iterator[Metric]:
        broker = self._broker
        of = Sources(broker.metrics, broker.census(), broker.pulse.lag, self._relay)
        for row in TABLE:
            yield family(row, row.read(of))


def family(row: Row, value: Value) -> Metric:
    if isinstance(value, Histogram):
        buckets = [("+Inf" if bound == float("inf") else f"{bound:g}", n) for bound, n in value.cumulative()]
        histogram = HistogramMetricFamily(row.name, row.meaning)
        histogram.add_metric([], buckets, value.total)
        return histogram
    kind = CounterMetricFamily if row.kind == "counter" else GaugeMetricFamily
    made = kind(row.name, row.meaning, labels=[] if row.label is None else row.label.split(","))
    for label, one in value.items() if isinstance(value, Mapping) else [((), value)]:
        made.add_metric([label] if isinstance(label, str) else list(label), one)
    return made


def rows(table: Sequence[Row] = TABLE) -> list[str]:
    """One line of Markdown for each metric."""
    lines = ["| metric | kind | label | what it is |", "|---|---|---|---|"]
    lines += [
        f"| `{row.name}` | {row.kind} | {'' if row.label is None else f'`{row.label}`'} | {row.meaning} |"
        for row in table
    ]
    # The page has those of the web process behind our own.
    return [*lines, *web_exposition.rows()] if table is TABLE else lines


if __name__ == "__main__":
    print("\n".join(rows()))  # noqa: T201 -- what it is for
