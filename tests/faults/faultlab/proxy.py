"""A TCP proxy that misbehaves: cuts, delays, holds one direction or both, and forgets to tell the other side.

It never loses or changes bytes in the middle of a stream, because TCP does not either: what it withholds is
given later, or the connection ends.
"""

import asyncio
import contextlib
import random
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

UP, DOWN = "up", "down"
_CHUNK = 16 * 1024
_SLOW_CHUNK = 64
_SLOW_PAUSE_S = 0.02
_HALF_OPEN_S = 20.0


class _Link:
    """One client's connection through the proxy."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.ends = {UP: server, DOWN: client}
        self.open = {UP: asyncio.Event(), DOWN: asyncio.Event()}
        self.torn = False
        self.slow = False
        self.tasks: list[asyncio.Task[None]] = []
        for gate in self.open.values():
            gate.set()

    def cut(self) -> None:
        """Reset both sides at once."""
        for writer in self.ends.values():
            writer.transport.abort()


class Proxy:
    """Listens on `port` and connects to `upstream`, a port on loopback or a socket's path. Methods are for any thread
    but its own.
    """

    def __init__(self, upstream: int | Path, seed: int) -> None:
        self.port = 0
        self._upstream = upstream
        self._chance = random.Random(seed)
        self._links: set[_Link] = set()
        self._held: set[str] = set()
        self._delay_s = 0.0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self._halves: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        self._thread.start()
        self._call(self._listen())

    def stop(self) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def point_to(self, upstream: int) -> None:
        """New connections go there."""
        self._soon(lambda: setattr(self, "_upstream", upstream))

    # -- what the nemesis asks for; each returns how many connections it touched

    def cut(self, share: float = 1.0) -> int:
        return self._each(share, _Link.cut)

    def tear(self, share: float = 1.0) -> int:
        """The next bytes of these connections arrive in part, and then the connection is reset."""

        def tear(link: _Link) -> None:
            link.torn = True

        return self._each(share, tear)

    def hold(self, *directions: str, share: float = 1.0, also_new: bool = False) -> int:
        """Nothing moves in these directions any more, and nobody is told; until `heal`."""

        def hold(link: _Link) -> None:
            for direction in directions:
                link.open[direction].clear()

        if also_new:
            self._soon(lambda: self._held.update(directions))
        return self._each(share, hold)

    def half_open(self, side: str, share: float = 1.0) -> int:
        """One side's connection ends; the other one's stands for 20 s, silent."""

        def half(link: _Link) -> None:
            other = DOWN if side == UP else UP
            link.open[side].clear()
            link.open[other].clear()
            link.ends[side].transport.abort()
            task = self._loop.create_task(self._end_later(link))
            self._halves.add(task)
            task.add_done_callback(self._halves.discard)

        return self._each(share, half)

    def slow_down(self, share: float = 1.0) -> int:
        """These clients read 3 KB a second."""

        def slow(link: _Link) -> None:
            link.slow = True

        return self._each(share, slow)

    def delay(self, seconds: float) -> None:
        """Before each chunk, on all connections."""
        self._soon(lambda: setattr(self, "_delay_s", seconds))

    def heal(self) -> None:
        """Whatever is held moves again. What was cut stays cut."""

        def heal() -> None:
            self._held.clear()
            self._delay_s = 0.0
            for link in self._links:
                link.slow = False
                for gate in link.open.values():
                    gate.set()

        self._soon(heal)

    # -- inside

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _call(self, work) -> object:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def _soon(self, work: Callable[[], object]) -> object:
        done: Future[object] = Future()
        self._loop.call_soon_threadsafe(lambda: done.set_result(work()))
        return done.result(20)

    def _each(self, share: float, work: Callable[[_Link], None]) -> int:
        def chosen() -> int:
            links = [link for link in list(self._links) if self._chance.random() < share]
            for link in links:
                work(link)
            return len(links)

        return int(str(self._soon(chosen)))

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._halves):
            task.cancel()
        for link in list(self._links):
            link.cut()
            for task in link.tasks:
                task.cancel()
        await asyncio.gather(
            *self._halves, *(t for link in list(self._links) for t in link.tasks), return_exceptions=True
        )
        await asyncio.sleep(0)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._upstream, Path):
            return await asyncio.open_unix_connection(self._upstream)
        return await asyncio.open_connection("127.0.0.1", self._upstream)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            from_server, to_server = await self._connect()
        except OSError:
            writer.transport.abort()
            return
        link = _Link(writer, to_server)
        for direction in self._held:
            link.open[direction].clear()
        self._links.add(link)
        link.tasks = [
            asyncio.create_task(self._pump(link, UP, reader)),
            asyncio.create_task(self._pump(link, DOWN, from_server)),
        ]
        try:
            await asyncio.wait(link.tasks)
        finally:
            self._links.discard(link)
            link.cut()
            for end in link.ends.values():
                with contextlib.suppress(OSError):
                    await end.wait_closed()

    async def _pump(self, link: _Link, direction: str, reader: asyncio.StreamReader) -> None:
        out = link.ends[direction]
        try:
            while data := await reader.read(_SLOW_CHUNK if link.slow and direction == DOWN else _CHUNK):
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                if link.slow and direction == DOWN:
                    await asyncio.sleep(_SLOW_PAUSE_S)
                await link.open[direction].wait()
                if link.torn:
                    out.write(data[: self._chance.randrange(len(data))])
                    await out.drain()
                    link.cut()
                    return
                out.write(data)
                await out.drain()
            await link.open[direction].wait()
            out.write_eof()
        except OSError:
            link.cut()

    async def _end_later(self, link: _Link) -> None:
        try:
            await asyncio.sleep(_HALF_OPEN_S)
        finally:
            for gate in link.open.values():
                gate.set()
            link.cut()
