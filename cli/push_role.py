"""Composition root of `pabal push`: the worker alone, beside a server on the same database."""

import asyncio
import contextlib

from cli import database, loop, output
from cli.push_exposition import PushFigure
from cli.push_services import push_services
from cli.pushing import Pushing
from cli.roles import running
from cli.roles.health import Answering, Health, Phase
from cli.roles.watch import Watch
from cli.settings import Settings


def run(settings: Settings) -> None:
    """Send pushes until SIGTERM or Ctrl-C; what is under way then comes to its end.

    Raises: CliError, in one line, for what stops the start.
    """
    database.require_existing(settings)
    database.require_current(settings)
    running.run(lambda _stack, stop: _push(settings, stop))


async def _push(settings: Settings, stop: asyncio.Event) -> None:
    health = Health()
    watch = Watch(settings, health)
    async with contextlib.AsyncExitStack() as stack:
        # No wake-ups over MQTT: those need the broker in the same process.
        pushing = Pushing(settings.url, push_services(settings))
        stack.push_async_callback(watch.stop)
        await watch.start(0.0)
        watch.expose(PushFigure(pushing.numbers))
        stack.push_async_callback(pushing.stop)
        await pushing.start()
        health.require(Answering(pushing.ping, "the database does not answer"))
        loop.settle_heap()
        health.phase = Phase.SERVING
        output.ready([] if watch.address is None else [f"metrics={watch.address}"], "push")
        watch.tell()
        await running.until_stopped(stop)
        health.phase = Phase.STOPPING
