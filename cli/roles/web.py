"""The web process of the all-in-one: a child of the server, watched by it."""

import socket
import sys

import msgspec

from cli import probe, sockets
from cli.address import Address
from cli.roles import announced
from cli.settings import Settings
from cli.supervisor import Supervisor
from cli.webapi_process import Task


def supervised(
    settings: Settings,
    http: socket.socket,
    metrics: socket.socket | None,
    mqtt: Address,
    ws: Address,
    secret: str,
) -> Supervisor:
    """Not yet started. `http` and `metrics` are listening sockets that it inherits; `mqtt` and `ws` are where the broker listens,
    which lets it in by the secret.
    """
    reach = probe.reachable
    metrics_fd = None if metrics is None else metrics.fileno()
    task = Task(
        settings=settings.model_dump_json(),
        http_fd=http.fileno(),
        metrics_fd=metrics_fd,
        relay=str(reach(mqtt)),
        secret=secret,
        public_mqtt=announced.mqtt_url(settings, mqtt),
        public_ws=announced.ws_url(settings, ws),
    )
    return Supervisor(
        [sys.executable, "-P", "-m", "cli.webapi_process"],
        msgspec.json.encode(task),
        ready=lambda: probe.until_ready(reach(sockets.address_of(http))),
        pass_fds=[http.fileno(), *([] if metrics_fd is None else [metrics_fd])],
    )
