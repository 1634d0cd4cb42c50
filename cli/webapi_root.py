"""What the web process is put together from: accounts, reads and a client of the relay under webapi.

`serve` is for the child of the all-in-one; `cli.webapi_role` is the role by itself.
"""

import socket
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from flask import Flask
from pydantic import SecretStr

from bridge.build import open_reads
from broker.external.endpoint import parse
from cli import backplane, database, logs
from cli.address import Address
from cli.exposition.redis import with_redis
from cli.exposition.web import web_figure
from cli.push_services import push_offer
from cli.roles.services import SERVICE
from cli.roles.tracing import make_tracing
from cli.roles.watch_thread import WatchThread
from cli.settings import Settings
from cli.webapi_process import Task
from webapi import serve as web
from webapi.app import Services, check_readiness, create_app, on_close, watched
from webapi.figures import Figures
from webapi.mqtt_gate import Insiders
from webapi.relay_client import MqttRelayClient
from webapi.settings import BrokerEndpoint, ServeSettings, WebSettings

# Shorter than what the server waits for this process, so that it need not be killed.
_GRACE_S = 5


def serve(task: Task, listening: socket.socket) -> None:
    """Serve until SIGTERM, which ends this process. Raises: SystemExit, if it could not."""
    settings = Settings.model_validate_json(task.settings)
    logs.configure(settings.log_level, settings.log_format)

    metrics = None if task.metrics_fd is None else socket.socket(fileno=task.metrics_fd)

    def application() -> Flask:
        figures = Figures()
        relay = MqttRelayClient([Address.parse(task.relay)], SERVICE, task.secret, figures=figures)
        brokers = [BrokerEndpoint(task.public_mqtt, task.public_ws)]
        return make_application(settings, relay, brokers, figures, metrics, "pabal-web")

    try:
        web.run(application, f"fd://{listening.fileno()}", serve_settings(settings))
    except SystemExit as ended:
        if ended.code == 0:
            web.leave_at_once()
        raise


def serve_settings(settings: Settings) -> ServeSettings:
    made = ServeSettings(threads=settings.web_threads, graceful_timeout_s=_GRACE_S)
    if settings.proxies:
        # All clients come from the proxy's address, and it is the proxy that must bound them.
        return replace(made, connections_per_address=made.connections)
    return made


def make_application(
    settings: Settings,
    relay: MqttRelayClient,
    brokers: Sequence[BrokerEndpoint],
    figures: Figures,
    metrics: socket.socket | None,
    service: str,
) -> Flask:
    """To be called in the process that serves. The relay's client is started here, and whoever listens on `metrics`;
    `close_app` stops both. Nothing else is connected yet. `service` is what traces call this process.

    Raises: KeyFileError.
    """
    with ExitStack() as stack:
        pool = settings.web_connections
        keyring = database.existing_keys(settings)
        plane = stack.enter_context(backplane.plane(settings))
        accounts = stack.enter_context(database.accounts_with(keyring, settings, pool, changed=plane.changed))
        reads = stack.enter_context(open_reads(settings.url, pool_size=pool))
        tracing = make_tracing(settings, service, stack)
        relay.start()
        stack.callback(relay.stop)
        # From here on it is the application that closes them.
        services = Services(
            accounts, reads, relay, plane, close=stack.pop_all().close, figures=figures, tracing=tracing
        )
    app = create_app(services, _web_settings(settings, tuple(brokers)))
    if metrics is not None:
        watcher = WatchThread(
            metrics, with_redis(web_figure(watched(app)), plane.figures), lambda: check_readiness(app)
        )
        watcher.start()
        on_close(app, watcher.stop)
    return app


def _web_settings(settings: Settings, brokers: tuple[BrokerEndpoint, ...]) -> WebSettings:
    return WebSettings(
        brokers=brokers,
        cors_origins=tuple(settings.cors_origins),
        rate_limits=settings.rate_limits,
        requests_per_s=settings.request_rate,
        request_burst=settings.request_burst,
        failed_logins_per_minute=settings.login_failures_per_minute,
        sign_ups_per_hour=settings.signups_per_hour,
        max_body_bytes=settings.max_packet_bytes,
        max_waits=settings.web_waits,
        proxies=settings.proxies,
        push=push_offer(settings),
        mqtt_hook_secret=_revealed(settings.mqtt_hook_secret),
        insiders=_insiders(settings),
    )


def _insiders(settings: Settings) -> Insiders:
    """Who else than devices may come into another broker, which asks at `/mqtt/…`."""
    bridge = None if settings.mqtt_url is None else parse(settings.mqtt_url.get_secret_value())
    return Insiders(
        services=(SERVICE,),
        service_secret=_revealed(settings.service_secret),
        bridge=None if bridge is None else bridge.username,
        bridge_password=None if bridge is None else bridge.password,
        bridge_client_id=settings.mqtt_client_id,
    )


def _revealed(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
