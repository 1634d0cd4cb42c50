"""The web process of the all-in-one: a child of the server, watched by it."""

import socket
import sys

import msgspec

from cli import probe, sockets
from cli.settings import Address, Settings
from cli.supervisor import Supervisor
from cli.webapi_process import Task


def supervised(
    settings: Settings, http: socket.socket, mqtt: Address, ws: Address, secret: str
) -> Supervisor:
    """Not yet started. `http` is the listening socket that it inherits; `mqtt` and `ws` are where the broker listens,
    which lets it in by the secret.
    """
    reach = probe.reachable
    task = Task(
        settings=settings.model_dump_json(),
        http_fd=http.fileno(),
        relay=str(reach(mqtt)),
        secret=secret,
        public_mqtt=settings.public_mqtt or f"mqtt://{reach(mqtt)}",
        public_ws=settings.public_ws or f"ws://{reach(ws)}/mqtt",
    )
    return Supervisor(
        [sys.executable, "-P", "-m", "cli.webapi_process"],
        msgspec.json.encode(task),
        ready=lambda: probe.until_ready(reach(sockets.address_of(http))),
        pass_fds=[http.fileno()],
    )
