"""Every setting of the server: a flag, an environment variable and a key of the TOML file.

What is given as a flag goes before the environment (`PABAL_…`), which goes before the file (`--config FILE` or
PABAL_CONFIG). The table in docs/configuration.md is held against this module by a test.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import BeforeValidator, Field, PlainSerializer, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from bridge.accounts.keys import FILE_NAME as KEYS_FILE
from bridge.backplane import address as redis_address
from bridge.backplane.address import RedisAddress
from bridge.build import READERS
from bridge.decide import SMALL_LIMIT
from bridge.entries import MAX_MEMBERS
from bridge.store.engine import is_sqlite, normal_url, shown
from broker.external import endpoint
from pabal.messages import MAX_PACKET_BYTES

PREFIX = "PABAL_"
ADDRESS = "HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080, with a port from 0 (any free one) to 65535"
MAX_PORT = 65_535
DATABASE_FILE = "pabal.sqlite3"
WITNESS_FILE = "epoch.json"
MIN_SECRET = 16
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


class Address(NamedTuple):
    """Where to listen. Port 0 picks a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def clashes(self, other: "Address") -> bool:
        """Whether two sockets cannot listen on both: the same port, and one address or all of its family."""
        if 0 in (self.port, other.port) or self.port != other.port:
            return False
        hosts = {host.replace("localhost", "127.0.0.1") for host in (self.host, other.host)}
        return (
            len(hosts) == 1
            or ("0.0.0.0" in hosts and not any(":" in host for host in hosts))  # noqa: S104 -- looked for
            or ("::" in hosts and all(":" in host for host in hosts))
        )

    @classmethod
    def parse(cls, value: object) -> Self:
        """Raises: ValueError if this is not HOST:PORT, an IPv6 host in brackets."""
        if isinstance(value, cls):
            return value
        if not isinstance(value, str):
            raise ValueError(ADDRESS)  # noqa: TRY004 -- pydantic answers ValueError, not TypeError
        host, colon, port = value.strip().rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise ValueError(ADDRESS)
        if not (colon and host and port.isascii() and port.isdigit() and int(port) <= MAX_PORT):
            raise ValueError(ADDRESS)
        return cls(host, int(port))


def _on_or_off(value: object) -> object:
    match value:
        case bool():
            return value
        case str() if value.strip().lower() in {"on", "true", "yes", "1"}:
            return True
        case str() if value.strip().lower() in {"off", "false", "no", "0"}:
            return False
    raise ValueError("on or off")


def _address_or_off(value: object) -> object:
    if value is False or (isinstance(value, str) and value.strip().lower() == "off"):
        return None
    return None if value is None else Address.parse(value)


def _address_text(value: Address | None) -> str:
    return "off" if value is None else str(value)


def _listed(value: object) -> object:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _table(value: object) -> object:
    return json.loads(value) if isinstance(value, str) else value


def _named(value: object) -> object:
    if value == "" or (isinstance(value, str) and "\0" in value):
        raise ValueError("a folder has a name")
    return value


def _database(value: object) -> object:
    if value is None:
        return None
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not isinstance(text, str):
        raise ValueError("no database URL")  # noqa: TRY004 -- pydantic answers ValueError, not TypeError
    return normal_url(text)


def _broker_url(value: object) -> object:
    if value is None:
        return None
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not isinstance(text, str):
        raise ValueError(endpoint.EXPECTED)  # noqa: TRY004 -- pydantic answers ValueError, not TypeError
    endpoint.parse(text)
    return text


def _redis(value: object) -> object:
    if value is None:
        return None
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not isinstance(text, str):
        raise ValueError("no URL of Redis")  # noqa: TRY004 -- pydantic answers ValueError, not TypeError
    RedisAddress.parse(text)
    return text


def _revealed(secret: SecretStr | None) -> str | None:
    """Settings are written out for one reader only: the server's own child process, through a pipe."""
    return None if secret is None else secret.get_secret_value()


