"""The embedded broker with its listeners, and the bridge behind it: they start and end together."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import NamedTuple

from amqtt.errors import PluginError

from bridge.accounts.authenticator import AccountAuthenticator
from bridge.accounts.failures import FailedLogins
from bridge.accounts.service import Accounts
from bridge.backplane.plane import Plane
from bridge.build import Bridge
from bridge.store.lease import Lease
from bridge.tracing import NO_TRACING, Tracing
from broker.build import build_broker
from broker.server import PabalBroker
from broker.settings import BrokerSettings
from cli import backplane, loop, sockets, tls
from cli.address import Address
from cli.errors import CliError, SettingsError
from cli.pushing import PushNumbers
from cli.roles import announced, storage
from cli.roles.pushes import Pushes
from cli.settings import Settings


class Embedded(NamedTuple):
    """`bound` says where it listens, by the names of the settings. `pushes` is there where they are sent by this process."""

    broker: PabalBroker
    bridge: Bridge
    bound: dict[str, Address]
    plane: Plane
    pushes: PushNumbers | None


def check_ports(settings: Settings, patience_s: float) -> None:
    """The broker binds them itself in a moment; here the one in use is told by its setting's name.

    Raises: CliError.
    """
    for name, _listener in tls.LISTENERS:
        address = getattr(settings, name)
        if address is not None:
            sockets.listen(name, address, patience_s=patience_s).close()


async def start(
    settings: Settings,
    accounts: Accounts,
    lease: Lease,
    services: Mapping[str, str],
    stack: contextlib.AsyncExitStack,
    tracing: Tracing = NO_TRACING,
) -> Embedded:
    """Both, or neither. What `stack` gets is left in this order: Redis is told that clients should go elsewhere; the
    bridge drains while the broker can still acknowledge what is committed last; then the broker closes its connections.
    SIGHUP reads certificates again.

    `services` are the secrets of the server's own parts, by instance name.

    Raises: CliError if the broker cannot listen after all; SettingsError for plugins that do not load.
    """
    plane = backplane.open_plane(settings)
    stack.callback(plane.stop)
    failures = FailedLogins(
        per_minute=settings.login_failures_per_minute, enabled=settings.rate_limits, counting=plane.counting
    )
    authenticator = AccountAuthenticator(accounts, failures)
    stack.callback(authenticator.close)
    pushes = Pushes(settings, tracing)
    bridge = storage.make_bridge(settings, lease, plane, tracing, pushes.services)
    broker = _make_broker(settings, bridge, authenticator, services)
    await bridge.start(broker)
    try:
        await broker.start()
    except BaseException as error:
        await bridge.stop()
        if isinstance(error, OSError):
            raise CliError(f"the broker cannot listen: {error}") from error
        raise
    stack.push_async_callback(broker.shutdown)
    stack.push_async_callback(bridge.stop)
    stack.push_async_callback(broker.drain)
    loop.on_hangup(broker.reload_certificates)
    bound = {name: Address(*broker.bound[key]) for name, key in tls.LISTENERS if key in broker.bound}
    storage.act_on_changes(bridge, plane)
    plane.speak(bridge.generation, announced.says(settings, broker, bound["mqtt"], bound["ws"]))
    # Its threads may be in the middle of a call; the loop goes on meanwhile.
    stack.push_async_callback(asyncio.to_thread, plane.stop)
    return Embedded(broker, bridge, bound, plane, pushes.start(bridge, broker.publish, stack))


def _broker_settings(settings: Settings) -> BrokerSettings:
    limited = settings.rate_limits
    return BrokerSettings(
        max_packet_bytes=settings.max_packet_bytes,
        session_days=settings.session_days,
        session_expiry_max=settings.session_days * 24 * 3600,
        sessions_total=settings.sessions,
        sessions_per_user=settings.sessions_per_user,
        queue_messages=settings.session_queue_messages,
        queue_bytes=settings.session_queue_bytes,
        queue_bytes_total=settings.sessions_queue_bytes,
        retained_messages=settings.retained_messages,
        retained_bytes=settings.retained_bytes,
        retained_message_bytes=settings.retained_message_bytes,
        connection_attempts_per_minute=settings.connection_attempts_per_minute if limited else None,
        connections_per_address=settings.connections_per_address if limited else None,
        connections=settings.connections if limited else None,
        sys_interval=settings.sys_seconds,
        ws_origins=tuple(settings.ws_origins),
    )


def _make_broker(
    settings: Settings, bridge: Bridge, authenticator: AccountAuthenticator, services: Mapping[str, str]
) -> PabalBroker:
    """Raises: SettingsError."""
    try:
        return build_broker(
            mqtt=str(settings.mqtt),
            ws=str(settings.ws),
            authenticator=authenticator,
            services=services,
            inbound=bridge.relay,
            inbox=bridge.inbox,
            store=bridge.sessions,
            queues=bridge.sessions,
            directory=bridge.members,
            presence=bridge.presence,
            settings=_broker_settings(settings),
            plugins=settings.plugins,
            tls=tls.listeners(settings),
        )
    except PluginError as error:
        raise SettingsError(f"plugins = {sorted(settings.plugins)} do not load: {error}") from error
