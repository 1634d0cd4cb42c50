"""What Prometheus is told of the embedded broker, and of the relay behind it."""

from collections.abc import Callable
from typing import Any, NamedTuple

from bridge.figures import Figures
from broker.census import Census
from broker.metrics import Metrics
from broker.mqtt.packets import Type
from broker.server import PabalBroker
from cli.exposition import relay
from cli.exposition.row import Row, Table, attribute
from pabal.histogram import Histogram


class Sources(NamedTuple):
    """Of one look."""

    metrics: Metrics
    census: Census
    lag: Histogram
    relay: Figures


def _counted(name: str) -> Callable[[Any], Any]:
    return attribute("metrics", name)


def _there(name: str) -> Callable[[Any], Any]:
    return attribute("census", name)


def _by_type(counts: list[int]) -> dict[str, float]:
    return {kind.name: counts[kind] for kind in Type if counts[kind]}


def _dropped(of: Sources) -> dict[str, float]:
    return {
        name.removeprefix("dropped_"): count
        for name, count in of.metrics.snapshot().items()
        if name.startswith("dropped_")
    }


TABLE = (
    relay.BUILD,
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
        _counted("offences_by"),
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
    *relay.TABLE,
)


def broker_figure(broker: PabalBroker, figures: Figures) -> Table:
    """What a registry of prometheus_client collects from."""
    return Table(TABLE, lambda: Sources(broker.metrics, broker.census(), broker.pulse.lag, figures))