def _shared_secret(value: object) -> object:
    if value is None:
        return None
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not isinstance(text, str) or len(text) < MIN_SECRET or not text.isprintable():
        raise ValueError("too short")
    return text


def _relays(value: object) -> object:
    urls = _listed(value)
    if not isinstance(urls, list):
        raise ValueError("no list")  # noqa: TRY004 -- pydantic answers ValueError, not TypeError
    kinds = set()
    for url in urls:
        kind, found, address = str(url).partition("://")
        if not found or kind not in {"mqtt", "mqtts"} or not Address.parse(address).port:
            raise ValueError("no URL")
        kinds.add(kind)
    if len(kinds) > 1:
        raise ValueError("of two kinds")
    return urls


AddressField = Annotated[Address, NoDecode, BeforeValidator(Address.parse), PlainSerializer(str)]
OptionalAddress = Annotated[
    Address | None, NoDecode, BeforeValidator(_address_or_off), PlainSerializer(_address_text)
]
OptionalFile = Annotated[Path | None, BeforeValidator(_named)]
Switch = Annotated[bool, BeforeValidator(_on_or_off)]
Origins = Annotated[list[str], NoDecode, BeforeValidator(_listed)]
Relays = Annotated[list[str], NoDecode, BeforeValidator(_relays)]
Plugins = Annotated[dict[str, dict[str, Any]], NoDecode, BeforeValidator(_table)]
Secret = Annotated[SecretStr, PlainSerializer(_revealed)]


def _setting(default: object, help_: str, expected: str, **bounds: Any) -> Any:
    """A field with what a person should know; `expected` is what the refusal of a wrong value says."""
    return Field(default, description=help_, json_schema_extra={"expected": expected}, **bounds)


def _secret_file(name: str) -> Any:
    return _setting(
        None,
        f"A file with {name}, instead of the value itself.",
        "a file that this user can read, and not everybody",
    )


def _number(default: int, help_: str, *, low: int, high: int) -> Any:
    return _setting(default, help_, f"a whole number from {low} to {high}", ge=low, le=high)


