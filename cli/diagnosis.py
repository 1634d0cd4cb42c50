"""What `pabal doctor` looks at, for the role that it is asked about. Nothing here changes anything."""

import asyncio
import importlib.util
import os
import shutil
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

from bridge.accounts.key_errors import KeyFileError
from bridge.accounts.keys import Keyring
from bridge.backplane.admission import look_at
from bridge.store import lease, maintenance, schema
from bridge.store.engine import opened
from bridge.store.unusable import UnusableDatabase
from broker.external import probe as external
from broker.external.errors import LinkError
from cli import folder, otel, probe, sockets, times
from cli.address import Address
from cli.bridge_root import endpoint_of
from cli.errors import CliError, SettingsError
from cli.flags import Flags
from cli.relay_url import relay_of
from cli.roles.services import new_instance, secret_of
from cli.settings import Settings
from webapi.relay_client import MqttRelayClient

# No machine that runs this has a right clock that says an earlier time.
_NOT_BEFORE = datetime(2026, 1, 1, tzinfo=UTC)
_NOT_AFTER = datetime(2100, 1, 1, tzinfo=UTC)
_MIN_FREE_BYTES = 256 * 1024 * 1024
_FOR_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_RELAY_S = 5.0
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Finding(NamedTuple):
    check: str
    state: Literal["ok", "warn", "fail"]
    found: str
    advice: str | None = None


class Role(NamedTuple):
    """What one of the roles opens and needs. `makes`: it makes what is missing of database and keys."""

    ports: tuple[str, ...]
    shares_secret: bool = False
    asks_relay: bool = False
    commits: bool = False
    bridges: bool = False
    signs: bool = True
    makes: bool = True


_BROKER_PORTS = ("mqtt", "ws", "mqtts", "wss")
ROLES = {
    "serve": Role(("mqtt", "ws", "http", "mqtts", "wss"), commits=True),
    "broker": Role((*_BROKER_PORTS, "metrics"), shares_secret=True, commits=True),
    "webapi": Role(("http", "web_metrics"), shares_secret=True, asks_relay=True, makes=False),
    "bridge": Role(("metrics",), commits=True, bridges=True),
    "push": Role(("metrics",), signs=False, makes=False),
}


def examine(flags: Flags, name: str = "serve") -> list[Finding]:
    """Every check of this role, in the order in which a person would mend things; without good settings, only those."""
    role = ROLES[name]
    try:
        loaded = flags.load(role.ports)
    except SettingsError as error:
        return [Finding("configuration", "fail", error.cause, "set it right; the rest was not looked at")]
    settings = loaded.settings
    findings = [
        Finding("configuration", "warn", text, "unset it, or correct its name") for text in loaded.warnings
    ]
    if not findings:
        source = "no file" if loaded.config is None else str(loaded.config)
        findings.append(Finding("configuration", "ok", f"flags, environment and {source}"))
    serving = folder.holder(settings.data)
    if role.shares_secret:
        findings.append(_service_secret(settings))
    findings.append(_data_folder(settings.data))
    findings.append(_space(settings.data))
    findings.append(_database(settings, role, name))
    if role.commits and not settings.is_sqlite:
        findings.extend(_lease(settings))
    findings.extend(_redis(settings))
    if role.signs:
        findings.append(_keys(settings, role, name))
    findings.append(_clock())
    if role.asks_relay:
        findings.append(_relay(settings))
    if role.bridges:
        findings.extend(_mqtt_broker(settings))
    findings.extend(_ports(settings, role.ports, serving))
    if settings.otel_endpoint is not None:
        findings.append(_opentelemetry())
    findings.append(_event_loop())
    return findings


def _service_secret(settings: Settings) -> Finding:
    try:
        secret_of(settings)
    except SettingsError as error:
        return Finding("service secret", "fail", error.cause, "make one with: openssl rand -hex 32")
    return Finding("service secret", "ok", "is given; it must be the same for all roles")


