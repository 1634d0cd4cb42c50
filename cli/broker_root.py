"""Composition root of `pabal broker`: the embedded broker and the bridge behind it, for webapi processes elsewhere.

Of several on one PostgreSQL one serves, and the others stand by until it is gone.
"""

import asyncio
import contextlib

from cli import backplane, tls
from cli.exposition.broker import broker_figure
from cli.exposition.push import push_figure
from cli.exposition.redis import with_redis
from cli.roles import embedded, running, storage
from cli.roles.committing import Committing
from cli.roles.services import SERVICE, secret_of
from cli.roles.tracing import check as check_tracing
from cli.roles.tracing import make_tracing
from cli.settings import Settings

READY = ("mqtt", "ws", "mqtts", "wss", "health")


def run(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Raises: CliError, in one line, for what stops the start (before anything listens to clients), or if another
    broker took the database over; SettingsError where a setting is missing or wrong.
    """
    secret = secret_of(settings)
    tls.check(tls.listeners(settings))
    check_tracing(settings)
    running.run(lambda stack, stop: _run(settings, secret, stack, stop))


async def _run(settings: Settings, secret: str, stack: contextlib.ExitStack, stop: asyncio.Event) -> None:
    await asyncio.to_thread(backplane.check, settings)
    role = Committing(settings, stack)
    async with role.turn(stop) as held, contextlib.AsyncExitStack() as tasks:
        if held is None:
            return
        embedded.check_ports(settings, held.patience_s)
        accounts = await role.open_accounts(held.patience_s)
        tracing = make_tracing(settings, "pabal-broker", stack)
        core = await embedded.start(settings, accounts, held.lease, {SERVICE: secret}, tasks, tracing)
        role.watch.expose(
            with_redis(broker_figure(core.broker, core.bridge.relay.figures), core.plane.figures)
        )
        if core.pushes is not None:
            role.watch.expose(push_figure(core.pushes))
        role.need(held.lease, accounts)
        bound = dict(core.bound)
        if role.watch.address is not None:
            bound["health"] = role.watch.address
        with role.serving([f"{name}={bound[name]}" for name in READY if name in bound], "broker"):
            await running.until_stopped(stop, storage.lost(core.bridge))
