"""Composition root of `pabal bridge`: the bridge, and the connection to a broker that is not ours."""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import replace

from bridge.accounts.authenticator import AccountAuthenticator
from bridge.accounts.failures import FailedLogins
from bridge.accounts.service import Accounts
from bridge.build import Bridge
from bridge.store.lease import Lease
from broker.external import probe
from broker.external.adapter import ExternalBroker, Options
from broker.external.endpoint import Endpoint, parse
from broker.external.errors import LinkError, Refused
from cli import loop, output, secret_file
from cli.errors import CliError, SettingsError, UsageError
from cli.external_exposition import ExternalFigure
from cli.roles import running, standby, storage
from cli.roles.health import Answering, Health, Phase, that
from cli.roles.watch import Watch
from cli.settings import Settings


def run(settings: Settings) -> None:
    """Until SIGTERM or Ctrl-C.

    Raises: CliError, in one line, for what stops the start; UsageError without a broker.
    """
    where = endpoint_of(settings)
    running.run(lambda stack, stop: _Role(settings, where, stack).run(stop))


def endpoint_of(settings: Settings) -> Endpoint:
    """Raises: UsageError; SettingsError for a file that cannot be used."""
    if settings.mqtt_url is None:
        raise UsageError("pabal bridge needs a broker; give --mqtt-url mqtt://HOST:PORT (PABAL_MQTT_URL)")
    where = parse(settings.mqtt_url.get_secret_value())
    if settings.mqtt_password_file is not None:
        where = replace(where, password=secret_file.read("mqtt_password_file", settings.mqtt_password_file))
    if settings.mqtt_ca is not None:
        if not settings.mqtt_ca.is_file():
            raise SettingsError(f"mqtt_ca = {str(settings.mqtt_ca)!r} cannot be read; expected a PEM file")
        where = replace(where, ca=settings.mqtt_ca)
    return where


class _Role:
    def __init__(self, settings: Settings, where: Endpoint, stack: contextlib.ExitStack) -> None:
        self._settings = settings
        self._where = where
        self._stack = stack
        self._health = Health()
        self._watch = Watch(settings, self._health)

    async def run(self, stop: asyncio.Event) -> None:
        settings, stack = self._settings, self._stack
        # A standby is to find out now and not when it is needed.
        with _told(self._where):
            await probe.check(self._where, settings.mqtt_client_id)
        try:
            held = await standby.hold(settings, stack, stop, self._stand_by)
            if held is None:
                return
            await self._watch.start(held.patience_s)
            storage.make_current(settings)
            accounts = storage.open_accounts(settings, stack)
            await self._serve(accounts, held.lease, stop)
        finally:
            await self._watch.stop()

    async def _stand_by(self) -> None:
        self._health.phase = Phase.STANDBY
        await self._watch.start_if_free()

    async def _serve(self, accounts: Accounts, lease: Lease, stop: asyncio.Event) -> None:
        async with contextlib.AsyncExitStack() as stack:
            bridge, broker = await self._start(accounts, lease, stack)
            self._watch.expose(ExternalFigure(broker, bridge.relay.figures))
            self._health.require(that(lambda: lease.held, "the database is not ours at the moment"))
            self._health.require(Answering(accounts.ping, "the database does not answer"))
            self._health.require(that(lambda: broker.connected, f"{self._where} does not answer"))
            await probe.warn_if_open(self._where)
            loop.settle_heap()
            self._health.phase = Phase.SERVING
            metrics = self._watch.address if self._watch.is_told else None
            output.ready([f"broker={self._where}", *([f"metrics={metrics}"] if metrics else [])])
            self._watch.tell()
            try:
                await running.until_stopped(stop, storage.lost(bridge))
            finally:
                self._health.phase = Phase.STOPPING

    async def _start(
        self, accounts: Accounts, lease: Lease, stack: contextlib.AsyncExitStack
    ) -> tuple[Bridge, ExternalBroker]:
        """Both, or neither. Left in the opposite order: the bridge drains while the broker is still there to be told.

        Raises: CliError if the broker does not let the bridge in after all.
        """
        settings = self._settings
        authenticator = AccountAuthenticator(accounts, FailedLogins(enabled=False))
        stack.callback(authenticator.close)
        bridge = storage.make_bridge(settings, lease)
        broker = ExternalBroker(
            self._where,
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
            with _told(self._where):
                await broker.start()
        except BaseException:
            await bridge.stop()
            await broker.shutdown()
            raise
        stack.push_async_callback(broker.shutdown)
        stack.push_async_callback(bridge.stop)
        stack.push_async_callback(broker.drain)
        return bridge, broker


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
