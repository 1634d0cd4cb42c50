"""One request over HTTP/2, and what has come of its answer."""

import asyncio
import re
from dataclasses import dataclass, field
from typing import Final

import h2.errors
import h2.events
import httpcore2

from push.posting import MAX_REPLY_BYTES

_STATUS: Final = re.compile(rb"[1-9][0-9]{2}")


@dataclass(slots=True)
class Exchange:
    """`answered` is done once there is nothing to wait for. `is_over`: to both sides, so that nothing is left to give up."""

    answered: asyncio.Future[None]
    is_sent: bool = False
    is_over: bool = False
    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)

    def hears(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ResponseReceived(headers=headers):
                self.status = _status(headers)
                self.headers = [one for one in headers if not one[0].startswith(b":")]
                if not self.status:
                    self.ends(httpcore2.RemoteProtocolError("an answer that has no status"))
            case h2.events.DataReceived(data=data):
                self.body += data
                if len(self.body) > MAX_REPLY_BYTES:
                    self.ends()
            case h2.events.StreamEnded():
                self.is_over = self.is_sent
                self.ends()
            case h2.events.StreamReset(error_code=code):
                self.is_over = True
                self.ends(httpcore2.RemoteProtocolError(f"the server gave up ({name_of(code)})"))

    def ends(self, error: Exception | None = None) -> None:
        """Whatever comes first counts."""
        if self.answered.done():
            return
        if error is None:
            self.answered.set_result(None)
        else:
            self.answered.set_exception(error)
            # There may be nobody left who asks.
            self.answered.exception()

    def response(self) -> httpcore2.Response:
        return httpcore2.Response(
            self.status,
            headers=self.headers,
            content=bytes(self.body),
            extensions={"http_version": b"HTTP/2"},
        )


def name_of(code: int) -> str:
    """Of an error of HTTP/2."""
    try:
        return h2.errors.ErrorCodes(code).name
    except ValueError:
        return str(code)


def _status(headers: list[tuple[bytes, bytes]]) -> int:
    """0 if there is none."""
    return next((int(v) for name, v in headers if name == b":status" and _STATUS.fullmatch(v)), 0)
