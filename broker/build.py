"""From plain arguments to a broker: amqtt's configuration with our listeners and plugins in it.

The composition root calls `build_broker` (or `broker.open_mode.build_open_broker`), awaits `start()`, reads
`bound` and at the end awaits `shutdown()`:

    broker = build_broker(mqtt="127.0.0.1:1883", ws="127.0.0.1:8083", authenticator=accounts, services={})
    broker.inbound = relay          # the relay needs the broker as its Outbound, so one of them comes later
    await broker.start()            # OSError names the address that is in use
    host, port = broker.bound[MQTT_LISTENER]
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amqtt.contexts import BrokerConfig, ListenerConfig, ListenerType
from amqtt.errors import PluginError, PluginLoadError

from bridge.ports import (
    Authenticator,
    Directory,
    Inbound,
    InboxReader,
    Presence,
    QueueStore,
    SessionStore,
)
from broker.server import PabalBroker
from broker.settings import BrokerSettings
from broker.tls import context_of

# amqtt wants a listener of this name; ours for MQTT over TCP is it.
MQTT_LISTENER = "default"
WS_LISTENER = "ws"
MQTTS_LISTENER = "mqtts"
WSS_LISTENER = "wss"

LOGIN_PLUGIN = "broker.plugins.login.LoginPlugin"
RULES_PLUGIN = "broker.plugins.rules.RulesPlugin"


@dataclass(frozen=True, slots=True)
class TlsListeners:
    """Where to listen with TLS, and what to show there.

    Attributes:
        mqtts, wss: `HOST:PORT`, or None.
        cert, key: PEM files: the certificate with those between it and its CA, and its private key.
        client_ca: a PEM file with the CAs of client certificates; None: clients are not asked for any.
    """

    mqtts: str | None
    wss: str | None
    cert: Path
    key: Path
    client_ca: Path | None = None

    def check(self) -> None:
        """Raises: broker.tls.BadCertificate for files that cannot be used."""
        for listener in listeners("", None, self).values():
            if listener.ssl:
                context_of(listener)


def build_broker(
    *,
    mqtt: str,
    ws: str | None,
    authenticator: Authenticator,
    services: Mapping[str, str] | None = None,
    directory: Directory | None = None,
    inbound: Inbound | None = None,
    inbox: InboxReader | None = None,
    store: SessionStore | None = None,
    queues: QueueStore | None = None,
    presence: Presence | None = None,
    settings: BrokerSettings | None = None,
    plugins: Mapping[str, Mapping[str, Any]] | None = None,
    tls: TlsListeners | None = None,
) -> PabalBroker:
    """A broker with our login and topic rules, not yet started. To be called in its event loop.

    Args:
        mqtt, ws: `HOST:PORT` to listen on, port 0 for a free one; `ws` None: no WebSocket.
        authenticator: who checks the credentials of devices.
        services: secrets of the server's own parts by name; an instance may have `-` and more behind that.
        directory: what the topic rules ask about rooms and who sees whom.
        presence: whom to tell of connections.
        inbound: may be assigned to `broker.inbound` until `start()`.
        plugins: a user's own amqtt plugins, dotted class path to its configuration.
        tls: listeners with TLS, besides.

    Raises: amqtt.errors.PluginError (or a subclass) if a plugin does not load; FileNotFoundError for a
        certificate that is not there.
    """
    config = BrokerConfig(
        listeners=listeners(mqtt, ws, tls),
        plugins={
            LOGIN_PLUGIN: {"authenticator": authenticator, "services": dict(services or {})},
            RULES_PLUGIN: {"directory": directory},
            **{path: dict(options) for path, options in (plugins or {}).items()},
        },
    )
    try:
        return PabalBroker(
            config,
            inbound=inbound,
            inbox=inbox,
            store=store,
            queues=queues,
            presence=presence,
            directory=directory,
            settings=settings,
        )
    except PluginLoadError as error:
        # amqtt's class of its own, without a word of what is wrong.
        raise PluginError(str(error.__cause__ or error)) from error


def listeners(mqtt: str, ws: str | None, tls: TlsListeners | None = None) -> dict[str, ListenerConfig]:
    """The listeners of amqtt's configuration. Raises: FileNotFoundError for a file that is not there."""
    ours = {MQTT_LISTENER: ListenerConfig(type=ListenerType.TCP, bind=mqtt)}
    if ws is not None:
        ours[WS_LISTENER] = ListenerConfig(type=ListenerType.WS, bind=ws)
    if tls is not None:
        for name, kind, bind in (
            (MQTTS_LISTENER, ListenerType.TCP, tls.mqtts),
            (WSS_LISTENER, ListenerType.WS, tls.wss),
        ):
            if bind is not None:
                ours[name] = ListenerConfig(
                    type=kind, bind=bind, ssl=True, certfile=tls.cert, keyfile=tls.key, cafile=tls.client_ca
                )
    return ours
