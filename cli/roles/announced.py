"""Where clients are sent to, and how a broker tells others that it is there."""

import os
import secrets
import socket
from collections.abc import Callable

from bridge.backplane.registry import LiveBroker
from broker.server import PabalBroker
from cli import probe
from cli.address import Address
from cli.settings import Settings

_EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 -- looked for


def mqtt_url(settings: Settings, listening: Address) -> str:
    """For clients of MQTT over TCP."""
    return settings.public_mqtt or f"mqtt://{probe.reachable(listening)}"


def ws_url(settings: Settings, listening: Address) -> str:
    """For clients of MQTT over WebSocket."""
    return settings.public_ws or f"ws://{probe.reachable(listening)}/mqtt"


def says(
    settings: Settings, broker: PabalBroker, mqtt: Address, ws: Address
) -> Callable[[], LiveBroker] | None:
    """What this broker says of itself each time; may be called in any thread. None where it does not know by which
    address others find it: then web processes tell what they were told.
    """
    if settings.public_mqtt is None and mqtt.host in _EVERYWHERE:
        return None
    name = f"{socket.gethostname()[:64]}:{os.getpid()}:{secrets.token_hex(4)}"
    tcp, over_ws = mqtt_url(settings, mqtt), ws_url(settings, ws)
    return lambda: LiveBroker(name, tcp, over_ws, broker.metrics.connections)
