"""Every setting of the server: a flag, an environment variable and a key of the TOML file.

What is given as a flag goes before the environment (`PABAL_…`), which goes before the file (`--config FILE` or
PABAL_CONFIG). The table in docs/configuration.md is held against this module by a test.
"""

from pathlib import Path
from typing import Literal

from pydantic_settings import BaseSettings, SettingsConfigDict

from bridge.accounts.keys import FILE_NAME as KEYS_FILE
from bridge.backplane import address as redis_address
from bridge.backplane.address import RedisAddress
from bridge.build import READERS
from bridge.decide import SMALL_LIMIT
from bridge.entries import MAX_MEMBERS
from bridge.store.engine import is_sqlite, shown
from broker.external import endpoint
from cli import address
from cli.address import Address
from cli.setting_types import (
    MIN_SECRET,
    BrokerUrl,
    DatabaseUrl,
    Folder,
    Listening,
    OptionalFile,
    OptionalListening,
    Origins,
    Plugins,
    RedisUrl,
    Relays,
    Secret,
    SharedSecret,
    Switch,
    number,
    secret_file,
    setting,
)
from pabal.messages import MAX_PACKET_BYTES

PREFIX = "PABAL_"
DATABASE_FILE = "pabal.sqlite3"
WITNESS_FILE = "epoch.json"
FILE_SUFFIX = "_file"
# Each of them may stand in a file that a setting of this name and `_file` names.
SECRETS = (
    "database_url",
    "redis_url",
    "service_secret",
    "mqtt_url",
    "mqtt_hook_secret",
    "push_webhook_secret",
)
_BASE_URL = r"^https?://[^/\s@]+\S*$"
_APPLE_ID = r"^[A-Z0-9]{10}$"


