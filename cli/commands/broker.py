"""`pabal broker`: the MQTT broker alone."""

import itertools
from pathlib import Path
from typing import Annotated

import typer

from broker.open_mode import is_loopback
from cli import open_broker
from cli.errors import UsageError
from cli.settings import ADDRESS, Address
from pabal import topics


def broker(
    *,
    mqtt: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where MQTT over TCP listens.")],
    ws: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Where MQTT over WebSocket listens.")
    ] = None,
    open_: Annotated[
        bool, typer.Option("--open", help="No login and no topic rules; loopback addresses only.")
    ] = False,
    mqtts: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Where MQTT over TLS listens.")
    ] = None,
    wss: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Where MQTT over WebSocket with TLS listens.")
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Certificate for --mqtts and --wss.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="Private key of --tls-cert.")] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep sessions and retained messages there, not in memory."),
    ] = None,
    deny: Annotated[
        list[str] | None,
        typer.Option(metavar="FILTER", help="Refuse subscriptions to this filter; may be repeated."),
    ] = None,
) -> None:
    """Run the MQTT broker alone.

    For conformance suites and benchmarks.
    """
    if not open_:
        raise UsageError(
            "a broker with logins but without the rest is not available yet; add --open, or use pabal serve"
        )
    for denied in deny or []:
        if not topics.is_valid_filter(denied):
            raise UsageError(
                f"--deny = {denied!r} is not right; expected an MQTT topic filter, such as a/# or a/+/c"
            )
    flags = {"mqtt": mqtt, "ws": ws, "mqtts": mqtts, "wss": wss}
    addresses = {name: _loopback(f"--{name}", text) for name, text in flags.items() if text is not None}
    for (name, address), (other, its) in itertools.combinations(addresses.items(), 2):
        if address.clashes(its):
            raise UsageError(
                f"--{name} = {address} and --{other} = {its} are the same port; expected one port for each"
            )
    if (mqtts or wss) and (tls_cert is None or tls_key is None):
        raise UsageError("--mqtts and --wss want --tls-cert and --tls-key; expected a PEM file for each")
    open_broker.run(addresses, deny or [], tls_cert, tls_key, data)


def _loopback(flag: str, text: str) -> Address:
    try:
        address = Address.parse(text)
    except ValueError:
        raise UsageError(f"{flag} = {text!r} is not right; expected {ADDRESS}") from None
    if not is_loopback(str(address)):
        raise UsageError(
            f"{flag} = {text!r} is not a loopback address; an open broker takes anybody, so expected "
            f"127.0.0.1:{address.port}, [::1]:{address.port} or localhost:{address.port}"
        )
    return address
