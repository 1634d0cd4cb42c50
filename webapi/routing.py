"""From an HTTP request to a typed call of a view and back; one place that checks, counts and documents.

SpecTree keeps the description of every route. It does not read requests here, because it takes malformed JSON
for an empty object; msgspec reads them, strictly, from the same types.
"""

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from flask import Flask, Response, request
from spectree import Response as Documented
from spectree import SpecTree

from bridge.accounts.origin import Origin
from bridge.accounts.service import Accounts
from bridge.ports import Login
from pabal import codec
from pabal.errors import Forbidden, Unauthorized
from webapi.limits import Limits
from webapi.problems import UnsupportedMediaTypeError
from webapi.schemas import Problem

_BROKEN = (msgspec.DecodeError, RecursionError, UnicodeDecodeError, OverflowError)
_UNAVAILABLE = 503


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `body` and `query` are what the route says they are; `login` is set unless it is open."""

    address: str
    path: Mapping[str, str]
    query: Any
    body: Any
    raw: bytes
    _login: Login | None

    @property
    def login(self) -> Login:
        if self._login is None:
            raise AssertionError("an open route has no login")
        return self._login

    @property
    def origin(self) -> Origin:
        """For the audit log."""
        return Origin(self.address, None if self._login is None else self._login.device, "http")

    def must(self, right: str) -> None:
        """Raises: Forbidden if this device may not do that."""
        if right not in self.login.allow:
            raise Forbidden(f"this device has no right to {right}")

    def must_be_logged_in(self) -> None:
        """Raises: Forbidden for a device secret, which is for messages and not for the account."""
        if self.login.session_id is None:
            raise Forbidden("a device secret cannot do this; log in")


@dataclass(frozen=True, slots=True)
class Download:
    """A file that is made while it is sent; what fails meanwhile breaks the connection off."""

    mimetype: str
    name: str
    chunks: Iterable[bytes]


@dataclass(frozen=True, slots=True)
class Answer:
    """`body`: a Struct, JSON bytes, a Download, or None for no content."""

    status: int
    body: object


View = Callable[[Call], Answer]


class Api:
    """Registers routes with Flask and describes them to SpecTree."""

    def __init__(self, app: Flask, spec: SpecTree, accounts: Accounts, limits: Limits) -> None:
        self._app = app
        self._spec = spec
        self._accounts = accounts
        self._limits = limits

    def route(
        self,
        method: str,
        rule: str,
        view: View,
        answers: Mapping[int, type | None],
        *,
        tag: str,
        body: type | None = None,
        described_as: type | None = None,
        query: type | None = None,
        refuses: tuple[int, ...] = (),
        problem: type = Problem,
        is_open: bool = False,
        counted: bool = True,
        may_be_empty: bool = False,
        streams: bool = False,
    ) -> None:
        """`answers` and `refuses` are documented; what every route of its kind can refuse is added.

        `described_as`: the body in the description, where that is not how it is read. `is_open`: without a login. `counted`: against the caller's rate limit.
        `may_be_empty`: no body stands for one that says nothing. `streams`: it answers with a Download.
        """

        def endpoint(**path: str) -> Response:
            address = request.remote_addr or ""
            login = None if is_open else self._authenticated()
            if counted:
                self._limits.request(address if login is None else login.user)
            asked = None if query is None else _read_query(query)
            raw, read = (b"", None) if body is None else _read_body(body, may_be_empty)
            return _response(view(Call(address, path, asked, read, raw, login)))

        endpoint.__name__ = view.__name__
        endpoint.__doc__ = view.__doc__
        codes = set(refuses)
        codes |= set() if is_open else {401}
        codes |= {429} if counted else set()
        codes |= {400} if query is not None or "<" in rule else set()
        codes |= {400, 413, 415} if body is not None else set()
        described = self._spec.validate(
            json=described_as or body,
            query=query,
            resp=_documented(answers, codes, problem),
            tags=(tag,),
            security=None if not is_open else [],
            operation_id=view.__name__,
            # SpecTree would add its own kind of validation error; ours is the 503 that any route can end in.
            validation_error_status=_UNAVAILABLE,
            skip_validation=True,
        )(endpoint)
        view_function = _as_it_comes(endpoint, described) if streams else described
        self._app.add_url_rule(rule, f"{method} {rule}", view_function, methods=[method])

    def _authenticated(self) -> Login:
        """Raises: Unauthorized without a credential that is good."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthorized("this needs 'Authorization: Bearer' with an access token or a device secret")
        return self._accounts.authenticate_bearer(token.strip())


def _as_it_comes(
    endpoint: Callable[..., Response], described: Callable[..., Response]
) -> Callable[..., Response]:
    """With SpecTree's description, and without its function, which puts an answer together before it is sent."""

    @functools.wraps(described)
    def plain(**path: str) -> Response:
        return endpoint(**path)

    return plain


def _documented(answers: Mapping[int, type | None], codes: set[int], problem: type) -> Documented:
    models: dict[str, Any] = {f"HTTP_{status}": model for status, model in answers.items()}
    models |= {f"HTTP_{status}": problem for status in sorted(codes)}
    return Documented(**models)


def _read_query(model: type) -> object:
    """Raises: BadRequest naming the parameter."""
    try:
        return msgspec.convert(request.args.to_dict(), model, strict=False)
    except _BROKEN as error:
        raise codec.malformed(error) from error


def _read_body(model: type, may_be_empty: bool) -> tuple[bytes, object]:
    """The body as it came, and read.

    Raises: UnsupportedMediaTypeError, BadRequest; RequestEntityTooLarge of werkzeug.
    """
    kind = request.mimetype
    if (
        kind
        and kind != "application/json"
        and not (kind.startswith("application/") and kind.endswith("+json"))
    ):
        raise UnsupportedMediaTypeError("send JSON, with 'Content-Type: application/json'")
    raw = request.get_data(cache=False)
    if may_be_empty and not raw:
        return raw, model()
    try:
        return raw, msgspec.json.decode(raw, type=model)
    except _BROKEN as error:
        raise codec.malformed(error) from error


def _response(answer: Answer) -> Response:
    if answer.body is None:
        return Response(status=answer.status)
    if isinstance(answer.body, Download):
        headers = {"Content-Disposition": f'attachment; filename="{answer.body.name}"'}
        return Response(answer.body.chunks, answer.status, headers, mimetype=answer.body.mimetype)
    content = answer.body if isinstance(answer.body, bytes) else msgspec.json.encode(answer.body)
    return Response(content, answer.status, mimetype="application/json")
