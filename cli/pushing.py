"""The push worker over its store, with what is counted of it; in a process of its own, or in a thread of `serve`."""

import asyncio
import contextlib
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Collection, Mapping

from bridge.build import Bridge
from bridge.push.figures import PushFigures
from bridge.push.worker import Worker
from bridge.store.push_store import Depth, PushStore
from bridge.tracing import NO_TRACING, Tracing
from cli.loop import loop_factory
from pabal import topics
from pabal.errors import Unavailable
from pabal.ids import DeviceId, UserId
from push.build import PushServices

logger = logging.getLogger("pabal.push")

# How often the queue is counted, for metrics.
_LOOK_S = 5.0
_START_S = 30.0
_STOP_S = 15.0
_LONGEST_HOST = 32


class PushNumbers:
    """What metrics tell of one worker and of the queue; plain numbers, read from any thread."""

    def __init__(self, figures: PushFigures) -> None:
        self._figures = figures
        self._depth = Depth(0, None)
        self.was_looked_at = False

    @property
    def jobs(self) -> int:
        """Open jobs, whoever's."""
        return self._depth.jobs

    @property
    def oldest_s(self) -> float:
        """For how long the oldest job has been due; 0 if none is."""
        oldest = self._depth.oldest_due
        return 0.0 if oldest is None else max(time.time() - oldest / 1000, 0.0)

    @property
    def in_flight(self) -> int:
        return self._figures.in_flight

    @property
    def sent(self) -> Mapping[str, float]:
        """By service."""
        return dict(self._figures.sent)

    @property
    def failed(self) -> Mapping[tuple[str, str], float]:
        """By service, and what came of the try."""
        return dict(self._figures.failed)

    @property
    def dropped(self) -> Mapping[str, float]:
        return dict(self._figures.dropped)

    def look(self, depth: Depth) -> None:
        self._depth = depth
        self.was_looked_at = True


class Pushing:
    """Owner of store, services and worker, in the event loop in which it is started."""

    def __init__(
        self,
        url: str,
        services: PushServices,
        tracing: Tracing = NO_TRACING,
        leaves: Collection[str] = (),
    ) -> None:
        """Connects to nothing yet. `leaves` as `Worker` has it."""
        self._store = PushStore.open(url)
        self._services = services
        # Told apart from those of other processes and machines.
        name = f"{socket.gethostname()[:_LONGEST_HOST]}-{os.getpid()}-{secrets.token_hex(4)}"
        self._worker = Worker(self._store, services, name=name, tracing=tracing, leaves=leaves)
        self.numbers = PushNumbers(self._worker.figures)
        self._looking: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """There may be something to do. From any thread."""
        self._worker.wake()

    def ping(self) -> None:
        """Blocks. Raises: Unavailable if the database does not answer."""
        self._store.depth()

    async def start(self) -> None:
        await self._worker.start()
        self._looking = asyncio.create_task(self._look())

    async def stop(self) -> None:
        """What is under way comes to its end; nothing more is begun."""
        await self._worker.stop()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        await self._services.close()
        self._store.close()

    async def _look(self) -> None:
        while True:
            with contextlib.suppress(Unavailable):
                self.numbers.look(await asyncio.to_thread(self._store.depth))
            await asyncio.sleep(_LOOK_S)


class PushThread:
    """A `Pushing` in a thread with a loop of its own, so that what it encrypts and waits for holds up no message."""

    def __init__(self, make: Callable[[], Pushing]) -> None:
        self._pushing = make()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pushes", daemon=True)

    @property
    def numbers(self) -> PushNumbers:
        return self._pushing.numbers

    def start(self) -> None:
        self._thread.start()
        if not self._started.wait(_START_S):
            raise AssertionError("the thread of pushes did not start")

    def wake(self) -> None:
        self._pushing.wake()

    async def stop(self) -> None:
        """Bounded: what hangs then is in doubt, and goes with the process."""
        if self._loop is not None and self._stop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self._stop.set)
        await asyncio.to_thread(self._thread.join, _STOP_S)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                runner.run(self._push())
        except Exception:
            logger.exception("no more pushes are sent by this process")
        finally:
            self._started.set()

    async def _push(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        await self._pushing.start()
        self._started.set()
        await self._stop.wait()
        await self._pushing.stop()


class BrokerWakes:
    """Wakes devices through the broker of this process, whose loop is another one: a `push.mqtt.Wakes`."""

    def __init__(self) -> None:
        self._publish: Callable[[str, bytes, int], None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self, publish: Callable[[str, bytes, int], None]) -> None:
        """To be called in the broker's loop, once it is there."""
        self._loop = asyncio.get_running_loop()
        self._publish = publish

    async def wake(self, user: UserId, device: DeviceId, message: bytes) -> None:
        """Raises: Unavailable before there is a broker, and after."""
        if self._loop is None or self._publish is None:
            raise Unavailable("the broker is not there yet")
        try:
            self._loop.call_soon_threadsafe(self._publish, topics.down(user, device), message, 1)
        except RuntimeError:
            raise Unavailable("the broker is gone") from None


def start_beside(
    bridge: Bridge,
    url: str,
    services: PushServices,
    wakes: BrokerWakes,
    publish: Callable[[str, bytes, int], None],
    stack: contextlib.AsyncExitStack,
    tracing: Tracing = NO_TRACING,
) -> PushNumbers:
    """A thread that sends what this bridge commits, and devices are woken by `publish`. It ends before what is in
    `stack` by now.
    """
    wakes.open(publish)
    thread = PushThread(lambda: Pushing(url, services, tracing))
    thread.start()
    stack.push_async_callback(thread.stop)
    bridge.on_pushed(thread.wake)
    return thread.numbers
