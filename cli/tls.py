"""The listeners with TLS, from the settings."""

from pathlib import Path

from broker.build import MQTT_LISTENER, MQTTS_LISTENER, WS_LISTENER, WSS_LISTENER, TlsListeners
from broker.tls import BadCertificate
from cli.address import Address
from cli.errors import SettingsError
from cli.settings import Settings

# What a person calls the broker's listeners, in the order of the ready line.
LISTENERS = (("mqtt", MQTT_LISTENER), ("ws", WS_LISTENER), ("mqtts", MQTTS_LISTENER), ("wss", WSS_LISTENER))


def listeners(settings: Settings) -> TlsListeners | None:
    """None if there are none; `cli.configuration` has looked whether their files are there."""
    return given(settings.mqtts, settings.wss, settings.tls_cert, settings.tls_key, settings.tls_client_ca)


def given(
    mqtts: Address | None, wss: Address | None, cert: Path | None, key: Path | None, client_ca: Path | None
) -> TlsListeners | None:
    """The same from single values."""
    if cert is None or key is None or (mqtts is None and wss is None):
        return None
    return TlsListeners(
        None if mqtts is None else str(mqtts), None if wss is None else str(wss), cert, key, client_ca
    )


def check(made: TlsListeners | None) -> None:
    """Raises: SettingsError if a certificate or key cannot be used."""
    if made is None:
        return
    try:
        made.check()
    except (BadCertificate, OSError) as error:
        raise SettingsError(f"tls_cert, tls_key or tls_client_ca is not right: {error}") from None
