"""The Flask application: puts routes, refusals, limits and CORS together."""

from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, version

from flask import Flask, Response, request
from werkzeug.middleware.proxy_fix import ProxyFix

from bridge.accounts.service import Accounts
from bridge.backplane.plane import NullPlane, Plane
from bridge.tracing import NO_TRACING, Tracing
from pabal.errors import Unavailable
from webapi import message_routes, openapi, problems, watching
from webapi.account_routes import AccountRoutes
from webapi.brokers import Brokers
from webapi.figures import Figures
from webapi.group_routes import GroupRoutes
from webapi.limits import Limits
from webapi.message_life_routes import MessageLifeRoutes
from webapi.message_routes import MessageRoutes
from webapi.mqtt_gate import MqttGate
from webapi.mqtt_hooks import MqttHooks
from webapi.operation_routes import OperationRoutes, add_documents, check_ready
from webapi.people_routes import PeopleRoutes
from webapi.ports import Reads, RelayClient
from webapi.presence_routes import PresenceRoutes
from webapi.push_routes import PushRoutes
from webapi.receipt_routes import ReceiptRoutes
from webapi.routing import Api
from webapi.safety_routes import SafetyRoutes
from webapi.settings import WebSettings
from webapi.trace_routes import TraceRoutes
from webapi.wakeups import Wakeups

_EXTENSION = "pabal"


def _nothing() -> None:
    return


@dataclass(frozen=True, slots=True)
class Services:
    """What the application works with. `close` ends what was opened for it; `close_app` calls it.

    `plane` is what it shares with other processes. `figures` is what the relay's client counts too.
    """

    accounts: Accounts
    reads: Reads
    relay: RelayClient
    plane: Plane = field(default_factory=NullPlane)
    close: Callable[[], None] = _nothing
    figures: Figures = field(default_factory=Figures)
    tracing: Tracing = NO_TRACING


@dataclass(frozen=True, slots=True)
class Watched:
    """What those who watch the application look at."""

    figures: Figures
    waits: Callable[[], int]
    relay_connected: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class _Running:
    wakeups: Wakeups
    services: Services
    figures: Figures
    closing: list[Callable[[], None]] = field(default_factory=list)


def create_app(services: Services, settings: WebSettings) -> Flask:
    """The application. Starts no thread before the first long poll but what hears of news; end it with `close_app`.

    Raises: ValueError if the settings name no broker.
    """
    brokers = Brokers(settings.brokers, services.plane.brokers)
    app = Flask("pabal", static_folder=None)
    app.url_map.merge_slashes = False  # a redirect for `//` would be no problem document
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    watching.install(app, services.figures, services.tracing)
    problems.install(app)
    message_routes.install_refusals(app)
    wakeups = Wakeups(services.reads.heads, max_waits=settings.max_waits, interval_s=settings.wake_interval_s)
    app.extensions[_EXTENSION] = _Running(wakeups, services, services.figures)
    services.plane.hear(news=wakeups.news)
    limits = Limits(settings, services.plane.counting)
    spec = openapi.new_spec(_version())
    api = Api(app, spec, services.accounts, limits)
    AccountRoutes(services.accounts, limits, brokers).register(api)
    SafetyRoutes(services.accounts, services.reads, limits).register(api)
    MessageRoutes(services.accounts, services.reads, services.relay, wakeups).register(api)
    PresenceRoutes(services.relay, services.reads, services.plane.states).register(api)
    PeopleRoutes(services.accounts, services.reads.people, services.relay).register(api)
    GroupRoutes(services.reads, services.relay).register(api)
    MessageLifeRoutes(services.relay).register(api)
    ReceiptRoutes(services.relay).register(api)
    PushRoutes(services.relay).register(api)
    TraceRoutes(services.accounts, services.reads).register(api)
    OperationRoutes(services.accounts, services.relay, brokers, settings.push).register(api)
    if settings.mqtt_hook_secret is not None:
        gate = MqttGate(services.accounts, services.reads, limits.failed_logins, settings.insiders)
        MqttHooks(gate, settings.mqtt_hook_secret).register(app)
    add_documents(app, lambda: openapi.describe(app, spec))
    _add_headers(app, settings.cors_origins)
    if settings.proxies:
        # Flask's documented way to add middleware.
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=settings.proxies, x_proto=settings.proxies, x_host=settings.proxies
        )
    return app


def watched(app: Flask) -> Watched:
    running: _Running = app.extensions[_EXTENSION]
    return Watched(running.figures, lambda: running.wakeups.waiting, running.services.relay.connected)


def is_ready(app: Flask) -> bool:
    """Whether `/readyz` would say so."""
    try:
        check_readiness(app)
    except Unavailable:
        return False
    return True


def check_readiness(app: Flask) -> None:
    """Raises: Unavailable, saying what is missing."""
    services: Services = app.extensions[_EXTENSION].services
    check_ready(services.accounts, services.relay)


def stop_waiting(app: Flask) -> None:
    """Answer the long polls soon; may be called in a signal handler."""
    running: _Running = app.extensions[_EXTENSION]
    running.wakeups.stop_waiting()


def on_close(app: Flask, call: Callable[[], None]) -> None:
    """What `close_app` calls first."""
    running: _Running = app.extensions[_EXTENSION]
    running.closing.append(call)


def close_app(app: Flask) -> None:
    """End the application's threads, and close its services."""
    running: _Running = app.extensions[_EXTENSION]
    for call in running.closing:
        call()
    running.wakeups.close()
    running.services.close()


def _add_headers(app: Flask, origins: tuple[str, ...]) -> None:
    """What every answer carries: no caching of private data, no kind where there is no content, and CORS for the
    origins that are allowed.
    """

    def add(response: Response) -> Response:
        if response.status_code == HTTPStatus.NO_CONTENT:
            response.headers.pop("Content-Type", None)
        if request.path.startswith("/v1/"):
            response.headers.setdefault("Cache-Control", "no-store")
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        if not origins:
            return response
        response.headers.add("Vary", "Origin")
        origin = request.headers.get("Origin")
        if origin is not None and ("*" in origins or origin in origins):
            response.headers["Access-Control-Allow-Origin"] = "*" if "*" in origins else origin
            response.headers["Access-Control-Expose-Headers"] = "Retry-After"
            if request.method == "OPTIONS":
                response.headers["Access-Control-Allow-Methods"] = "GET, POST, PUT, PATCH, DELETE"
                response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
                response.headers["Access-Control-Max-Age"] = "600"
        return response

    app.after_request(add)


def _version() -> str:
    try:
        return version("pabal")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "0"
