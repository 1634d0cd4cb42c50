"""Composition root of `pabal serve`: broker and bridge in this process, webapi in a child.

Whatever can stop the start is tried in the order in which a person can mend it: folder, lock, ports, schema.
"""

import asyncio
import contextlib
import logging
import os
import secrets
import socket
import sys
from typing import Any, NamedTuple

import msgspec
from amqtt.errors import PluginError

from bridge.accounts.authenticator import AccountAuthenticator
from bridge.accounts.failures import FailedLogins
from bridge.accounts.keys import KeyFileError
from bridge.accounts.service import Accounts
from bridge.build import Bridge
from bridge.store.faults import NO_FAULTS, Armed, Faults
from bridge.store.lease import AGAIN_EVERY_S, Lease, NullLease, PostgresLease
from bridge.store.retention import Retention
from bridge.store.unusable import NotAdmitted, UnusableDatabase
from broker.build import build_broker
from broker.server import PabalBroker
from broker.settings import BrokerSettings
from cli import database, folder, loop, output, probe, sockets, tls
from cli.errors import CliError, SettingsError
from cli.exposition import Figure
from cli.metrics import MetricsListener
from cli.metrics import listen as listen_for_metrics
from cli.metrics import tell as tell_of_metrics
from cli.settings import Address, Settings
from cli.supervisor import ChildFailed, Supervisor
from cli.webapi_process import INSTANCE, Task
from pabal.errors import Unavailable
from pabal.ratelimit import RateLimiter

logger = logging.getLogger("pabal.serve")

# How long a busy loop may keep the committer's thread waiting.
SWITCH_INTERVAL_S = 0.0005
# What an unclean end has left behind goes within this time.
_PATIENCE_S = 3.0
_ACCOUNT_CONNECTIONS = 5
# The order of the ready line; what is new comes last, for those who read the line from its front.
READY = ("mqtt", "ws", "http", "mqtts", "wss", "metrics")


