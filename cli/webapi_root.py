"""Composition root of the web process: accounts, reads and a client of the relay under webapi."""

import socket
from contextlib import ExitStack
from dataclasses import replace

from flask import Flask

from bridge.build import open_reads
from cli import backplane, database, logs
from cli.push_services import push_offer
from cli.settings import Address, Settings
from cli.webapi_process import INSTANCE, Task
from webapi import serve as web
from webapi.app import Services, create_app
from webapi.relay_client import MqttRelayClient
from webapi.settings import BrokerEndpoint, ServeSettings, WebSettings

# Shorter than what the server waits for this process, so that it need not be killed.
_GRACE_S = 5
# Fewer than the threads: most of those wait for the relay, a password's hash or something to read.
_CONNECTIONS = 16


def serve(task: Task, listening: socket.socket) -> None:
    """Serve until SIGTERM. Raises: SystemExit, always."""
    settings = Settings.model_validate_json(task.settings)
    logs.configure(settings.log_level, settings.log_format)
    web.run(lambda: _application(task, settings), f"fd://{listening.fileno()}", _serve_settings(settings))


def _serve_settings(settings: Settings) -> ServeSettings:
    made = ServeSettings(threads=settings.web_threads, graceful_timeout_s=_GRACE_S)
    if settings.proxies:
        # All clients come from the proxy's address, and it is the proxy that must bound them.
        return replace(made, connections_per_address=made.connections)
    return made


def _application(task: Task, settings: Settings) -> Flask:
    with ExitStack() as stack:
        plane = stack.enter_context(backplane.plane(settings))
        accounts = stack.enter_context(database.accounts(settings, _CONNECTIONS, changed=plane.changed))
        reads = stack.enter_context(open_reads(settings.url, pool_size=_CONNECTIONS))
        relay = MqttRelayClient(*Address.parse(task.relay), INSTANCE, task.secret)
        relay.start()
        stack.callback(relay.stop)
        # From here on it is the application that closes them.
        services = Services(accounts, reads, relay, plane, close=stack.pop_all().close)
    return create_app(services, _web_settings(task, settings))


def _web_settings(task: Task, settings: Settings) -> WebSettings:
    return WebSettings(
        brokers=(BrokerEndpoint(task.public_mqtt, task.public_ws),),
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
    )
