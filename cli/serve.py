"""Composition root of `pabal serve`: broker and bridge in this process, webapi in a child.

Whatever can stop the start is tried in the order in which a person can mend it: folder, lock, ports, schema.
"""

import asyncio
import contextlib
import secrets

from cli import backplane, sockets, tls
from cli.errors import CliError
from cli.exposition.broker import broker_figure
from cli.exposition.push import push_figure
from cli.exposition.redis import with_redis
from cli.roles import embedded, running, storage, watch, web
from cli.roles.committing import Committing
from cli.roles.services import SERVICE
from cli.roles.tracing import check as check_tracing
from cli.roles.tracing import make_tracing
from cli.settings import Settings
from cli.supervisor import ChildFailed

# The order of the ready line; what is new comes last, for those who read the line from its front.
READY = ("mqtt", "ws", "http", "mqtts", "wss", "metrics", "web_metrics")


def run(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Raises: CliError, in one line, for what stops the start (before anything listens to clients), and if the web
    process cannot be kept running.
    """
    tls.check(tls.listeners(settings))
    check_tracing(settings)
    running.run(lambda stack, stop: _run(settings, stack, stop))


async def _run(settings: Settings, stack: contextlib.ExitStack, stop: asyncio.Event) -> None:
    await asyncio.to_thread(backplane.check, settings)
    role = Committing(settings, stack)
    # Left in the opposite order: the web process first, because it asks the relay.
    async with role.turn(stop) as held, contextlib.AsyncExitStack() as tasks:
        if held is None:
            return
        embedded.check_ports(settings, held.patience_s)
        http = stack.enter_context(sockets.listen("http", settings.http, patience_s=held.patience_s))
        metrics = watch.bind(settings, "web_metrics", held.patience_s)
        if metrics is not None:
            stack.enter_context(metrics)
        accounts = await role.open_accounts(held.patience_s)
        secret = _service_secret(settings)
        tracing = make_tracing(settings, "pabal", stack)
        core = await embedded.start(settings, accounts, held.lease, {SERVICE: secret}, tasks, tracing)
        role.watch.expose(
            with_redis(broker_figure(core.broker, core.bridge.relay.figures), core.plane.figures)
        )
        if core.pushes is not None:
            role.watch.expose(push_figure(core.pushes))
        role.need(held.lease, accounts)
        child = web.supervised(settings, http, metrics, core.bound["mqtt"], core.bound["ws"], secret)
        tasks.push_async_callback(child.stop)
        try:
            await child.start()
            bound = {**core.bound, "http": sockets.address_of(http)}
            if role.watch.address is not None and role.watch.is_told:
                # Told only to who cannot know it, as the line is read by programs.
                bound["metrics"] = role.watch.address
            if metrics is not None and settings.web_metrics is not None and not settings.web_metrics.port:
                bound["web_metrics"] = sockets.address_of(metrics)
            with role.serving([f"{name}={bound[name]}" for name in READY if name in bound]):
                watch.tell(settings, "web_metrics", metrics)
                await running.until_stopped(stop, child.given_up(), storage.lost(core.bridge))
        except ChildFailed as failure:
            raise CliError(str(failure), "the log above says why") from failure


def _service_secret(settings: Settings) -> str:
    """Of the own web process; chosen, if there are to be others elsewhere too."""
    given = settings.service_secret
    return secrets.token_urlsafe(32) if given is None else given.get_secret_value()
