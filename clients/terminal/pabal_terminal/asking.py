"""How a command asks the server: over HTTP, one request after the other, tried again under the same id."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from pabal.errors import RateLimited, Unavailable
from pabal.ids import REQUEST_ID_MAX, ConvId, RequestId, UserId
from pabal.messages import Committed
from pabal_client.asking import encode, new_id, read_committed, read_done
from pabal_client.errors import Unreachable
from pabal_client.me import Authorised
from pabal_client.naming import conversation_of
from pabal_client.rest import Rest
from pabal_client.tokens import FreshToken
from pabal_terminal.errors import TerminalError
from pabal_terminal.profile import ProfileFile
from pabal_terminal.telling import told

T = TypeVar("T")
TIMEOUT: Final = 30.0
_LONGEST_TRY = 10.0


class Asker:
    """The server, for whoever is logged in. Its methods raise PabalError, Unreachable or TerminalError."""

    def __init__(self, me: UserId, rest: Rest, token: FreshToken) -> None:
        self.me = me
        self.http = Authorised(rest, token)

    def conversation(self, name: str) -> ConvId:
        """`@bob` or `bob` for the one with a user, or a conversation's id. Raises: BadRequest."""
        return conversation_of(self.me, name)

    def entry(
        self, op: str, request_id: str | None, timeout: float = TIMEOUT, **fields: Any
    ) -> tuple[str, Committed]:
        """A request that makes an entry, stored once under its id. Returns the id, and the answer."""
        name = checked_id(request_id)
        reply = self.until(self._request(op, name, fields), timeout, name)
        return name, read_committed(reply)

    def done(self, op: str, **fields: Any) -> None:
        """A request that may be made twice without harm."""
        read_done(self.until(self._request(op, new_id(), fields)))

    def ask(self, op: str, read: Callable[[bytes], T], **fields: Any) -> T:
        return read(self.until(self._request(op, new_id(), fields)))

    @staticmethod
    def _request(op: str, name: RequestId, fields: dict[str, Any]) -> Callable[[Rest, float], bytes]:
        payload = encode(op, name, fields)
        return lambda rest, timeout: rest.request_as_it_is(payload, timeout=timeout)

    def until(
        self, ask: Callable[[Rest, float], T], timeout: float = TIMEOUT, request_id: str | None = None
    ) -> T:
        """Try until it is done or refused for good, for `timeout` seconds over all. `ask` is told how long one
        try may take.

        Raises: TerminalError when the time is up, with what to do about `request_id`.
        """
        end = time.monotonic() + timeout
        wait = 0.5
        while True:
            try:
                one_try = max(0.1, min(_LONGEST_TRY, end - time.monotonic()))
                return self.http.do(lambda rest, one_try=one_try: ask(rest, one_try))  # type: ignore[misc] # the default keeps the value of this round
            except (Unreachable, Unavailable, RateLimited) as error:
                pause = max(wait, getattr(error, "retry_after", None) or 0.0)
                wait *= 2
                if time.monotonic() + pause >= end:
                    raise _unknown(error, request_id) from error
            time.sleep(pause)


def _unknown(error: Unreachable | Unavailable | RateLimited, request_id: str | None) -> TerminalError:
    again = "run it again" if request_id is None else f"with `--id {request_id}` it is safe to send again"
    return TerminalError(
        error.detail, hint=f"it may or may not have been kept; {again}", code=getattr(error, "code", None)
    )


def checked_id(request_id: str | None) -> RequestId:
    """This id, or a new one. Raises: TerminalError."""
    if request_id is not None and not 0 < len(request_id) <= REQUEST_ID_MAX:
        raise TerminalError(f"an id has 1 to {REQUEST_ID_MAX} characters", code="bad_request")
    return RequestId(request_id) if request_id else new_id()


@contextmanager
def asking(profile_path: Path | None, *, password: bool = False) -> Iterator[Asker]:
    """The server of the profile. `password`: the command asks for one. Raises: TerminalError."""
    file = ProfileFile(profile_path)
    profile = file.read()
    with told(password=password), Rest(profile.server) as rest:
        yield Asker(UserId(profile.user), rest, FreshToken(profile.server, file))
