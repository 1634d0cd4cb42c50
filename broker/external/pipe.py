"""What paho takes for its socket, between it and the network.

paho asks its socket three times for each packet that comes and once for each that goes, which with what it does to a
PUBLISH and a PUBACK is most of what a message costs. So the network is touched once in a turn of the event loop, and
those two packets go past paho, to the codec of our own broker ([why](../../docs/decisions/other-brokers.md)).
"""

import contextlib
import socket
import ssl
from typing import Final

_CHUNK: Final = 65_536
_QUICKACK: Final[int | None] = getattr(socket, "TCP_QUICKACK", None)
_WAITS = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_PUBLISH: Final = 0x30
_PUBACK: Final = 0x40
_MORE: Final = 0x80
_LENGTH_BYTES: Final = 4


class Pipe:
    """A connected socket with a buffer on either side. Not thread-safe."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._is_tcp = connected.family in {socket.AF_INET, socket.AF_INET6}
        self._partial = b""
        self._incoming = b""
        self._read = 0
        self._ended = False
        self._outgoing: list[bytes] = []
        self._left = b""

    # -- as paho uses a socket

    def recv(self, most: int) -> bytes:
        """Raises: BlockingIOError while there is nothing."""
        begin, end = self._read, self._read + most
        if begin >= len(self._incoming):
            raise BlockingIOError
        self._read = end
        return self._incoming[begin:end]

    def send(self, data: bytes | bytearray) -> int:
        self._outgoing.append(bytes(data))
        return len(data)

    def fileno(self) -> int:
        return self._socket.fileno()

    def setblocking(self, blocking: bool) -> None:
        self._socket.setblocking(blocking)

    def settimeout(self, seconds: float | None) -> None:
        self._socket.settimeout(seconds)

    def pending(self) -> int:
        """Bytes for paho."""
        return max(0, len(self._incoming) - self._read)

    def close(self) -> None:
        """What is still to go, a DISCONNECT as a rule, goes if it can go at once."""
        with contextlib.suppress(OSError):
            self.flush()
        self._ended = True
        self._socket.close()

    # -- as the event loop uses it

    @property
    def ended(self) -> bool:
        """The other side sends nothing any more."""
        return self._ended

    @property
    def waiting(self) -> int:
        """Bytes that wait to go."""
        return len(self._left) + sum(map(len, self._outgoing))

    def fill(self) -> bytes:
        """Take in what has come. Returns the PUBLISH and PUBACK packets; the others are for paho.

        Raises: OSError.
        """
        found = [self._partial]
        while True:
            try:
                data = self._socket.recv(_CHUNK)
            except _WAITS:
                break
            if _QUICKACK is not None and self._is_tcp:
                # A broker that gathers small writes sends the next one when it hears of the last: at once, and not
                # when this side's kernel gets round to it (40 ms). It has to be said again after every read.
                self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
            self._ended = not data
            found.append(data)
            # TLS may hold more in its own memory, of which the event loop hears nothing.
            if not data or not (isinstance(self._socket, ssl.SSLSocket) and self._socket.pending()):
                break
        return self._sort(b"".join(found))

    def _sort(self, data: bytes) -> bytes:
        ours: list[bytes] = []
        theirs = [self._incoming[self._read :]]
        at = begin = 0
        mine = True
        while (stop := _end_of(data, at)) is not None:
            is_ours = data[at] & 0xF0 in {_PUBLISH, _PUBACK}
            if is_ours != mine:
                (ours if mine else theirs).append(data[begin:at])
                begin, mine = at, is_ours
            at = stop
        (ours if mine else theirs).append(data[begin:at])
        self._partial = data[at:]
        self._incoming, self._read = b"".join(theirs), 0
        return b"".join(ours)

    def flush(self) -> bool:
        """Send what is to go. Returns False if some of it has to wait. Raises: OSError."""
        data = self._left + b"".join(self._outgoing)
        self._outgoing.clear()
        sent = 0
        try:
            while sent < len(data):
                sent += self._socket.send(memoryview(data)[sent : sent + _CHUNK])
        except _WAITS:
            return False
        finally:
            self._left = data[sent:]
        return True


def _end_of(data: bytes, at: int) -> int | None:
    """Where the packet that begins here ends. Returns None if it is not whole yet. Of one whose length cannot be, five
    bytes are taken for it: paho and the codec say what is wrong.
    """
    size, length = len(data), 0
    for place in range(at + 1, at + 1 + _LENGTH_BYTES):
        if place >= size:
            return None
        length |= (data[place] & 0x7F) << 7 * (place - at - 1)
        if not data[place] & _MORE:
            stop = place + 1 + length
            return stop if stop <= size else None
    return at + 1 + _LENGTH_BYTES
