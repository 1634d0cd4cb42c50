"""Three ways to run Pabal, each started for a measurement and ended after it, with the processes of each role."""

import contextlib
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import people
from processes import Role
from server import HOST, Place, place, serving
from started import Started, end, many_files, started

from cli.load.wire import Person

_START_S = 120
# With persistence, as the guarantee needs it, and without the limits that would drop what waits for a slow reader.
_MOSQUITTO = """\
listener {port} {host}
allow_anonymous true
persistence true
persistence_location {state}/
set_tcp_nodelay true
max_queued_messages 0
max_inflight_messages 0
user root
log_dest stderr
log_type error
"""


@dataclass(frozen=True)
class Deployment:
    """Where clients connect, who may, and what is running."""

    port: int
    people: list[Person]
    roles: dict[str, Role] = field(default_factory=dict)


@contextmanager
def all_in_one(count: int) -> Iterator[Deployment]:
    """`pabal serve` on SQLite."""
    with place() as where:
        everybody = people.make(where.url, count)
        with serving(where) as server:
            pid = server.process.pid
            roles = {"broker": Role(pid, children=False), "webapi": Role(pid, itself=False)}
            yield Deployment(server.port, everybody, roles)


@contextmanager
def roles(count: int) -> Iterator[Deployment]:
    """`pabal broker` and `pabal webapi` on PostgreSQL."""
    with place(postgres=True) as where, ExitStack() as stack:
        everybody = people.make(where.url, count)
        secret = secrets.token_urlsafe(32)
        shared = {"PABAL_SERVICE_SECRET": secret}

        def run(name: str, *flags: str) -> Started:
            return stack.enter_context(started(where.folder, where.url, name, *flags, **shared))

        broker = run("broker", "--mqtt", f"{HOST}:0", "--ws", f"{HOST}:0", "--metrics", f"{HOST}:0")
        relay = ("--relay", f"mqtt://{HOST}:{broker.port('mqtt')}")
        webapi = run("webapi", "--http", f"{HOST}:0", *relay)
        running = {"broker": _role(broker), "webapi": _role(webapi), "postgresql": _postgresql(where)}
        yield Deployment(broker.port("mqtt"), everybody, running)


@contextmanager
def behind_mosquitto(count: int) -> Iterator[Deployment]:
    """Debian's mosquitto, and `pabal bridge` on PostgreSQL."""
    with place(postgres=True) as where, ExitStack() as stack:
        everybody = people.make(where.url, count)
        port, mosquitto = stack.enter_context(_mosquitto(where.folder))
        url = ("--mqtt-url", f"mqtt://{HOST}:{port}")
        url = (*url, "--metrics", f"{HOST}:0")
        bridge = stack.enter_context(started(where.folder, where.url, "bridge", *url))
        running = {"mosquitto": mosquitto, "bridge": _role(bridge), "postgresql": _postgresql(where)}
        yield Deployment(port, everybody, running)


@contextmanager
def _mosquitto(folder: Path) -> Iterator[tuple[int, Role]]:
    """Its port and its process."""
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise SystemExit("mosquitto is not installed (Debian: apt-get install mosquitto)")
    with socket.create_server((HOST, 0)) as probe:
        port = probe.getsockname()[1]
    state = folder / "mosquitto"
    state.mkdir()
    config = folder / "mosquitto.conf"
    config.write_text(_MOSQUITTO.format(port=port, host=HOST, state=state))
    with (folder / "mosquitto.log").open("ab") as log:
        process = subprocess.Popen(
            [program, "-c", str(config)], stdout=log, stderr=log, preexec_fn=many_files
        )
    try:
        _wait_for(port, process)
        yield port, Role(process.pid)
    finally:
        end(process)


def _wait_for(port: int, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + _START_S
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1):
            return
        time.sleep(0.05)
    raise SystemExit("mosquitto did not start")


def _role(one: Started) -> Role:
    return Role(one.process.pid)


def _postgresql(where: Place) -> Role:
    """All of the cluster that `place` made."""
    return Role(int((where.folder.parent / "cluster" / "postmaster.pid").read_text().split()[0]))
