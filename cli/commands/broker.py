"""`pabal broker`: the broker and the bridge behind it, or with `--open` a broker alone."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from broker.open_mode import is_loopback
from cli import broker_root, logs, open_broker, output
from cli.address import EXPECTED as ADDRESS
from cli.address import Address
from cli.errors import UsageError
from cli.flags import BROKER, Flags, with_settings
from pabal import topics

_LISTENERS = ("mqtt", "ws", "mqtts", "wss")
# All that an open broker can be told.
_OPEN = frozenset({*_LISTENERS, "tls_cert", "tls_key", "data"})


@with_settings(*BROKER)
def broker(
    flags: Flags,
    *,
    open_: Annotated[
        bool, typer.Option("--open", help="No login and no topic rules; loopback addresses only.")
    ] = False,
    deny: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILTER", help="With --open: refuse subscriptions to this filter; may be repeated."
        ),
    ] = None,
) -> None:
    """Run the MQTT broker, and the bridge to the database behind it.

    The REST API is for pabal webapi, which needs the same service_secret. On PostgreSQL a second one stands by.
    With --open it is a broker alone, for conformance suites and benchmarks.
    """
    if open_:
        _run_open(flags, deny or [])
        return
    if deny:
        raise UsageError("--deny goes with --open: with logins there are topic rules")
    loaded = flags.load((*_LISTENERS, "metrics"))
    for warning in loaded.warnings:
        output.warning(warning)
    logs.configure(loaded.settings.log_level, loaded.settings.log_format)
    broker_root.run(loaded.settings)


def _run_open(flags: Flags, deny: list[str]) -> None:
    """Takes flags alone. Raises: UsageError."""
    given = {name: value for name, value in flags.given.items() if value is not None}
    for name in given:
        if name not in _OPEN:
            raise UsageError(f"--{name.replace('_', '-')} does not go with --open; leave it out")
    if "mqtt" not in given:
        raise UsageError("--open wants --mqtt; expected HOST:PORT on this machine, such as 127.0.0.1:1883")
    for denied in deny:
        if not topics.is_valid_filter(denied):
            raise UsageError(
                f"--deny = {denied!r} is not right; expected an MQTT topic filter, such as a/# or a/+/c"
            )
    addresses = _addresses(given)
    cert, key, data = (
        Path(given[name]) if name in given else None for name in ("tls_cert", "tls_key", "data")
    )
    if ("mqtts" in given or "wss" in given) and (cert is None or key is None):
        raise UsageError("--mqtts and --wss want --tls-cert and --tls-key; expected a PEM file for each")
    open_broker.run(addresses, deny, cert, key, data)


def _addresses(given: Mapping[str, str]) -> dict[str, Address]:
    """Raises: UsageError."""
    addresses = {name: _loopback(f"--{name}", given[name]) for name in _LISTENERS if name in given}
    for (name, address), (other, its) in itertools.combinations(addresses.items(), 2):
        if address.clashes(its):
            raise UsageError(
                f"--{name} = {address} and --{other} = {its} are the same port; expected one port for each"
            )
    return addresses


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
