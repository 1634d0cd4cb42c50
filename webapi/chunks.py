"""A body that comes in chunks (RFC 9112, 7.1), put together."""

import re
from enum import Enum, auto

# Sizes, extensions and trailers: who sends more of them makes work, and no content.
MAX_FRAMING = 64 * 1024
_MAX_LINE = 1024
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(;.*)?", re.DOTALL)


class MalformedError(Exception):
    """These are no chunks."""


class _Next(Enum):
    SIZE = auto()
    CONTENT = auto()
    END_OF_CHUNK = auto()
    TRAILER = auto()


class Chunks:
    """One body. Keeps at most `max_body` bytes of it."""

    def __init__(self, max_body: int) -> None:
        self.body = bytearray()
        self._max_body = max_body
        self._next = _Next.SIZE
        self._left = 0
        self._framing = 0

    def take(self, buffer: bytearray) -> int | None:
        """Take from the buffer what belongs to the body. Its length once it is whole, and something above the
        bound as soon as it will be above it; None as long as there is more to come.

        Raises: MalformedError.
        """
        at = 0
        try:
            while True:
                if self._next is _Next.CONTENT:
                    part = buffer[at : at + self._left]
                    self.body += part
                    at += len(part)
                    self._left -= len(part)
                    if self._left:
                        return None
                    self._next = _Next.END_OF_CHUNK
                line = self._line(buffer, at)
                if line is None:
                    return None
                at += len(line) + 2
                if self._is_last(line):
                    return len(self.body)
                if len(self.body) + self._left > self._max_body:
                    return len(self.body) + self._left
        finally:
            del buffer[:at]

    def _line(self, buffer: bytearray, at: int) -> bytes | None:
        longest = 0 if self._next is _Next.END_OF_CHUNK else _MAX_LINE
        end = buffer.find(b"\r\n", at, at + longest + 2)
        if end < 0:
            if len(buffer) - at >= longest + 2:
                raise MalformedError("a chunk does not end where it should")
            return None
        self._framing += end + 2 - at
        if self._framing > MAX_FRAMING:
            raise MalformedError("too many chunks for so little content")
        return bytes(buffer[at:end])

    def _is_last(self, line: bytes) -> bool:
        """What the line says is next; true behind the last of the body."""
        if self._next is _Next.END_OF_CHUNK:
            self._next = _Next.SIZE
        elif self._next is _Next.SIZE:
            size = _SIZE.fullmatch(line)
            if size is None:
                raise MalformedError("a chunk does not begin with its size")
            self._left = int(size[1], 16)
            self._next = _Next.CONTENT if self._left else _Next.TRAILER
        else:
            return not line
        return False
