"""`pabal bridge`: Pabal behind another MQTT broker."""

from cli import bridge_root as root
from cli import logs, output
from cli.flags import PUSH, Flags, with_settings

SETTINGS = (
    "mqtt_url", "mqtt_url_file", "mqtt_ca", "mqtt_client_id",
    "data", "database_url", "database_url_file", "redis_url", "redis_url_file", "keys_file",
    "access_token_seconds", "metrics",
    "rate_limits", "request_rate", "request_burst", "inbox_keep_days", "inbox_keep_updates", "audit_keep_days",
    "small_group_limit", "max_group_members", "recall_seconds", "session_days", "max_packet_bytes",
    "push", *PUSH, "push_wait_seconds", "push_ttl_seconds", "push_keep_days",
    "reader_connections", "account_connections",
    "log_level", "log_format", "trace_rate", "trace_every", "otel_endpoint",
)  # fmt: skip


@with_settings(*SETTINGS)
def bridge(flags: Flags) -> None:
    """Run the bridge to another MQTT broker.

    It commits what devices send through that broker, and publishes what others are to get. A second one on the same PostgreSQL stands by, and takes over when the first is gone. docs/brokers.md says what the broker has to do.
    """
    loaded = flags.load(("metrics",))
    for warning in loaded.warnings:
        output.warning(warning)
    logs.configure(loaded.settings.log_level, loaded.settings.log_format)
    root.run(loaded.settings)
