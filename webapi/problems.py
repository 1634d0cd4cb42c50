"""Refusals over HTTP: RFC 9457 problem documents with the codes of the protocol."""

import logging
from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from pabal.errors import PabalError
from webapi.schemas import Problem

MIME = "application/problem+json"
_log = logging.getLogger("pabal.webapi")

# HTTP knows refusals that MQTT has no word for; they get the nearest code.
_CODES = {
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too_large",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limited",
    HTTPStatus.SERVICE_UNAVAILABLE: "unavailable",
}


class UnsupportedMediaTypeError(PabalError):
    """A body that does not say that it is JSON; only HTTP has this refusal."""

    code = "bad_request"
    http_status = 415


def response(
    status: int,
    code: str,
    detail: str,
    *,
    retry_after: int | None = None,
    extra: Mapping[str, object] | None = None,
) -> Response:
    """The answer with this problem document. `extra` are further members of it."""
    title = HTTPStatus(status).phrase
    problem = Problem(
        type="about:blank", title=title, status=status, detail=detail, code=code, retry_after=retry_after
    )
    document = {**msgspec.to_builtins(problem), **(extra or {})}
    answer = Response(msgspec.json.encode(document), status, mimetype=MIME)
    if retry_after is not None:
        answer.headers["Retry-After"] = str(retry_after)
    if status == HTTPStatus.UNAUTHORIZED:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="pabal"'
    return answer


def of_error(error: PabalError, extra: Mapping[str, object] | None = None) -> Response:
    retry_after = error.retry_after
    if retry_after is None and error.http_status == HTTPStatus.SERVICE_UNAVAILABLE:
        retry_after = 1  # the contract gives every `unavailable` one
    return response(error.http_status, error.code, error.detail, retry_after=retry_after, extra=extra)


def install(app: Flask) -> None:
    """Make every refusal of this application a problem document, those of Flask itself too."""
    app.register_error_handler(PabalError, of_error)
    app.register_error_handler(HTTPException, _of_http)
    app.register_error_handler(Exception, _of_bug)


def _of_http(error: HTTPException) -> Response:
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    code = _CODES.get(HTTPStatus(status), "bad_request")
    answer = response(status, code, error.description or HTTPStatus(status).phrase)
    for name, value in error.get_headers():
        if name not in {"Content-Type", "Content-Length"}:  # Allow, of 405, stays
            answer.headers[name] = value
    return answer


def _of_bug(error: Exception) -> Response:
    _log.error("a request failed", exc_info=error)
    return response(500, "internal_error", "the server has a fault; it is in its log")