def _relay(settings: Settings) -> Finding:
    """Logs in there as a web process does."""
    try:
        relay, secret = relay_of(settings), secret_of(settings)
    except SettingsError as error:
        return Finding("relay", "fail", error.cause, "set it right")
    client = MqttRelayClient(relay.addresses, new_instance(), secret, tls=relay.tls)
    client.start()
    try:
        if client.await_connected(_RELAY_S):
            return Finding("relay", "ok", f"{relay.shown} lets us in")
    finally:
        client.stop()
    why = client.failure or "it does not answer"
    return Finding(
        "relay", "fail", f"{relay.shown}: {why}", "start the broker, or correct relay or service_secret"
    )


def _mqtt_broker(settings: Settings) -> Iterator[Finding]:
    """The one that is not ours: logs in there as the bridge does."""
    try:
        where = endpoint_of(settings)
        kept = asyncio.run(external.keeps_sessions(where, settings.mqtt_client_id))
    except SettingsError as error:
        yield Finding("mqtt broker", "fail", error.cause, "set it right")
        return
    except LinkError as error:
        advice = "see docs/brokers.md for what it has to allow"
        yield Finding("mqtt broker", "fail", f"{where}: {error}", advice)
        return
    yield Finding("mqtt broker", "ok", f"{where} lets us in")
    if kept:
        yield Finding("mqtt session", "ok", "it keeps a session over its connection")
    else:
        found = "it keeps no session: what devices send while no bridge is connected is gone"
        yield Finding("mqtt session", "warn", found, "let it keep persistent sessions, see docs/brokers.md")


def _opentelemetry() -> Finding:
    try:
        otel.check_installed()
    except SettingsError as error:
        return Finding("opentelemetry", "fail", error.cause, "pip install 'pabal[otel]', or leave it out")
    return Finding("opentelemetry", "ok", "its packages are installed")


def _data_folder(data: Path) -> Finding:
    if not data.exists():
        return Finding("data folder", "ok", f"{data} is not there yet; pabal serve makes it")
    try:
        folder.prepare(data)
    except SettingsError as error:
        return Finding("data folder", "fail", error.cause, "give --data a folder that this user may write")
    if data.stat().st_mode & _FOR_OTHERS:
        return Finding("data folder", "warn", f"{data} is open to other users", f"chmod 700 {data}")
    return Finding("data folder", "ok", f"{data} can be written, by this user only")


