"""Composition root of `pabal serve`: broker and bridge in this process, webapi in a child.

Whatever can stop the start is tried in the order in which a person can mend it: folder, lock, ports, schema.
"""

import asyncio
import contextlib
import secrets
import socket

from bridge.accounts.service import Accounts
from bridge.store.lease import Lease
from cli import backplane, loop, output, sockets, tls
from cli.errors import CliError
from cli.exposition import Figure
from cli.push_exposition import PushFigure
from cli.roles import embedded, running, standby, storage, web
from cli.roles.health import Answering, Health, Phase, that
from cli.roles.watch import Watch
from cli.settings import Settings
from cli.supervisor import ChildFailed
from cli.webapi_process import INSTANCE

# The order of the ready line; what is new comes last, for those who read the line from its front.
READY = ("mqtt", "ws", "http", "mqtts", "wss", "metrics")


def run(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Raises: CliError, in one line, for what stops the start (before anything listens), and if the web process
    cannot be kept running.
    """
    tls.check(tls.listeners(settings))
    running.run(lambda stack, stop: _Server(settings, stack).run(stop))


class _Server:
    def __init__(self, settings: Settings, stack: contextlib.ExitStack) -> None:
        self._settings = settings
        self._stack = stack
        self._health = Health()
        self._watch = Watch(settings, self._health)

    async def run(self, stop: asyncio.Event) -> None:
        settings, stack = self._settings, self._stack
        await asyncio.to_thread(backplane.check, settings)
        try:
            held = await standby.hold(settings, stack, stop, self._stand_by)
            if held is None:
                return
            embedded.check_ports(settings, held.patience_s)
            http = stack.enter_context(sockets.listen("http", settings.http, patience_s=held.patience_s))
            await self._watch.start(held.patience_s)
            storage.make_current(settings)
            accounts = storage.open_accounts(settings, stack)
            await self._serve(accounts, held.lease, http, stop)
        finally:
            await self._watch.stop()

    async def _stand_by(self) -> None:
        self._health.phase = Phase.STANDBY
        await self._watch.start_if_free()

    async def _serve(
        self, accounts: Accounts, lease: Lease, http: socket.socket, stop: asyncio.Event
    ) -> None:
        settings, watch = self._settings, self._watch
        secret = secrets.token_urlsafe(32)
        # Left in the opposite order: the web process first, because it asks the relay.
        async with contextlib.AsyncExitStack() as stack:
            core = await embedded.start(settings, accounts, lease, {INSTANCE: secret}, stack)
            watch.expose(Figure(core.broker, core.bridge.relay.figures))
            if core.pushes is not None:
                watch.expose(PushFigure(core.pushes))
            self._health.require(that(lambda: lease.held, "the database is not ours at the moment"))
            self._health.require(Answering(accounts.ping, "the database does not answer"))
            child = web.supervised(settings, http, core.bound["mqtt"], core.bound["ws"], secret)
            stack.push_async_callback(child.stop)
            try:
                await child.start()
                bound = {**core.bound, "http": sockets.address_of(http)}
                if watch.address is not None and watch.is_told:
                    # Told only to who cannot know it, as the line is read by programs.
                    bound["metrics"] = watch.address
                loop.settle_heap()
                self._health.phase = Phase.SERVING
                output.ready([f"{name}={bound[name]}" for name in READY if name in bound])
                watch.tell()
                await running.until_stopped(stop, child.given_up(), storage.lost(core.bridge))
            except ChildFailed as failure:
                raise CliError(str(failure), "the log above says why") from failure
            finally:
                self._health.phase = Phase.STOPPING
