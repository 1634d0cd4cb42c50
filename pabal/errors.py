"""The refusals of the protocol: one root, stable codes, data in attributes.

PabalError
 ├── BadRequest      bad_request     400   malformed JSON, unknown op, missing or ill-typed field
 ├── Unauthorized    unauthorized    401   no credential, or one that is not (or no longer) good
 ├── Forbidden       forbidden       403   known, but not allowed
 ├── NotAMember      not_a_member    403   not in that conversation
 ├── Blocked         blocked         403   the other side does not want it
 ├── NotFound        not_found       404   no such user, device, conversation or message
 ├── Conflict        conflict        409   the name or the request id is used for something else
 ├── TooLarge        too_large       413   over a limit of size
 ├── RateLimited     rate_limited    429   too often; carries retry_after
 └── Unavailable     unavailable     503   nothing was kept; send again with the same id
"""

# ruff: noqa: N818 -- the classes are named as the codes of the protocol

from typing import ClassVar


class PabalError(Exception):
    """A refusal that goes to the client as it is.

    Attributes:
        code: the stable code of section 8 of the protocol.
        http_status: the same refusal over HTTP.
        detail: a sentence for people; names the field where one is to blame.
        field: the field to blame, or None.
        retry_after: whole seconds after which trying again makes sense, or None.
    """

    code: ClassVar[str]
    http_status: ClassVar[int]

    def __init__(self, detail: str, *, field: str | None = None, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail if field is None else f"{field}: {detail}"
        self.field = field
        self.retry_after = retry_after

    def __str__(self) -> str:
        return self.detail


class BadRequest(PabalError):
    code = "bad_request"
    http_status = 400


class Unauthorized(PabalError):
    code = "unauthorized"
    http_status = 401


class Forbidden(PabalError):
    code = "forbidden"
    http_status = 403


class NotAMember(PabalError):
    code = "not_a_member"
    http_status = 403


class Blocked(PabalError):
    code = "blocked"
    http_status = 403


class NotFound(PabalError):
    code = "not_found"
    http_status = 404


class Conflict(PabalError):
    code = "conflict"
    http_status = 409


class TooLarge(PabalError):
    code = "too_large"
    http_status = 413


class RateLimited(PabalError):
    code = "rate_limited"
    http_status = 429


class Unavailable(PabalError):
    code = "unavailable"
    http_status = 503


REFUSALS: tuple[type[PabalError], ...] = (
    BadRequest,
    Unauthorized,
    Forbidden,
    NotAMember,
    Blocked,
    NotFound,
    Conflict,
    TooLarge,
    RateLimited,
    Unavailable,
)
BY_CODE: dict[str, type[PabalError]] = {refusal.code: refusal for refusal in REFUSALS}