class Settings(BaseSettings):
    """All settings, checked. Made by `cli.configuration.load`, which also tells people what is wrong."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True)

    data: Annotated[Path, BeforeValidator(_named)] = _setting(
        Path("pabal-data"), "Folder for the database, the keys and the lock; made if missing.", "a folder"
    )
    mqtt: AddressField = _setting(Address("127.0.0.1", 1883), "Where MQTT over TCP listens.", ADDRESS)
    ws: AddressField = _setting(Address("127.0.0.1", 8083), "Where MQTT over WebSocket listens.", ADDRESS)
    mqtts: OptionalAddress = _setting(None, "Where MQTT over TLS listens; nowhere by default.", ADDRESS)
    wss: OptionalAddress = _setting(
        None, "Where MQTT over WebSocket with TLS listens; nowhere by default.", ADDRESS
    )
    tls_cert: OptionalFile = _setting(
        None,
        "Certificate for mqtts and wss, with those between it and its CA.",
        "a PEM file that can be read",
    )
    tls_key: OptionalFile = _setting(
        None, "Private key of tls_cert, without a password.", "a PEM file that can be read"
    )
    tls_client_ca: OptionalFile = _setting(
        None,
        "CA certificates by which devices may log in with a certificate of theirs.",
        "a PEM file that can be read",
    )
    http: AddressField = _setting(Address("127.0.0.1", 8080), "Where the REST API listens.", ADDRESS)
    metrics: OptionalAddress = _setting(
        Address("127.0.0.1", 9108), "Where Prometheus reads /metrics; off: nowhere.", f"off, or {ADDRESS}"
    )
    web_metrics: OptionalAddress = _setting(
        Address("127.0.0.1", 9109),
        "Where Prometheus reads those of the web process; off: nowhere.",
        f"off, or {ADDRESS}",
    )
    public_mqtt: str | None = _setting(
        None,
        "MQTT address that clients are told, where it is not the one listened on.",
        "mqtt://HOST:PORT or mqtts://HOST:PORT",
        pattern=r"^mqtts?://[^/\s]+$",
    )
    public_ws: str | None = _setting(
        None,
        "WebSocket address that clients are told, likewise.",
        "ws://HOST:PORT/mqtt or wss://HOST:PORT/mqtt",
        pattern=r"^wss?://[^/\s]+/mqtt$",
    )
    database_url: Annotated[Secret | None, BeforeValidator(_database)] = _setting(
        None,
        f"The database; without it, SQLite in the data folder ({DATABASE_FILE}).",
        "sqlite:///PATH or postgresql+psycopg://USER:PASSWORD@HOST/NAME",
    )
    database_url_file: OptionalFile = _secret_file("database_url")
    redis_url: Annotated[Secret | None, BeforeValidator(_redis)] = _setting(
        None,
        "Redis, by which several processes share limits of rate, presence and hints to look (docs/redis.md).",
        redis_address.EXPECTED,
    )
    redis_url_file: OptionalFile = _secret_file("redis_url")
    keys_file: OptionalFile = _setting(
        None,
        "The keys that sign access tokens, the same for all processes; without it, keys.json in the data folder.",
        "a file in a folder",
    )
    relay: Relays = _setting(
        [],
        "The broker that pabal webapi asks, and after a comma those that may take over from it.",
        "mqtt://HOST:PORT or mqtts://HOST:PORT; several of one kind separated by commas",
    )
    relay_ca: OptionalFile = _setting(
        None, "CA certificates for a relay with mqtts; without it, those of the machine.", "a PEM file"
    )
    service_secret: Annotated[Secret | None, BeforeValidator(_shared_secret)] = _setting(
        None,
        "What webapi processes show to the broker; the same for all of them.",
        f"{MIN_SECRET} characters or more, such as of: openssl rand -hex 32",
    )
    service_secret_file: OptionalFile = _secret_file("service_secret")
    service_name: str | None = _setting(
        None,
        "The name of this webapi process at the broker, where that knows it beforehand; by default it is drawn.",
        "web or web-NAME, of up to 32 letters, digits, '-' and '_', another one for each process",
        pattern=r"^web(-[A-Za-z0-9_-]{1,28})?$",
    )
    mqtt_url: Annotated[Secret | None, BeforeValidator(_broker_url)] = _setting(
        None, "Another MQTT broker, for `pabal bridge`.", endpoint.EXPECTED
    )
    mqtt_url_file: OptionalFile = _secret_file("mqtt_url")
    mqtt_ca: OptionalFile = _setting(
        None,
        "CA certificates by which mqtts is trusted; by default those of the system.",
        "a PEM file that can be read",
    )
    mqtt_client_id: str = _setting(
        "pabal-bridge",
        "Client id of the bridge at that broker, the same for the one that stands by.",
        "a client id of 1 to 64 letters, digits, '-' and '_'",
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
    )
    mqtt_hook_secret: Annotated[Secret | None, BeforeValidator(_shared_secret)] = _setting(
        None,
        "What another broker shows to the REST API when it asks who may do what, at /mqtt/…; without it, nobody may ask.",
        f"{MIN_SECRET} characters or more, such as of: openssl rand -hex 32",
    )
    mqtt_hook_secret_file: OptionalFile = _secret_file("mqtt_hook_secret")
    rate_limits: Switch = _setting(True, "Limits of rate; off lifts them all, for benchmarks.", "on or off")
    request_rate: int = _number(50, "Requests a second that one user may make.", low=1, high=1_000_000)
    request_burst: int = _number(200, "Requests that one user may make at once.", low=1, high=1_000_000)
    login_failures_per_minute: int = _number(
        10, "Failed logins a minute, for one user and address.", low=1, high=100_000
    )
    connection_attempts_per_minute: int = _number(
        6_000,
        "MQTT connections that one address may try to make, at once and in a minute.",
        low=1,
        high=1_000_000,
    )
    connections_per_address: int = _number(
        10_000, "MQTT connections that one address may have at the same time.", low=1, high=1_000_000
    )
    connections: int = _number(
        50_000, "MQTT connections that there may be at the same time.", low=1, high=1_000_000
    )
    signups_per_hour: int = _number(60, "New accounts an hour, from one address.", low=1, high=1_000_000)
    access_token_seconds: int = _number(900, "How long an access token is good.", low=10, high=86_400)
    refresh_token_days: int = _number(30, "How long a refresh token is good.", low=1, high=3_650)
    inbox_keep_days: int = _number(30, "Days that updates are kept for devices.", low=1, high=3_650)
    inbox_keep_updates: int = _number(
        10_000, "Updates of one user that are kept for devices.", low=100, high=10_000_000
    )
    audit_keep_days: int = _number(180, "Days that events of the audit log are kept.", low=1, high=3_650)
    push_wait_seconds: int = _number(
        10, "Seconds that a connected device has to acknowledge before a push goes out.", low=0, high=3_600
    )
    push_ttl_seconds: int = _number(
        86_400, "Seconds after which a push is of no use any more.", low=60, high=2_419_200
    )
    push_keep_days: int = _number(
        3, "Days that is kept what became of pushes, for `pabal trace` and dead letters.", low=1, high=365
    )
    small_group_limit: int = _number(
        SMALL_LIMIT,
        "Members up to which a group is small: each inbox gets a copy of every entry. With more it is large.",
        low=2,
        high=500,
    )
    max_group_members: int = _number(MAX_MEMBERS, "Members that a group may have.", low=2, high=1_000_000)
    recall_seconds: int = _number(
        0, "How long one may recall a message of one's own; 0 is for ever.", low=0, high=1_000_000_000
    )
    session_days: int = _number(30, "Days after which an unused MQTT session is gone.", low=1, high=3_650)
    sessions: int = _number(
        100_000, "MQTT sessions that outlive their connections, of all users.", low=1, high=10_000_000
    )
    sessions_per_user: int = _number(1_000, "Such sessions of one user.", low=1, high=1_000_000)
    session_queue_messages: int = _number(
        1_000, "Messages that wait for one MQTT session; the oldest go first.", low=1, high=60_000
    )
    session_queue_bytes: int = _number(1_048_576, "Their bytes, likewise.", low=1_024, high=1_073_741_824)
    sessions_queue_bytes: int = _number(
        268_435_456, "Bytes of what waits for all sessions together.", low=1_024, high=1_099_511_627_776
    )
    retained_messages: int = _number(100_000, "Retained messages of all topics.", low=0, high=10_000_000)
    retained_bytes: int = _number(268_435_456, "Their bytes, of all together.", low=0, high=1_099_511_627_776)
    retained_message_bytes: int = _number(262_144, "And of one.", low=0, high=268_435_455)
    max_packet_bytes: int = _number(
        MAX_PACKET_BYTES, "Largest MQTT packet that is taken.", low=1_024, high=16 * 1024 * 1024
    )
    sys_seconds: int = _number(
        10, "Seconds between two rounds of the $SYS topics; 0: there are none.", low=0, high=3_600
    )
    ws_origins: Origins = _setting(
        [],
        "Web pages' origins that may open a WebSocket; any by default.",
        "origins such as https://chat.example, separated by commas",
    )
    cors_origins: Origins = _setting(
        [],
        "Web pages' origins that may call the REST API; a list, or separated by commas.",
        "origins such as https://chat.example, separated by commas",
    )
    reader_connections: int = _number(
        READERS, "Database connections for reading, of the process that commits.", low=1, high=100
    )
    account_connections: int = _number(
        5, "Database connections for logins, of the process that commits.", low=1, high=100
    )
    web_connections: int = _number(
        16,
        "Database connections of one web process for accounts, and as many again for reading.",
        low=1,
        high=500,
    )
    push: Literal["embedded", "off"] = _setting(
        "embedded",
        "Whether pabal serve sends pushes itself; off: pabal push does, or nobody.",
        "embedded or off",
    )
    push_private_endpoints: Origins = _setting(
        [],
        "Hosts of push endpoints and webhooks that may be at private addresses; * for all; none by default.",
        "names or addresses of hosts, separated by commas, or *",
    )
    push_ca: OptionalFile = _setting(
        None,
        "CA certificates of push services of your own, trusted beside those of the system.",
        "a PEM file of certificates",
    )
    push_webhook_secret: Secret | None = _setting(
        None,
        "What signs webhooks that have no secret of their own.",
        "whsec_ and the base64 of 24 to 64 bytes",
    )
    push_webhook_secret_file: OptionalFile = _secret_file("push_webhook_secret")
    vapid_key_file: OptionalFile = _setting(
        None,
        "The key that browsers subscribe with, the same for all processes; without it, vapid.pem in the data folder.",
        "a file in a folder",
    )
    vapid_subject: str = _setting(
        "mailto:postmaster@localhost",
        "How the push services of browsers reach you; Apple's wants a real one.",
        "mailto:NAME@DOMAIN or https://HOST",
        pattern=r"^(mailto:[^@\s]+@[^@\s]+|https://[^\s/]+\S*)$",
    )
    fcm_service_account: OptionalFile = _setting(
        None,
        "File of the service account that may send through FCM; without it, there is no fcm.",
        "the JSON file of a service account, as Google gives it",
    )
    fcm_url: str = _setting(
        "https://fcm.googleapis.com", "Where FCM is.", "https://HOST or http://HOST", pattern=_BASE_URL
    )
    fcm_token_url: str | None = _setting(
        None,
        "Where Google gives access tokens, if not where the service account says.",
        "https://HOST/PATH or http://HOST/PATH",
        pattern=_BASE_URL,
    )
    apns_key: OptionalFile = _setting(
        None, "The .p8 file of Apple; without it, there is no apns.", "the .p8 file of Apple"
    )
    apns_key_id: str | None = _setting(None, "The key's id.", "10 letters and digits", pattern=_APPLE_ID)
    apns_team_id: str | None = _setting(None, "Your team's id.", "10 letters and digits", pattern=_APPLE_ID)
    apns_topic: str | None = _setting(
        None,
        "The app's bundle id.",
        "a bundle id, such as com.example.chat",
        pattern=r"^[A-Za-z0-9.-]{1,155}$",
    )
    apns_url: str = _setting(
        "https://api.push.apple.com",
        "Where APNs is; https://api.sandbox.push.apple.com for apps in development.",
        "https://HOST",
        pattern=r"^https://[^/\s@]+/?$",
    )
    log_level: Literal["debug", "info", "warning", "error"] = _setting(
        "info", "How much is logged.", "one of debug, info, warning, error"
    )
    log_format: Literal["text", "json"] = _setting("text", "How the log is written.", "text or json")
    trace_rate: int = _number(
        10,
        "Requests a second that are followed in the log, of those that bring a traceparent.",
        low=0,
        high=10_000,
    )
    trace_every: int = _number(
        0,
        "Of the requests that bring none, every so manieth is given one; 0: none.",
        low=0,
        high=1_000_000_000,
    )
    otel_endpoint: str | None = _setting(
        None,
        "Collector of OpenTelemetry that is sent what is followed; needs pabal[otel].",
        "http://HOST:PORT or https://HOST:PORT, of OTLP over HTTP",
        pattern=r"^https?://[^/\s]+(/\S*)?$",
    )
    web_threads: int = _number(96, "Threads that serve the REST API.", low=2, high=1_000)
    web_waits: int = _number(
        64, "Long polls that may wait at the same time; fewer than web_threads.", low=0, high=999
    )
    proxies: int = _number(
        0, "Reverse proxies of yours in front of the REST API that set X-Forwarded-For.", low=0, high=10
    )
    plugins: Plugins = _setting(
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