class Settings(BaseSettings):
    """All settings, checked. Made by `cli.configuration.load`, which also tells people what is wrong."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True)

    data: Folder = setting(
        Path("pabal-data"), "Folder for the database, the keys and the lock; made if missing.", "a folder"
    )
    mqtt: Listening = setting(Address("127.0.0.1", 1883), "Where MQTT over TCP listens.", address.EXPECTED)
    ws: Listening = setting(
        Address("127.0.0.1", 8083), "Where MQTT over WebSocket listens.", address.EXPECTED
    )
    mqtts: OptionalListening = setting(
        None, "Where MQTT over TLS listens; nowhere by default.", address.EXPECTED
    )
    wss: OptionalListening = setting(
        None, "Where MQTT over WebSocket with TLS listens; nowhere by default.", address.EXPECTED
    )
    tls_cert: OptionalFile = setting(
        None,
        "Certificate for mqtts and wss, with those between it and its CA.",
        "a PEM file that can be read",
    )
    tls_key: OptionalFile = setting(
        None, "Private key of tls_cert, without a password.", "a PEM file that can be read"
    )
    tls_client_ca: OptionalFile = setting(
        None,
        "CA certificates by which devices may log in with a certificate of theirs.",
        "a PEM file that can be read",
    )
    http: Listening = setting(Address("127.0.0.1", 8080), "Where the REST API listens.", address.EXPECTED)
    metrics: OptionalListening = setting(
        Address("127.0.0.1", 9108),
        "Where Prometheus reads /metrics; off: nowhere.",
        f"off, or {address.EXPECTED}",
    )
    web_metrics: OptionalListening = setting(
        Address("127.0.0.1", 9109),
        "Where Prometheus reads those of the web process; off: nowhere.",
        f"off, or {address.EXPECTED}",
    )
    public_mqtt: str | None = setting(
        None,
        "MQTT address that clients are told, where it is not the one listened on.",
        "mqtt://HOST:PORT or mqtts://HOST:PORT",
        pattern=r"^mqtts?://[^/\s]+$",
    )
    public_ws: str | None = setting(
        None,
        "WebSocket address that clients are told, likewise.",
        "ws://HOST:PORT/mqtt or wss://HOST:PORT/mqtt",
        pattern=r"^wss?://[^/\s]+/mqtt$",
    )
    database_url: DatabaseUrl = setting(
        None,
        f"The database; without it, SQLite in the data folder ({DATABASE_FILE}).",
        "sqlite:///PATH or postgresql+psycopg://USER:PASSWORD@HOST/NAME",
    )
    database_url_file: OptionalFile = secret_file("database_url")
    redis_url: RedisUrl = setting(
        None,
        "Redis, by which several processes share limits of rate, presence and hints to look (docs/redis.md).",
        redis_address.EXPECTED,
    )
    redis_url_file: OptionalFile = secret_file("redis_url")
    keys_file: OptionalFile = setting(
        None,
        "The keys that sign access tokens, the same for all processes; without it, keys.json in the data folder.",
        "a file in a folder",
    )
    relay: Relays = setting(
        [],
        "The broker that pabal webapi asks, and after a comma those that may take over from it.",
        "mqtt://HOST:PORT or mqtts://HOST:PORT; several of one kind separated by commas",
    )
    relay_ca: OptionalFile = setting(
        None, "CA certificates for a relay with mqtts; without it, those of the machine.", "a PEM file"
    )
    service_secret: SharedSecret = setting(
        None,
        "What webapi processes show to the broker; the same for all of them.",
        f"{MIN_SECRET} characters or more, such as of: openssl rand -hex 32",
    )
    service_secret_file: OptionalFile = secret_file("service_secret")
    service_name: str | None = setting(
        None,
        "The name of this webapi process at the broker, where that knows it beforehand; by default it is drawn.",
        "web or web-NAME, of up to 32 letters, digits, '-' and '_', another one for each process",
        pattern=r"^web(-[A-Za-z0-9_-]{1,28})?$",
    )
    mqtt_url: BrokerUrl = setting(None, "Another MQTT broker, for `pabal bridge`.", endpoint.EXPECTED)
    mqtt_url_file: OptionalFile = secret_file("mqtt_url")
    mqtt_ca: OptionalFile = setting(
        None,
        "CA certificates by which mqtts is trusted; by default those of the system.",
        "a PEM file that can be read",
    )
    mqtt_client_id: str = setting(
        "pabal-bridge",
        "Client id of the bridge at that broker, the same for the one that stands by.",
        "a client id of 1 to 64 letters, digits, '-' and '_'",
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
    )
    mqtt_hook_secret: SharedSecret = setting(
        None,
        "What another broker shows to the REST API when it asks who may do what, at /mqtt/…; without it, nobody may ask.",
        f"{MIN_SECRET} characters or more, such as of: openssl rand -hex 32",
    )
    mqtt_hook_secret_file: OptionalFile = secret_file("mqtt_hook_secret")
    rate_limits: Switch = setting(True, "Limits of rate; off lifts them all, for benchmarks.", "on or off")
    request_rate: int = number(
        50,
        "Requests a second that one user may make, and one address over HTTP before a login.",
        low=1,
        high=1_000_000,
    )
    request_burst: int = number(200, "Requests that one user may make at once.", low=1, high=1_000_000)
    login_failures_per_minute: int = number(
        10, "Failed logins a minute, for one user and address.", low=1, high=100_000
    )
    connection_attempts_per_minute: int = number(
        6_000,
        "MQTT connections that one address may try to make, at once and in a minute.",
        low=1,
        high=1_000_000,
    )
    connections_per_address: int = number(
        10_000, "MQTT connections that one address may have at the same time.", low=1, high=1_000_000
    )
    connections: int = number(
        50_000, "MQTT connections that there may be at the same time.", low=1, high=1_000_000
    )
    signups_per_hour: int = number(60, "New accounts an hour, from one address.", low=1, high=1_000_000)
    access_token_seconds: int = number(900, "How long an access token is good.", low=10, high=86_400)
    refresh_token_days: int = number(30, "How long a refresh token is good.", low=1, high=3_650)
    inbox_keep_days: int = number(30, "Days that updates are kept for devices.", low=1, high=3_650)
    inbox_keep_updates: int = number(
        10_000, "Updates of one user that are kept for devices.", low=100, high=10_000_000
    )
    audit_keep_days: int = number(180, "Days that events of the audit log are kept.", low=1, high=3_650)
    push_wait_seconds: int = number(
        10, "Seconds that a connected device has to acknowledge before a push goes out.", low=0, high=3_600
    )
    push_ttl_seconds: int = number(
        86_400, "Seconds after which a push is of no use any more.", low=60, high=2_419_200
    )
    push_keep_days: int = number(
        3, "Days that is kept what became of pushes, for `pabal trace` and dead letters.", low=1, high=365
    )
    small_group_limit: int = number(
        SMALL_LIMIT,
        "Members up to which a group is small: each inbox gets a copy of every entry. With more it is large.",
        low=2,
        high=500,
    )
    max_group_members: int = number(MAX_MEMBERS, "Members that a group may have.", low=2, high=1_000_000)
    recall_seconds: int = number(
        0, "How long one may recall a message of one's own; 0 is for ever.", low=0, high=1_000_000_000
    )
    session_days: int = number(30, "Days after which an unused MQTT session is gone.", low=1, high=3_650)
    sessions: int = number(
        100_000, "MQTT sessions that outlive their connections, of all users.", low=1, high=10_000_000
    )
    sessions_per_user: int = number(1_000, "Such sessions of one user.", low=1, high=1_000_000)
    session_queue_messages: int = number(
        1_000, "Messages that wait for one MQTT session; the oldest go first.", low=1, high=60_000
    )
    session_queue_bytes: int = number(1_048_576, "Their bytes, likewise.", low=1_024, high=1_073_741_824)
    sessions_queue_bytes: int = number(
        268_435_456, "Bytes of what waits for all sessions together.", low=1_024, high=1_099_511_627_776
    )
    retained_messages: int = number(100_000, "Retained messages of all topics.", low=0, high=10_000_000)
    retained_bytes: int = number(268_435_456, "Their bytes, of all together.", low=0, high=1_099_511_627_776)
    retained_message_bytes: int = number(262_144, "And of one.", low=0, high=268_435_455)
    max_packet_bytes: int = number(
        MAX_PACKET_BYTES, "Largest MQTT packet that is taken.", low=1_024, high=16 * 1024 * 1024
    )
    sys_seconds: int = number(
        10, "Seconds between two rounds of the $SYS topics; 0: there are none.", low=0, high=3_600
    )
    ws_origins: Origins = setting(
        [],
        "Web pages' origins that may open a WebSocket; any by default.",
        "origins such as https://chat.example, separated by commas",
    )
    cors_origins: Origins = setting(
        [],
        "Web pages' origins that may call the REST API; a list, or separated by commas.",
        "origins such as https://chat.example, separated by commas",
    )
    reader_connections: int = number(
        READERS, "Database connections for reading, of the process that commits.", low=1, high=100
    )
    account_connections: int = number(
        5, "Database connections for logins, of the process that commits.", low=1, high=100
    )
    web_connections: int = number(
        16,
        "Database connections of one web process for accounts, and as many again for reading.",
        low=1,
        high=500,
    )
    push: Literal["embedded", "off"] = setting(
        "embedded",
        "Whether the process that commits sends pushes too; off: pabal push does alone, or nobody.",
        "embedded or off",
    )
    push_private_endpoints: Origins = setting(
        [],
        "Hosts of push endpoints and webhooks that may be at private addresses; * for all; none by default.",
        "names or addresses of hosts, separated by commas, or *",
    )
    push_ca: OptionalFile = setting(
        None,
        "CA certificates of push services of your own, trusted beside those of the system.",
        "a PEM file of certificates",
    )
    push_webhook_secret: Secret | None = setting(
        None,
        "What signs webhooks that have no secret of their own.",
        "whsec_ and the base64 of 24 to 64 bytes",
    )
    push_webhook_secret_file: OptionalFile = secret_file("push_webhook_secret")
    vapid_key_file: OptionalFile = setting(
        None,
        "The key that browsers subscribe with, the same for all processes; without it, vapid.pem in the data folder.",
        "a file in a folder",
    )
    vapid_subject: str = setting(
        "mailto:postmaster@localhost",
        "How the push services of browsers reach you; Apple's wants a real one.",
        "mailto:NAME@DOMAIN or https://HOST",
        pattern=r"^(mailto:[^@\s]+@[^@\s]+|https://[^\s/]+\S*)$",
    )
    fcm_service_account: OptionalFile = setting(
        None,
        "File of the service account that may send through FCM; without it, there is no fcm.",
        "the JSON file of a service account, as Google gives it",
    )
    fcm_url: str = setting(
        "https://fcm.googleapis.com", "Where FCM is.", "https://HOST or http://HOST", pattern=_BASE_URL
    )
    fcm_token_url: str | None = setting(
        None,
        "Where Google gives access tokens, if not where the service account says.",
        "https://HOST/PATH or http://HOST/PATH",
        pattern=_BASE_URL,
    )
    apns_key: OptionalFile = setting(
        None, "The .p8 file of Apple; without it, there is no apns.", "the .p8 file of Apple"
    )
    apns_key_id: str | None = setting(None, "The key's id.", "10 letters and digits", pattern=_APPLE_ID)
    apns_team_id: str | None = setting(None, "Your team's id.", "10 letters and digits", pattern=_APPLE_ID)
    apns_topic: str | None = setting(
        None,
        "The app's bundle id.",
        "a bundle id, such as com.example.chat",
        pattern=r"^[A-Za-z0-9.-]{1,155}$",
    )
    apns_url: str = setting(
        "https://api.push.apple.com",
        "Where APNs is; https://api.sandbox.push.apple.com for apps in development.",
        "https://HOST",
        pattern=r"^https://[^/\s@]+/?$",
    )
    log_level: Literal["debug", "info", "warning", "error"] = setting(
        "info", "How much is logged.", "one of debug, info, warning, error"
    )
    log_format: Literal["text", "json"] = setting("text", "How the log is written.", "text or json")
    trace_rate: int = number(
        10,
        "Requests a second that are followed in the log, of those that bring a traceparent.",
        low=0,
        high=10_000,
    )
    trace_every: int = number(
        0,
        "Of the requests that bring none, every so manieth is given one; 0: none.",
        low=0,
        high=1_000_000_000,
    )
    otel_endpoint: str | None = setting(
        None,
        "Collector of OpenTelemetry that is sent what is followed; needs pabal[otel].",
        "http://HOST:PORT or https://HOST:PORT, of OTLP over HTTP",
        pattern=r"^https?://[^/\s]+(/\S*)?$",
    )
    web_threads: int = number(96, "Threads that serve the REST API.", low=2, high=1_000)
    web_waits: int = number(
        64, "Long polls that may wait at the same time; fewer than web_threads.", low=0, high=999
    )
    proxies: int = number(
        0, "Reverse proxies of yours in front of the REST API that set X-Forwarded-For.", low=0, high=10
    )
    plugins: Plugins = setting(
        {},
        "amqtt plugins of your own, by class path, with their options.",
        "a table of class paths, each with a table of options (in a flag or variable: as JSON)",
    )

    @property
    def url(self) -> str:
        """The database that is used, as a SQLAlchemy URL."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data / DATABASE_FILE}"

    @property
    def redis(self) -> RedisAddress | None:
        """None: there is none."""
        return None if self.redis_url is None else RedisAddress.parse(self.redis_url.get_secret_value())

    @property
    def is_sqlite(self) -> bool:
        return is_sqlite(self.url)

    @property
    def database_file(self) -> Path:
        """Of SQLite."""
        return Path(self.url.removeprefix("sqlite:///").partition("?")[0])

    @property
    def database_shown(self) -> str:
        """The database as people may see it: SQLite's file, or PostgreSQL's URL without what is secret."""
        return str(self.database_file) if self.is_sqlite else shown(self.url)

    @property
    def keys(self) -> Path:
        """The file with the keys that sign access tokens."""
        return self.keys_file or self.data / KEYS_FILE

    @property
    def witness(self) -> Path:
        """The file that remembers what was seen of the database."""
        return self.data / WITNESS_FILE
