"""Composition root of `pabal webapi`: the REST API alone, one of any number behind a load balancer.

It reads the database and writes accounts there; what changes a conversation it asks the broker's bridge for. Two
processes, gunicorn's: one that listens and watches, and the worker.
"""

import contextlib
import logging
import os
import signal
import sys
import threading
from types import FrameType
from typing import Self

from flask import Flask

from bridge.accounts.key_errors import KeyFileError
from bridge.store.unusable import NotAdmitted, UnusableDatabase
from cli import backplane, database, output, sockets
from cli.errors import CliError, SettingsError
from cli.relay_url import Relay, relay_of
from cli.roles import storage, watch
from cli.roles.services import new_instance, secret_of
from cli.roles.tracing import check as check_tracing
from cli.settings import Settings
from cli.webapi_root import make_application, serve_settings
from webapi import serve as web
from webapi.app import is_ready, on_close
from webapi.figures import Figures
from webapi.relay_client import MqttRelayClient
from webapi.settings import BrokerEndpoint

logger = logging.getLogger("pabal.webapi")

_LOOK_S = 0.1


def run(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C.

    The ready line comes once the broker was reached; until then HTTP answers, and `/readyz` says no.

    Raises: SystemExit at the end; CliError, in one line, for what stops the start before anything listens;
    SettingsError where a setting is missing or wrong.
    """
    secret, relay = secret_of(settings), relay_of(settings)
    signal.signal(signal.SIGTERM, _leave)
    backplane.check(settings)
    try:
        database.require_existing(settings)
        database.existing_keys(settings)
    except NotAdmitted as error:
        raise SettingsError(f"{error.detail}; {error.hint}") from error
    except (UnusableDatabase, KeyFileError) as error:
        raise CliError(f"{error.detail}; {error.hint}") from error
    check_tracing(settings)
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(sockets.listen("http", settings.http))
        metrics = watch.bind(settings, "web_metrics", 0.0)
        ready = [f"http={sockets.address_of(listening)}"]
        if metrics is not None:
            stack.enter_context(metrics)
            ready.append(f"metrics={sockets.address_of(metrics)}")
        once = stack.enter_context(_Once())
        storage.tell_of_limits(settings)
        watch.tell(settings, "web_metrics", metrics)

        def application() -> Flask:
            figures = Figures()
            name = settings.service_name or new_instance()
            client = MqttRelayClient(relay.addresses, name, secret, tls=relay.tls, figures=figures)
            endpoints = [_endpoint(settings, relay)]
            made = make_application(settings, client, endpoints, figures, metrics, "pabal-webapi")
            teller = _Teller(made, ready, once)
            teller.start()
            on_close(made, teller.stop)
            return made

        bind = f"fd://{listening.fileno()}"
        web.run(application, bind, serve_settings(settings), ends_with_parent=False)


def _endpoint(settings: Settings, relay: Relay) -> BrokerEndpoint:
    """Where clients find the broker: where this process does, unless they are told another way."""
    scheme = "mqtt" if relay.tls is None else "mqtts"
    return BrokerEndpoint(settings.public_mqtt or f"{scheme}://{relay.addresses[0]}", settings.public_ws)


def _leave(_number: int, _frame: FrameType | None) -> None:
    """As long as nothing has begun; gunicorn has a way of its own."""
    sys.exit(0)


class _Once:
    """A token that one process gets, among this one and those that come from it."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.write(self._write, b"1")
        os.set_blocking(self._read, False)

    def take(self) -> bool:
        with contextlib.suppress(BlockingIOError):
            return os.read(self._read, 1) != b""
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_about: object) -> None:
        os.close(self._read)
        os.close(self._write)


class _Teller:
    """Says the ready line when the first worker is ready. Owner of the thread that looks."""

    def __init__(self, app: Flask, ready: list[str], once: _Once) -> None:
        self._app = app
        self._ready = ready
        self._once = once
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._look, name="ready")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _look(self) -> None:
        while not is_ready(self._app):
            if self._stopped.wait(_LOOK_S):
                return
        if self._once.take():
            output.ready(self._ready, "webapi")
