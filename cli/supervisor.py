"""One child process, kept running: started, watched, restarted with growing pauses, and stopped.

The child gets what it must know in one line on its standard input, and ends by itself when that pipe closes: so
it never outlives this process, however this one ends. It leads a process group of its own, so that a Ctrl-C at
the terminal reaches this process alone and the order of stopping is decided here.
"""

import asyncio
import contextlib
import logging
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

logger = logging.getLogger("pabal.supervisor")


class ChildFailed(Exception):  # noqa: N818 -- what happened, not how it is classed
    """The child did not start, or died too often. The message says which."""


@dataclass(frozen=True, slots=True)
class Patience:
    """All times in seconds.

    Attributes:
        start: until a started child must be ready.
        stop: until a child that was asked to stop is killed.
        first_pause, longest_pause: before a restart; doubled each time.
        restarts, within: so many restarts within so many seconds are taken; one more gives up.
    """

    start: float = 60.0
    stop: float = 10.0
    first_pause: float = 0.25
    longest_pause: float = 8.0
    restarts: int = 5
    within: float = 60.0


class Supervisor:
    """Owner of the child and of the task that watches it."""

    def __init__(
        self,
        command: Sequence[str],
        first_line: bytes,
        *,
        ready: Callable[[], Awaitable[None]],
        pass_fds: Sequence[int] = (),
        patience: Patience | None = None,
    ) -> None:
        """`ready` returns when the child answers; it is cancelled when the child ends before."""
        self._command = command
        self._first_line = first_line
        self._ready = ready
        self._pass_fds = tuple(pass_fds)
        self._patience = patience or Patience()
        self._process: Process | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Start the child and wait until it is ready.

        Raises: ChildFailed if it ends or is not ready in time; then nothing of it is left.
        """
        await self._begin()
        self._watcher = asyncio.create_task(self._watch(), name="supervisor")

    async def given_up(self) -> None:
        """Returns never while the child is kept running.

        Raises: ChildFailed when it died too often.
        """
        if self._watcher is None:
            raise AssertionError("start() comes first")
        await asyncio.shield(self._watcher)

    async def stop(self) -> None:
        """Ask the child to stop, and kill it if it does not. Returns when it is gone; never raises for it."""
        self._stopping = True
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError, ChildFailed):
                await self._watcher
        if self._process is not None:
            await self._end(self._process)

    async def _begin(self) -> None:
        process = await asyncio.create_subprocess_exec(
            *self._command, stdin=PIPE, stdout=2, pass_fds=self._pass_fds, start_new_session=True
        )
        self._process = process
        try:
            await self._tell(process)
            await self._become_ready(process)
        except BaseException:
            await self._end(process)
            raise

    async def _tell(self, process: Process) -> None:
        if process.stdin is None:
            raise AssertionError("it was asked for")
        # A child that is gone already is told by its exit code.
        with contextlib.suppress(ConnectionError):
            process.stdin.write(self._first_line + b"\n")
            await process.stdin.drain()

    async def _become_ready(self, process: Process) -> None:
        """Raises: ChildFailed if it ends before, or takes too long."""
        exited = asyncio.create_task(process.wait())
        ready = asyncio.ensure_future(self._ready())
        try:
            await asyncio.wait(
                {exited, ready}, timeout=self._patience.start, return_when=asyncio.FIRST_COMPLETED
            )
            if exited.done():
                raise ChildFailed(f"the web process ended with code {exited.result()} before it was ready")
            if not ready.done():
                raise ChildFailed(f"the web process was not ready within {self._patience.start:g} s")
            ready.result()
        finally:
            for task in (exited, ready):
                task.cancel()
            await asyncio.gather(exited, ready, return_exceptions=True)

    async def _watch(self) -> None:
        patience = self._patience
        recent: deque[float] = deque()
        clock = asyncio.get_running_loop().time
        while self._process is not None:
            code = await self._process.wait()
            self._clear(self._process)
            now = clock()
            while recent and recent[0] < now - patience.within:
                recent.popleft()
            if len(recent) >= patience.restarts:
                raise ChildFailed(f"the web process died {len(recent) + 1} times in {patience.within:g} s")
            pause = min(patience.first_pause * 2 ** len(recent), patience.longest_pause)
            recent.append(now)
            logger.error("the web process ended with code %s; starting it again in %g s", code, pause)
            await asyncio.sleep(pause)
            try:
                await self._begin()
            except ChildFailed as failure:
                logger.error("%s", failure)

    async def _end(self, process: Process) -> None:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(self._patience.stop):
                    await process.wait()
            except TimeoutError:
                logger.error("the web process did not stop in %g s and is killed", self._patience.stop)
                _kill_group(process)
                await process.wait()
        self._clear(process)

    @staticmethod
    def _clear(process: Process) -> None:
        """Nothing that the child started outlives it."""
        _kill_group(process)
        if process.stdin is not None:
            process.stdin.close()


def _kill_group(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
