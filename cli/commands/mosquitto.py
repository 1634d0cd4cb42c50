"""`pabal mosquitto-config`: a configuration for a mosquitto that nothing is added to."""

import json
import os
import secrets
from pathlib import Path
from typing import Annotated, Any

import typer

from bridge.accounts.service import Accounts
from cli import database, output
from cli.address import EXPECTED as ADDRESS
from cli.address import Address
from cli.errors import CliError, UsageError
from cli.flags import DATABASE, Flags, with_settings
from cli.mosquitto import conf, dynsec
from pabal.errors import BadRequest
from pabal.ids import DeviceId, UserId, parse_device, parse_user

_SECURITY = "dynamic-security.json"
_CONFIG = "mosquitto.conf"
_URL = "mqtt-url"
_SERVICE = "service-secret"
_SECRET_BYTES = 32
_SALT_BYTES = 12


@with_settings(*DATABASE)
def mosquitto_config(
    flags: Flags,
    *,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the files; made if missing.")],
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where mosquitto is to listen.")
    ] = "127.0.0.1:1883",
    device: Annotated[
        list[str] | None,
        typer.Option(metavar="USER:DEVICE", help="A device to let in, with a new secret; may be repeated."),
    ] = None,
    webapis: Annotated[int, typer.Option(min=1, max=100, help="How many pabal webapi there are.")] = 1,
    folder: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where mosquitto sees that folder, if elsewhere.")
    ] = None,
) -> None:
    """Write a configuration for mosquitto, with its dynamic security.

    Called again it keeps the secrets that are there, adds devices and leaves out those that are gone. A new secret is printed once. mosquitto reads it at its next start. docs/brokers.md says what this gives and what not.
    """
    settings = flags.load(()).settings
    address = _address(listen)
    wanted = [_parsed(one) for one in device or []]
    database.require_existing(settings)
    _make(out)
    old = _old(out / _SECURITY)
    with database.accounts(settings) as accounts:
        made, devices = _devices(accounts, old, wanted)
    bridge, service = _kept(out / _URL), _kept(out / _SERVICE)
    bridge_secret = secrets.token_urlsafe(_SECRET_BYTES) if bridge is None else _password_of(bridge)
    service_secret = service or secrets.token_urlsafe(_SECRET_BYTES)
    document = dynsec.document(
        bridge=_hashed(bridge_secret),
        services=[(f"web-{number}", _hashed(service_secret)) for number in range(1, webapis + 1)],
        devices=devices,
    )
    seen = (folder or out).absolute()
    _write(out / _SECURITY, json.dumps(document, indent=2) + "\n")
    _write(out / _CONFIG, conf.text(seen, address, conf.plugin()))
    _write(out / _URL, f"mqtt://bridge:{bridge_secret}@{address}\n")
    _write(out / _SERVICE, f"{service_secret}\n")
    for name, secret in made:
        output.line(f"{name} {secret}")
    output.note(f"mosquitto -c {seen / _CONFIG}")
    output.note(f"pabal bridge --mqtt-url-file {out / _URL}")
    output.note(
        f"pabal webapi --relay mqtt://{address} --service-name web-1 --service-secret-file {out / _SERVICE}"
    )


def _devices(
    accounts: Accounts, old: dict[str, Any], wanted: list[tuple[UserId, DeviceId]]
) -> tuple[list[tuple[str, str]], list[dynsec.DeviceAccess]]:
    """New secrets by name, and all devices that are let in: those of before that are there still, and those wanted."""
    made: list[tuple[str, str]] = []
    found: list[dynsec.DeviceAccess] = []
    new = set(wanted)
    before = [one for one in _named(old) if one not in new]
    for user, name in before:
        kept = dynsec.secret_in(old, f"{user}:{name}")
        allow = accounts.secret_rights(user, name)
        if kept is not None and allow is not None:
            found.append(dynsec.DeviceAccess(user, name, allow, kept))
    for user, name in dict.fromkeys(wanted):
        device = accounts.renew_secret(user, name)
        made.append((f"{user}:{name}", device.secret))
        found.append(dynsec.DeviceAccess(user, name, device.allow, _hashed(device.secret)))
    return made, found


def _named(old: dict[str, Any]) -> list[tuple[UserId, DeviceId]]:
    clients = old.get("clients")
    found = []
    for client in clients if isinstance(clients, list) else []:
        name = client.get("username") if isinstance(client, dict) else None
        user, colon, device = str(name).partition(":")
        if colon and user != "svc":
            try:
                found.append((parse_user(user), parse_device(device)))
            except BadRequest:
                continue
    return found


def _parsed(name: str) -> tuple[UserId, DeviceId]:
    """Raises: UsageError."""
    user, _, device = name.partition(":")
    try:
        return parse_user(user), parse_device(device)
    except BadRequest as error:
        raise UsageError(f"--device = {name!r} is not right ({error.detail}); expected USER:DEVICE") from None


def _address(listen: str) -> Address:
    """Raises: UsageError."""
    try:
        address = Address.parse(listen)
    except ValueError:
        raise UsageError(f"--listen = {listen!r} is not right; expected {ADDRESS}") from None
    if not address.port:
        raise UsageError(f"--listen = {listen!r} is not right; expected a port that others can be told")
    return address


def _hashed(secret: str) -> dynsec.Hashed:
    return dynsec.hashed(secret, secrets.token_bytes(_SALT_BYTES))


def _make(out: Path) -> None:
    """Raises: CliError."""
    try:
        out.mkdir(mode=0o700, parents=True, exist_ok=True)
        (out / "state").mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise CliError(f"--out = {str(out)!r} cannot be made ({error.strerror})") from None


def _old(file: Path) -> dict[str, Any]:
    """Raises: CliError for a file that is there and cannot be read: its secrets would be lost."""
    kept = _kept(file)
    if kept is None:
        return {}
    try:
        read = json.loads(kept)
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise CliError(
            f"{file} is no JSON object", "move it away to begin anew, with new secrets for all devices"
        )
    return read


def _kept(file: Path) -> str | None:
    """Raises: CliError."""
    try:
        return file.read_text().strip() if file.exists() else None
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"{file} cannot be read ({error})") from None


def _password_of(url: str) -> str:
    return url.rpartition("@")[0].rpartition(":")[2]


def _write(file: Path, text: str) -> None:
    """Whole or not at all, for its owner alone. Raises: CliError."""
    new = file.with_name(f"{file.name}.new")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
            opened.write(text)
        new.replace(file)
    except OSError as error:
        raise CliError(f"{file} cannot be written ({error.strerror})") from None
