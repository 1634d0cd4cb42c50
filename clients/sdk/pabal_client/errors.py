"""What can go wrong on this side of the wire. What the server refuses is a `pabal.errors.PabalError`.

ClientError
 ├── StoreError          the store file cannot be used
 │    └── StoreInUse     another process has it open
 ├── OutboxFull          too many messages wait for the server already
 ├── NotConfirmed        no answer in time; the message stays in the outbox and is still sent
 ├── Unreachable         the server cannot be reached (also a TimeoutError where it was slow)
 ├── Kicked              the server ended this device's session; `reason` is its word for it
 ├── LoginRefused        the broker did not take the credential
 └── Closed              the client was closed
"""
# ruff: noqa: N818 -- the names say what happened, as in pabal.errors

from pabal.errors import PabalError
from pabal.ids import RequestId


class ClientError(Exception):
    """The root. `detail` is a sentence for people."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class StoreError(ClientError):
    pass


class StoreInUse(StoreError):
    pass


class OutboxFull(ClientError):
    pass


class NotConfirmed(ClientError, TimeoutError):
    """Attributes:
    id: the request's id. A `send` stays in the outbox under it and is still sent.
    """

    def __init__(self, detail: str, request_id: RequestId) -> None:
        super().__init__(detail)
        self.id = request_id


class Unreachable(ClientError):
    pass


class Kicked(ClientError):
    """Attributes:
    reason: the server's word for why.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"the server ended this device's session: {reason}")
        self.reason = reason


class LoginRefused(ClientError):
    pass


class Closed(ClientError):
    pass


class UnknownRefusal(PabalError):
    """A refusal with a code that this version does not know; it is final all the same."""

    code = "unknown"
    http_status = 400

    def __init__(self, code: str, detail: str, *, retry_after: int | None = None) -> None:
        super().__init__(detail, retry_after=retry_after)
        self.code = code  # type: ignore[misc] # a class variable elsewhere, here only the server knows it
