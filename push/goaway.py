"""Farewells of HTTP/2 servers, taken out of what they say (RFC 9113, section 6.8).

A server that wants no more requests on a connection says so, and still answers what it has. h2 takes that word for
the end, and every answer after it for an error; so it never gets to hear it.
"""

from typing import Final, NamedTuple

_HEAD: Final = 9
_GOAWAY: Final = 7
_BODY: Final = 8
_LONGEST: Final = 2**14
_NO_RESERVED_BIT: Final = 2**31 - 1


class NoFrameError(Exception):
    """Whoever speaks there speaks something else."""


class GoAway(NamedTuple):
    """What was asked on streams after `last_stream_id` was not looked at. `error`: 0 if nothing is wrong; `said`: more about
    it, for people.
    """

    last_stream_id: int
    error: int
    said: str = ""


class Farewells:
    """Splits what came over one connection, in pieces of any size."""

    def __init__(self) -> None:
        self._kept = b""

    def split(self, data: bytes) -> tuple[bytes, list[GoAway]]:
        """Whole frames but for the farewells, and those.

        Raises: NoFrameError if one would be longer than any that a server may send us.
        """
        data = self._kept + data if self._kept else data
        passed: list[bytes] = []
        found: list[GoAway] = []
        begin = at = 0
        while len(data) - at >= _HEAD:
            length = int.from_bytes(data[at : at + 3])
            if length > _LONGEST:
                # h2 would wait for the end of it.
                raise NoFrameError("what came is not HTTP/2")
            end = at + _HEAD + length
            if end > len(data):
                break
            if data[at + 3] == _GOAWAY and length >= _BODY:
                passed.append(data[begin:at])
                found.append(_read(data[at + _HEAD : end]))
                begin = end
            at = end
        passed.append(data[begin:at])
        self._kept = data[at:]
        return b"".join(passed), found


def _read(body: bytes) -> GoAway:
    return GoAway(
        int.from_bytes(body[:4]) & _NO_RESERVED_BIT,
        int.from_bytes(body[4:_BODY]),
        body[_BODY:].decode(errors="replace"),
    )
