"""What webapi is told at its start. Durations are seconds."""

from dataclasses import dataclass, field

from pabal.messages import MAX_PACKET_BYTES
from webapi.mqtt_gate import Insiders


@dataclass(frozen=True, slots=True)
class BrokerEndpoint:
    """Where devices connect: URLs such as `mqtt://chat.example:1883` and `wss://chat.example/mqtt`.

    None: that way is not open.
    """

    tcp: str | None
    ws: str | None


@dataclass(frozen=True, slots=True)
class PushOffer:
    """What clients are told of pushes: the services by name, and the public half of the VAPID key."""

    services: tuple[str, ...] = ()
    vapid_key: str | None = None


@dataclass(frozen=True, slots=True)
class WebSettings:
    """Every limit of the HTTP side."""

    brokers: tuple[BrokerEndpoint, ...]
    """Least loaded first; a login is sent to the first. Where others are known to be there, those are told instead."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose scripts may call; `*` for all. None by default."""
    rate_limits: bool = True
    requests_per_s: float = 50.0
    """Of one user."""
    request_burst: int = 200
    failed_logins_per_minute: int = 10
    """Of one user from one address."""
    sign_ups_per_hour: int = 60
    """From one address."""
    max_body_bytes: int = MAX_PACKET_BYTES
    max_waits: int = 64
    """Long polls at once; keep it below the number of threads."""
    wake_interval_s: float = 0.2
    mqtt_hook_secret: str | None = field(default=None, repr=False)
    """What another broker shows at `/mqtt/…`; None: there are no such paths."""
    insiders: Insiders = field(default_factory=Insiders)
    """Who else than devices may come into that broker."""
    proxies: int = 0
    """How many reverse proxies of ours stand in front and set X-Forwarded-For."""
    push: PushOffer = PushOffer()


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """How the web server runs. Greatest number of requests at once is `threads`.

    A request gets a thread when all of it is there; until then it costs a connection and the bytes that came.
    """

    threads: int = 96
    graceful_timeout_s: int = 10
    keepalive_s: int = 5
    connections: int = 1000
    """At once; more wait until one is closed. Each is a file descriptor, and at most a head and a body."""
    connections_per_address: int = 256
    """Of one IPv4 address or one IPv6 /64; more are told `unavailable`. Far more than a host of browsers needs, and
    too few to take all. Behind a reverse proxy all clients are one address: then set it to `connections`."""
    head_timeout_s: float = 10.0
    """From the first byte of a request (or from the connection) to the end of its head, however it trickles."""
    body_timeout_s: float = 30.0
    """From there to the end of the body."""
    answer_timeout_s: float = 30.0
    """For sending an answer to somebody who reads slowly; a thread waits only if it is larger than the buffers."""
    linger_s: float = 2.0
    """How long a connection that was closed is read from, so that what was in flight does not destroy the answer."""
