"""What the services need of HTTP: one POST, and what came of it. `push.http_posts` does it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

# What is kept of an answer; longer ones are cut.
MAX_REPLY_BYTES: Final = 16 * 1024
_LONGEST_REASON: Final = 200
_NOT_SHOWN: Final = re.compile(r"(?:[^\x20-\x7e\xa0-\U0010ffff]|\s)+")


@dataclass(frozen=True, slots=True)
class Reply:
    """`headers` have names in lower case; `body` is the beginning of it, bounded."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    http_version: str = "HTTP/2"

    def json(self) -> object:
        """The body as JSON. Returns None if it is none."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None

    def told(self, more: str = "") -> str:
        """The answer in one line for people: its status, and what was said with it."""
        said = more or self.body.decode(errors="replace")
        said = _NOT_SHOWN.sub(" ", said).strip()[:_LONGEST_REASON]
        return f"answered {self.status}" + (f": {said}" if said else "")


class PostFailed(Exception):  # noqa: N818 -- named like the outcomes
    """There was no answer. `reason` is a line for people; `refused`: the address is not one to be asked at all."""

    def __init__(self, reason: str, *, refused: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.refused = refused


class Posts(Protocol):
    async def post(self, url: str, headers: Mapping[str, str], content: bytes) -> Reply:
        """One POST, bounded in time; redirects are not followed.

        Raises: PostFailed if no answer was had.
        """
        ...

    async def close(self) -> None:
        """May be called by each of those that share it."""
        ...
