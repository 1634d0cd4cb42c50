"""The same listener for a process that has no event loop: in a thread with one of its own."""

import asyncio
import socket
import threading
from collections.abc import Callable

from prometheus_client.registry import Collector

from cli.metrics import MetricsListener
from cli.roles.health import Answering
from pabal.errors import Unavailable

_STOP_S = 10.0


class WatchThread:
    """Owner of the thread, from `start` to `stop`; the socket becomes its own."""

    def __init__(
        self, listening: socket.socket, collector: Collector, check_ready: Callable[[], None]
    ) -> None:
        """`check_ready` may block, and raises `Unavailable` with what is missing."""
        self._listening = listening
        self._collector = collector
        self._check_ready = check_ready
        self._loop = asyncio.new_event_loop()
        self._stopped = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(_STOP_S)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        listener = MetricsListener(_Readiness(self._check_ready))
        listener.expose(self._collector)
        await listener.start(self._listening)
        try:
            await self._stopped.wait()
        finally:
            await listener.stop()


class _Readiness:
    def __init__(self, check_ready: Callable[[], None]) -> None:
        self._check_ready = check_ready
        self._missing = ""
        self._ready = Answering(self._ask, "the database does not answer")

    async def why_not(self) -> str | None:
        why = await self._ready()
        return None if why is None else self._missing or why

    def _ask(self) -> None:
        self._missing = ""
        try:
            self._check_ready()
        except Unavailable as error:
            self._missing = error.detail
            raise
