"""Composition root of `pabal bridge`: the bridge, and the connection to a broker that is not ours."""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from bridge.accounts.authenticator import AccountAuthenticator
from bridge.accounts.failures import FailedLogins
from bridge.accounts.service import Accounts
from bridge.backplane.plane import Plane
from bridge.build import Bridge
from bridge.store.lease import Lease
from bridge.tracing import Tracing
from broker.external import probe
from broker.external.adapter import ExternalBroker, Options
from broker.external.endpoint import Endpoint, parse
from broker.external.errors import LinkError, Refused
from cli import backplane
from cli.address import Address
from cli.errors import CliError, SettingsError
from cli.exposition.bridge import bridge_figure
from cli.exposition.push import push_figure
from cli.exposition.redis import with_redis
from cli.pushing import PushNumbers
from cli.roles import running, storage
from cli.roles.committing import Committing
from cli.roles.health import that
from cli.roles.pushes import Pushes
from cli.roles.tracing import check as check_tracing
from cli.roles.tracing import make_tracing
from cli.settings import Settings


def run(settings: Settings) -> None:
    """Until SIGTERM or Ctrl-C.

    Raises: CliError, in one line, for what stops the start; SettingsError where a setting is missing or wrong.
    """
    where = endpoint_of(settings)
    check_tracing(settings)
    running.run(lambda stack, stop: _run(settings, where, stack, stop))


def endpoint_of(settings: Settings) -> Endpoint:
    """Raises: SettingsError if there is none, or its CA cannot be read."""
    if settings.mqtt_url is None:
        raise SettingsError(
            "mqtt_url is not given; expected the broker as mqtt://USER:PASSWORD@HOST:PORT, or a file with it as"
            " mqtt_url_file"
        )
    where = parse(settings.mqtt_url.get_secret_value())
    if settings.mqtt_ca is None:
        return where
    if not settings.mqtt_ca.is_file():
        raise SettingsError(f"mqtt_ca = {str(settings.mqtt_ca)!r} cannot be read; expected a PEM file")
    return replace(where, ca=settings.mqtt_ca)


async def _run(settings: Settings, where: Endpoint, stack: contextlib.ExitStack, stop: asyncio.Event) -> None:
    await asyncio.to_thread(backplane.check, settings)
    # A standby is to find out now, and not when it is needed.
    with _told(where):
        await probe.check(where, settings.mqtt_client_id)
    role = Committing(settings, stack)
    async with role.turn(stop) as held, contextlib.AsyncExitStack() as tasks:
        if held is None:
            return
        accounts = await role.open_accounts(held.patience_s)
        tracing = make_tracing(settings, "pabal-bridge", stack)
        bridge, broker, plane, pushes = await _start(settings, where, accounts, held.lease, tasks, tracing)
        role.watch.expose(with_redis(bridge_figure(broker, bridge.relay.figures), plane.figures))
        if pushes is not None:
            role.watch.expose(push_figure(pushes))
        role.need(held.lease, accounts)
        role.health.require(that(lambda: broker.connected, f"{where} does not answer"))
        await probe.warn_if_open(where, settings.mqtt_client_id)
        ready = [f"mqtt={Address(where.host, where.port)}"]
        if role.watch.address is not None:
            ready.append(f"health={role.watch.address}")
        with role.serving(ready, "bridge"):
            await running.until_stopped(stop, storage.lost(bridge))


class _Started(NamedTuple):
    bridge: Bridge
    broker: ExternalBroker
    plane: Plane
    pushes: PushNumbers | None


async def _start(
    settings: Settings,
    where: Endpoint,
    accounts: Accounts,
    lease: Lease,
    stack: contextlib.AsyncExitStack,
    tracing: Tracing,
) -> _Started:
    """Both, or neither. Left in the opposite order: the bridge drains while the broker is still there to be told.

    Raises: CliError if the broker does not let the bridge in after all.
    """
    plane = backplane.open_plane(settings)
    stack.callback(plane.stop)
    authenticator = AccountAuthenticator(accounts, FailedLogins(enabled=False))
    stack.callback(authenticator.close)
    pushes = Pushes(settings, tracing)
    bridge = storage.make_bridge(settings, lease, plane, tracing, pushes.services)
    broker = ExternalBroker(
        where,
        inbound=bridge.relay,
        published=bridge.relay.published,
        presence=bridge.presence,
        outbox=bridge.outbox,
        accounts=authenticator,
        options=Options(
            client_id=settings.mqtt_client_id,
            session_s=settings.session_days * 24 * 3600,
            max_packet_bytes=settings.max_packet_bytes,
        ),
    )
    await bridge.start(broker, broker.courier)
    try:
        with _told(where):
            await broker.start()
    except BaseException:
        await bridge.stop()
        await broker.shutdown()
        raise
    stack.push_async_callback(broker.shutdown)
    stack.push_async_callback(bridge.stop)
    stack.push_async_callback(broker.drain)
    storage.act_on_changes(bridge, plane)
    # Another broker is not ours to send clients to: webapi has its address.
    plane.speak(bridge.generation)
    stack.push_async_callback(asyncio.to_thread, plane.stop)
    return _Started(bridge, broker, plane, pushes.start(bridge, broker.publish, stack))


@contextlib.contextmanager
def _told(where: Endpoint) -> Iterator[None]:
    """Raises: SettingsError, CliError in place of what a broker says."""
    try:
        yield
    except Refused as error:
        raise SettingsError(
            f"mqtt_url = {where}: {error}; expected a user that it lets in, and lets do what docs/brokers.md says"
        ) from error
    except LinkError as error:
        raise CliError(f"mqtt_url = {where}: {error}") from error
