"""What is known of each request afterwards: how long it took and how it ended, and its trace if it is followed."""

import time

from flask import Flask, Response, g, request

from bridge import tracing as following
from bridge.tracing import Followed, Tracing
from pabal import trace
from webapi.figures import Figures

UNKNOWN = "-"
# Strangers may make up methods; they get no figures of their own.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def install(app: Flask, figures: Figures, tracing: Tracing) -> None:
    """Every answer of the application is counted; a trace context that a request brings comes back with its answer."""

    def begin() -> None:
        g.began = time.perf_counter()
        header = request.headers.get(trace.NAME)
        brought = None if header is None else trace.parse(header)
        followed = tracing.follow(brought) if brought is not None or tracing.every else None
        g.followed = followed
        g.following = None if followed is None else following.current.set(followed.trace)

    def end(response: Response) -> Response:
        route = UNKNOWN if request.url_rule is None else request.url_rule.rule
        method = request.method if request.method in _METHODS else "?"
        figures.answered(f"{method} {route}", response.status_code, time.perf_counter() - g.began)
        followed: Followed | None = g.followed
        if followed is not None:
            followed.about.update(method=method, route=route, status=response.status_code)
            response.headers[trace.NAME] = followed.header
            tracing.done(followed, "http")
        return response

    def leave(_error: BaseException | None) -> None:
        if g.get("following") is not None:
            following.current.reset(g.following)

    app.before_request(begin)
    app.after_request(end)
    app.teardown_request(leave)
