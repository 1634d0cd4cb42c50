"""Where a broker is reached, as settings say it: `mqtt://HOST:PORT`, or `mqtts://` with TLS."""

import ssl
from pathlib import Path
from typing import NamedTuple

from cli.address import Address
from cli.errors import SettingsError
from cli.settings import Settings


class Relay(NamedTuple):
    """The broker's addresses, those of its standbys among them, and how to be sure of who answers there."""

    addresses: tuple[Address, ...]
    tls: ssl.SSLContext | None
    shown: str


def relay_of(settings: Settings) -> Relay:
    """Raises: SettingsError if there is none, or its certificates cannot be used."""
    if not settings.relay:
        raise SettingsError(
            "relay is not given; expected where the broker listens for MQTT: mqtt://HOST:PORT or mqtts://HOST:PORT"
        )
    addresses = tuple(Address.parse(url.partition("://")[2]) for url in settings.relay)
    secure = settings.relay[0].startswith("mqtts:")
    return Relay(addresses, _context(settings.relay_ca) if secure else None, ", ".join(settings.relay))


def _context(ca: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if ca is None else str(ca))
    except OSError as error:
        why = error.strerror or error
        raise SettingsError(f"relay_ca = '{ca}' cannot be used ({why}); expected a PEM file") from None
