"""Composition root of `pabal push`: the worker alone, beside a server on the same database."""

import asyncio
import contextlib

from cli import backplane, database, loop, output
from cli.exposition.push import push_figure
from cli.exposition.redis import with_redis
from cli.push_services import push_services
from cli.pushing import Pushing
from cli.roles import running
from cli.roles.health import Answering, Health, Phase
from cli.roles.tracing import check as check_tracing
from cli.roles.tracing import make_tracing
from cli.roles.watch import Watch
from cli.settings import Settings
from push.mqtt import MqttWake


def run(settings: Settings) -> None:
    """Send pushes until SIGTERM or Ctrl-C; what is under way then comes to its end.

    Raises: CliError, in one line, for what stops the start.
    """
    database.require_existing(settings)
    database.require_current(settings)
    check_tracing(settings)
    backplane.check(settings)
    running.run(lambda stack, stop: _push(settings, stack, stop))


async def _push(settings: Settings, after: contextlib.ExitStack, stop: asyncio.Event) -> None:
    health = Health()
    watch = Watch(settings, health)
    async with contextlib.AsyncExitStack() as stack:
        # Wake-ups over MQTT wait for the process that has the broker.
        tracing = make_tracing(settings, "pabal-push", after)
        pushing = Pushing(settings.url, push_services(settings), tracing, leaves=[MqttWake.name])
        plane = backplane.open_plane(settings)
        stack.push_async_callback(watch.stop)
        await watch.start(0.0)
        watch.expose(with_redis(push_figure(pushing.numbers), plane.figures))
        stack.push_async_callback(pushing.stop)
        await pushing.start()
        plane.hear(pushes=pushing.wake)
        stack.push_async_callback(asyncio.to_thread, plane.stop)
        health.require(Answering(pushing.ping, "the database does not answer"))
        loop.settle_heap()
        health.phase = Phase.SERVING
        output.ready([] if watch.address is None else [f"metrics={watch.address}"], "push")
        watch.tell()
        await running.until_stopped(stop)
        health.phase = Phase.STOPPING