def run(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Raises: CliError, in one line, for what stops the start (before anything listens), and if the web process
    cannot be kept running.
    """
    try:
        tls.check(tls.listeners(settings))
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        with contextlib.ExitStack() as stack:
            loop.run(_run(settings, stack))
    except NotAdmitted as error:
        raise SettingsError(f"{error.detail}; {error.hint}") from error
    except (UnusableDatabase, KeyFileError) as error:
        # In a log among others a hint on a line of its own would be lost.
        raise CliError(f"{error.detail}; {error.hint}") from error
    logger.info("stopped")


class _Opened(NamedTuple):
    """What is there before anything listens to clients."""

    http: socket.socket
    metrics: socket.socket | None
    accounts: Accounts
    lease: Lease


async def _run(settings: Settings, stack: contextlib.ExitStack) -> None:
    stop = loop.stop_signals()
    if settings.is_sqlite:
        await _serve(settings, _open_sqlite(settings, stack), stop)
        return
    lease = await _hold(settings, stack, stop)
    if lease is not None:
        await _serve(settings, _open(settings, stack, lease, _PATIENCE_S), stop)


def _open_sqlite(settings: Settings, stack: contextlib.ExitStack) -> _Opened:
    lock = stack.enter_context(database.held(settings))
    http, metrics = _listen(settings, stack, _PATIENCE_S if lock.unclean else 0.0)
    known = settings.database_file.exists()
    if known:
        database.look_over(settings)
    if database.upgrade(settings) and known:
        logger.info("the database %s was upgraded to this version's schema", settings.database_file)
    return _Opened(http, metrics, _accounts(settings, stack), NullLease())


def _open(settings: Settings, stack: contextlib.ExitStack, lease: Lease, patience_s: float) -> _Opened:
    """Of PostgreSQL. The server before may have been on this machine, and have had these ports."""
    lock = folder.Lock(settings.data / folder.LOCK_FILE)
    with contextlib.suppress(CliError):
        # Only for people and `pabal doctor`: who may commit is for the lease to say.
        stack.enter_context(lock)
    http, metrics = _listen(settings, stack, patience_s)
    return _Opened(http, metrics, _accounts(settings, stack), lease)


def _listen(
    settings: Settings, stack: contextlib.ExitStack, patience_s: float
) -> tuple[socket.socket, socket.socket | None]:
    for name in ("mqtt", "ws", "mqtts", "wss"):
        address = getattr(settings, name)
        if address is not None:
            # The broker binds them itself in a moment; here the one in use is told by its setting's name.
            sockets.listen(name, address, patience_s=patience_s).close()
    http = stack.enter_context(sockets.listen("http", settings.http, patience_s=patience_s))
    metrics = listen_for_metrics(settings, patience_s)
    return http, None if metrics is None else stack.enter_context(metrics)


def _accounts(settings: Settings, stack: contextlib.ExitStack) -> Accounts:
    accounts = stack.enter_context(database.accounts(settings, _ACCOUNT_CONNECTIONS))
    if not settings.rate_limits:
        logger.warning("rate limits are off (PABAL_RATE_LIMITS=off): anybody may send any amount")
    return accounts


async def _hold(settings: Settings, stack: contextlib.ExitStack, stop: asyncio.Event) -> PostgresLease | None:
    """Wait until no other server holds the database. Returns None when told to stop before.

    Raises: UnusableDatabase if the database or its schema cannot be used now.
    """
    folder.prepare(settings.data)
    database.require_current(settings)
    lease = PostgresLease(settings.url)
    stack.callback(lease.release)
    told = False
    while not stop.is_set():
        try:
            if await asyncio.to_thread(lease.acquire):
                if told:
                    logger.warning("the other server is gone; this one takes over")
                return lease
            why = "another server holds the database; standing by"
        except Unavailable as error:
            why = f"standing by: {error}"
        if not told:
            logger.warning("%s", why)
        told = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(AGAIN_EVERY_S):
                await stop.wait()
    return None


async def _serve(settings: Settings, opened: _Opened, stop: asyncio.Event) -> None:
    secret = secrets.token_urlsafe(32)
    # Left in the opposite order: the web process first, because it asks the relay; then the bridge drains while
    # the broker can still acknowledge what is committed last; then the broker closes its connections.
    async with contextlib.AsyncExitStack() as stack:
        authenticator = AccountAuthenticator(
            opened.accounts,
            FailedLogins(per_minute=settings.login_failures_per_minute, enabled=settings.rate_limits),
        )
        stack.callback(authenticator.close)
        bridge = Bridge(
            settings.url,
            limiter=_limiter(settings),
            lease=opened.lease,
            witness=settings.witness,
            retention=Retention(
                settings.inbox_keep_updates, settings.inbox_keep_days, settings.audit_keep_days
            ),
            small_limit=settings.small_group_limit,
            max_members=settings.max_group_members,
            recall_window_s=settings.recall_seconds,
            faults=_faults(),
        )
        broker = _broker(settings, bridge, authenticator, secret)
        await _start(bridge, broker)
        stack.push_async_callback(broker.shutdown)
        stack.push_async_callback(bridge.stop)
        stack.push_async_callback(broker.drain)
        loop.on_hangup(broker.reload_certificates)
        if opened.metrics is not None:
            listener = MetricsListener(Figure(broker, bridge.relay.figures))
            await listener.start(opened.metrics)
            stack.push_async_callback(listener.stop)
        bound = {name: Address(*broker.bound[key]) for name, key in tls.LISTENERS if key in broker.bound}
        web = _web(settings, opened.http, bound["mqtt"], bound["ws"], secret)
        stack.push_async_callback(web.stop)
        try:
            await web.start()
            bound["http"] = sockets.address_of(opened.http)
            if opened.metrics is not None and settings.metrics is not None and settings.metrics.port == 0:
                # Told only to who cannot know it, as the line is read by programs.
                bound["metrics"] = sockets.address_of(opened.metrics)
            loop.settle_heap()
            output.ready([f"{name}={bound[name]}" for name in READY if name in bound])
            tell_of_metrics(settings, opened.metrics)
            await _until_stopped(stop, web, bridge)
        except ChildFailed as failure:
            raise CliError(str(failure), "the log above says why") from failure
        logger.info("stopping")


async def _start(bridge: Bridge, broker: PabalBroker) -> None:
    """Both, or neither. Raises: CliError if the broker cannot listen after all."""
    await bridge.start(broker)
    try:
        await broker.start()
    except BaseException as error:
        await bridge.stop()
        if isinstance(error, OSError):
            raise CliError(f"the broker cannot listen: {error}") from error
        raise


async def _until_stopped(stop: asyncio.Event, web: Supervisor, bridge: Bridge) -> None:
    """Returns when told to stop.

    Raises: ChildFailed if the web process cannot be kept running; CliError if another server took over.
    """
    asked = asyncio.create_task(stop.wait())
    failed = asyncio.create_task(web.given_up())
    lost = asyncio.create_task(bridge.lost())
    tasks: set[asyncio.Task[Any]] = {asked, failed, lost}
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if failed in done:
            failed.result()
        if lost in done and asked not in done:
            raise CliError(
                "another server has taken the database over while this one was stopped or cut off",
                "start it again: it stands by until the other is gone",
            )
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _limiter(settings: Settings) -> RateLimiter | None:
    return RateLimiter(settings.request_rate, settings.request_burst) if settings.rate_limits else None


def _faults() -> Faults:
    """What the fault laboratory asked for; no setting, so that no configuration file can carry it.

    Raises: SettingsError if it cannot be read.
    """
    specification = os.environ.get("PABAL_FAULTS")
    if not specification:
        return NO_FAULTS
    try:
        armed = Armed(specification)
    except ValueError as error:
        raise SettingsError(f"PABAL_FAULTS: {error}") from None
    logger.warning(
        "armed for the fault laboratory (PABAL_FAULTS=%s): this server breaks on purpose", specification
    )
    return armed


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


def _broker(
    settings: Settings, bridge: Bridge, authenticator: AccountAuthenticator, secret: str
) -> PabalBroker:
    try:
        return build_broker(
            mqtt=str(settings.mqtt),
            ws=str(settings.ws),
            authenticator=authenticator,
            services={INSTANCE: secret},
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


def _web(settings: Settings, http: socket.socket, mqtt: Address, ws: Address, secret: str) -> Supervisor:
    reach = probe.reachable
    task = Task(
        settings=settings.model_dump_json(),
        http_fd=http.fileno(),
        relay=str(reach(mqtt)),
        secret=secret,
        public_mqtt=settings.public_mqtt or f"mqtt://{reach(mqtt)}",
        public_ws=settings.public_ws or f"ws://{reach(ws)}/mqtt",
    )
    return Supervisor(
        [sys.executable, "-P", "-m", "cli.webapi_process"],
        msgspec.json.encode(task),
        ready=lambda: probe.until_ready(reach(sockets.address_of(http))),
        pass_fds=[http.fileno()],
    )