def _space(data: Path) -> Finding:
    there = next(path for path in (data.absolute(), *data.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    found = f"{free // 1024**2} MiB free"
    if free < _MIN_FREE_BYTES:
        return Finding("disk space", "warn", found, "make room: without space nothing is accepted")
    return Finding("disk space", "ok", found)


def _database(settings: Settings, role: Role, name: str) -> Finding:
    where = settings.database_shown
    if settings.is_sqlite and not settings.database_file.exists():
        return _missing("database", where, "start the broker on it first", role, name)
    try:
        with opened(settings.url) as engine:
            state = schema.state(engine)
            schema.check_ours(state, engine)
            doubts = maintenance.durability(engine)
    except UnusableDatabase as error:
        return Finding("database", "fail", error.detail, error.hint)
    except Exception as error:  # noqa: BLE001 -- whatever a driver raises, it belongs into the report
        return Finding("database", "fail", f"{where} cannot be read: {error}", "see pabal db check")
    if not state.is_current:
        return Finding(
            "database",
            "warn" if settings.is_sqlite else "fail",
            f"schema {state.current or 'none'}, this version has {state.wanted}",
            "pabal serve upgrades it, or pabal db upgrade" if settings.is_sqlite else "pabal db upgrade",
        )
    if doubts is not None:
        return Finding("database", "warn", f"{where} {doubts}", "what is accepted may be lost in a power cut")
    return Finding("database", "ok", f"{where} has schema {state.current}")


def _lease(settings: Settings) -> Iterator[Finding]:
    """Nothing where the database cannot be asked: that is told already."""
    try:
        with opened(settings.url) as engine:
            by = lease.holder(engine)
    except Exception:  # noqa: BLE001 -- `_database` says what is wrong with it
        return
    found = (
        "nobody commits: this server would"
        if by is None
        else f"a server at {by} commits: this one would stand by"
    )
    yield Finding("committer", "ok", found)


def _redis(settings: Settings) -> Iterator[Finding]:
    """Nothing where there is none: it is not needed."""
    if settings.redis is None:
        return
    look = look_at(settings.redis)
    if look.trouble is not None:
        # Without it everything goes on; but whoever has set it wants it.
        yield Finding("redis", "fail", f"{settings.redis} {look.trouble.detail}", look.trouble.hint)
        return
    version = f"{look.product} {look.version}".strip() or "it does not say what it is"
    policy = look.policy or "unknown"
    found = f"{settings.redis} takes writes ({version}, maxmemory-policy {policy}, {look.answered_s * 1000:.1f} ms)"
    if look.doubts is None:
        yield Finding("redis", "ok", found)
    else:
        yield Finding("redis", "warn", f"{settings.redis}: {look.doubts[0]}", look.doubts[1])


def _keys(settings: Settings, role: Role, name: str) -> Finding:
    file = settings.keys
    if not file.exists():
        return _missing("keys", file, "give keys_file the broker's file", role, name)
    try:
        Keyring(file, settings.access_token_seconds).signing()
    except KeyFileError as error:
        return Finding("keys", "fail", error.detail, error.hint)
    return Finding("keys", "ok", f"{file} can be read by this user only")


def _missing(check: str, what: object, advice: str, role: Role, name: str) -> Finding:
    if role.makes:
        return Finding(check, "ok", f"{what} is not there yet; pabal {name} makes it")
    return Finding(check, "fail", f"{what} is not there", advice)


def _clock() -> Finding:
    now = datetime.fromtimestamp(times.now_s(), UTC)
    found = f"{now:%Y-%m-%d %H:%M:%S} UTC"
    if not _NOT_BEFORE <= now <= _NOT_AFTER:
        return Finding(
            "clock", "fail", found, "set the clock: tokens would be good for too long or not at all"
        )
    return Finding("clock", "ok", found)


def _ports(settings: Settings, names: tuple[str, ...], serving: int | None) -> Iterator[Finding]:
    for name in names:
        address: Address | None = getattr(settings, name)
        if address is None:
            continue
        yield _port(name, address, serving)
        if address.host not in _LOOPBACK and name in {"metrics", "web_metrics"}:
            yield Finding(
                f"{name} exposure",
                "warn",
                f"{address} can be reached from other machines",
                "let nobody but your monitoring reach it",
            )
        elif address.host not in _LOOPBACK and name not in {"mqtts", "wss"}:
            yield Finding(
                f"{name} exposure",
                "warn",
                f"{address} can be reached from other machines, without TLS",
                "put a proxy with TLS in front or use mqtts and wss, and listen on 127.0.0.1",
            )


def _port(name: str, address: Address, serving: int | None) -> Finding:
    try:
        sockets.listen(name, address).close()
    except CliError as error:
        if serving is None:
            return Finding(f"{name} port", "fail", error.cause, error.hint or f"set {name} to another")
        if name != "http":
            return Finding(
                f"{name} port", "ok", f"{address} is in use while pid {serving} serves this folder"
            )
        return _answering(address, serving)
    return Finding(f"{name} port", "ok", f"{address} is free")


def _answering(address: Address, serving: int) -> Finding:
    try:
        status = asyncio.run(probe.get_status(probe.reachable(address), "/readyz"))
    except (OSError, ValueError) as error:
        return Finding("http port", "fail", f"{address} does not answer: {error!r}", "see the log")
    if status != probe.OK:
        return Finding("http port", "fail", f"{address}/readyz answers {status}", "see the server's log")
    return Finding("http port", "ok", f"{address} is served by us (pid {serving}), ready")


def _event_loop() -> Finding:
    if importlib.util.find_spec("uvloop") is None:
        return Finding(
            "event loop", "warn", "uvloop is not installed", "pip install uvloop makes the broker faster"
        )
    return Finding("event loop", "ok", f"uvloop, {os.cpu_count()} processors")
