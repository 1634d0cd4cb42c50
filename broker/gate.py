"""In front of what has a handshake of its own (TLS, WebSocket): counts from the first moment, and is patient only
so long.
"""

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from broker.hub import Hub
    from broker.tls import Certificates

_BACKLOG: Final = 1024
# What accept() says when there is no more of something; trying at once would be a busy loop.
_SHORT: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_PAUSE_S: Final = 0.5


class Gate(asyncio.Protocol):
    """The protocol of one accepted socket; what comes in goes on to `inner`.

    A connection counts at the doorkeeper from when it is accepted to its end, so a stranger who opens sockets and
    says nothing in them cannot have more of them than one who talks.
    """

    def __init__(self, hub: "Hub", inner: asyncio.Protocol) -> None:
        self._hub = hub
        self._inner = inner
        self._address = ""
        self._counted = False
        self._passed = False

    def enter(self, address: str) -> bool:
        """Whether the doorkeeper takes it."""
        self._address = address
        self._counted = self._hub.doorkeeper.enter(address, self._hub.now())
        if not self._counted:
            self._hub.metrics.connections_refused += 1
        return self._counted

    def leave(self) -> None:
        """It counts no longer; the second call does nothing."""
        if self._counted:
            self._counted = False
            self._hub.doorkeeper.leave(self._address)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not self._counted:
            peer = transport.get_extra_info("peername")
            if not self.enter(str(peer[0]) if isinstance(peer, tuple) else ""):
                cast("asyncio.Transport", transport).abort()
                return
        self._passed = True
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._passed:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._passed else None

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self.leave()
        if self._passed:
            self._passed = False
            self._inner.connection_lost(exc)


class TlsServer:
    """A listener with TLS, to its users an `asyncio.Server`. It accepts by itself, so that connections are counted
    before their handshake, each handshake has a bound, and takes the certificate of that moment.
    """

    def __init__(
        self, hub: "Hub", protocol: Callable[[], asyncio.Protocol], certificates: "Certificates"
    ) -> None:
        self._hub = hub
        self._protocol = protocol
        self._certificates = certificates
        self._loop = asyncio.get_running_loop()
        self._tasks: list[asyncio.Task[None]] = []
        self.sockets: list[socket.socket] = []

    async def listen(self, host: str | None, port: int) -> None:
        """Raises: OSError, and then it listens nowhere."""
        found = await self._loop.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        try:
            for family, where in {(family, where): None for family, _, _, _, where in found}:
                self.sockets.append(_listening(family, where))
        except OSError:
            self.close()
            raise
        self._tasks = [self._hub.spawn(self._accept(one)) for one in self.sockets]

    async def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                accepted, peer = await self._loop.sock_accept(listening)
            except OSError as error:
                if error.errno in _SHORT:
                    await asyncio.sleep(_PAUSE_S)
                continue
            gate = Gate(self._hub, self._protocol())
            if gate.enter(str(peer[0])):
                self._hub.spawn(self._shake_hands(accepted, gate))
            else:
                accepted.close()

    async def _shake_hands(self, accepted: socket.socket, gate: Gate) -> None:
        settings = self._hub.settings
        done = False
        try:
            await self._loop.connect_accepted_socket(
                lambda: gate,
                accepted,
                ssl=self._certificates.current,
                ssl_handshake_timeout=settings.connect_timeout,
                ssl_shutdown_timeout=settings.close_grace,
            )
            done = True
        except OSError:
            self._hub.metrics.handshakes_failed += 1
        finally:
            if not done:
                gate.leave()

    def close(self) -> None:
        """Accept nothing more; what was accepted stays."""
        for task in self._tasks:
            task.cancel()
        for listening in self.sockets:
            listening.close()
        self._tasks, self.sockets = [], []

    async def wait_closed(self) -> None:
        """There is nothing to wait for: connections are the hub's."""

    def is_serving(self) -> bool:
        return bool(self._tasks)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop


def _listening(family: int, where: tuple[object, ...]) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(where)
        made.listen(_BACKLOG)
    except BaseException:
        made.close()
        raise
    return made
