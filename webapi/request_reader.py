"""The requests of an HTTP/1 connection, from its bytes as they come: whole, or refused. Reads no socket.

Only where a request ends is decided here; gunicorn parses it, and gets one request and nothing behind it. A body
in chunks is put together, so that behind this module every body has a length.
"""

import re
from dataclasses import dataclass
from enum import Enum, auto

from webapi.chunks import Chunks, MalformedError

MAX_LINE = 4094
MAX_HEAD = 32 * 1024
_LENGTH = re.compile(rb"[0-9]{1,18}")


class Stage(Enum):
    """How far the request that is being read has come."""

    IDLE = auto()
    HEAD = auto()
    BODY = auto()


@dataclass(frozen=True, slots=True)
class Whole:
    """A request as gunicorn gets it. `closes`: where the next one would begin is unknown."""

    content: bytes
    closes: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """What can neither be read nor be read on from: answer with `status`, and close."""

    status: int
    detail: str


@dataclass(slots=True)
class _Head:
    lines: list[bytes]
    length: int
    chunked: bool
    expects: bool

    def content(self) -> bytes:
        return b"\r\n".join([*self.lines, b"", b""])


class RequestReader:
    """`feed` it, then `take` until None. After a Refusal, or what `closes`, it is of no further use.

    Holds at most one head and one body of `max_body` bytes, besides what was fed last. A longer body is not waited
    for: its head is passed on with a length above the bound, which is for the application to refuse.
    """

    def __init__(self, max_body: int) -> None:
        self._max_body = max_body
        self._buffer = bytearray()
        self._searched = 0
        self._head: _Head | None = None
        self._chunks = Chunks(max_body)

    @property
    def stage(self) -> Stage:
        if self._head is not None:
            return Stage.BODY
        return Stage.HEAD if self._buffer else Stage.IDLE

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def take(self) -> Whole | Refusal | None:
        """The next request, or None as long as it is not all there."""
        if self._head is None:
            read = self._read_head()
            if not isinstance(read, _Head):
                return read
            self._head = read
            self._chunks = Chunks(self._max_body)
        head = self._head
        body = self._chunked_body(head) if head.chunked else self._plain_body(head)
        if isinstance(body, Refusal) or body is None:
            return body
        self._head = None
        return Whole(head.content() + body, closes=head.length > self._max_body)

    def take_continue(self) -> bool:
        """Whether the client waits for `100 Continue` before it sends its body; true once."""
        if self._head is None or not self._head.expects:
            return False
        self._head.expects = False
        return True

    def _read_head(self) -> _Head | Refusal | None:
        buffer = self._buffer
        while buffer.startswith(b"\r\n"):  # RFC 9112, 2.2: empty lines before a request are no part of it
            del buffer[:2]
        if len(buffer) > MAX_LINE and b"\n" not in buffer[: MAX_LINE + 2]:
            return Refusal(414, f"a request line has at most {MAX_LINE} bytes")
        end = buffer.find(b"\r\n\r\n", max(0, self._searched - 3))
        if (len(buffer) if end < 0 else end) > MAX_HEAD:
            return Refusal(431, f"the head of a request has at most {MAX_HEAD} bytes")
        if end < 0:
            bare = buffer.find(b"\n\n", max(0, self._searched - 1)) >= 0
            self._searched = len(buffer)
            return Refusal(400, "the lines of a head end with CR and LF") if bare else None
        lines = bytes(buffer[:end]).split(b"\r\n")
        del buffer[: end + 4]
        self._searched = 0
        return _head(lines)

    def _plain_body(self, head: _Head) -> bytes | None:
        if head.length > self._max_body:
            return b""
        if len(self._buffer) < head.length:
            return None
        body = bytes(self._buffer[: head.length])
        del self._buffer[: head.length]
        return body

    def _chunked_body(self, head: _Head) -> bytes | Refusal | None:
        try:
            length = self._chunks.take(self._buffer)
        except MalformedError as error:
            return Refusal(400, str(error))
        if length is None:
            return None
        head.length = length
        head.lines.append(b"Content-Length: %d" % length)
        return b"" if length > self._max_body else bytes(self._chunks.body)


def _head(lines: list[bytes]) -> _Head | Refusal:
    """What says how long the body is. Names that are none are left for gunicorn, which refuses them."""
    kept, lengths, codings, expects = [lines[0]], [], [], False
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        value = value.strip(b" \t").lower()
        match name.lower():
            case b"content-length":
                lengths.append(value)
            case b"transfer-encoding":
                codings.append(value)
                continue
            case b"expect" if value == b"100-continue":
                # Answered before the request is passed on.
                expects = lines[0].endswith(b" HTTP/1.1")
                continue
        kept.append(line)
    if len(lengths) + len(codings) > 1 or any(_LENGTH.fullmatch(length) is None for length in lengths):
        return Refusal(400, "a body has one Content-Length, or one Transfer-Encoding")
    if codings and codings != [b"chunked"]:
        return Refusal(501, "the only Transfer-Encoding known here is chunked")
    if codings and not lines[0].endswith(b" HTTP/1.1"):
        return Refusal(400, "only HTTP/1.1 knows chunks")
    return _Head(kept, int(lengths[0]) if lengths else 0, bool(codings), expects)
