"""A stack as Docker Compose has it: one of the two files of docker/, under a name, ports and secrets of its own."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from stacklab.shell import StackError, run, until

ROOT = Path(__file__).parents[3]
DOCKER = ROOT / "docker"
IMAGES = ("python:3.11-slim-bookworm", "postgres:15-bookworm", "redis:7-bookworm", "eclipse-mosquitto:2")
_QUICK_S = 60.0


def compose_command() -> list[str]:
    """The plugin where it is there, else the program of old. Raises: StackError if there is neither."""
    with contextlib.suppress(StackError):
        run(["docker", "compose", "version"], seconds=_QUICK_S)
        return ["docker", "compose"]
    if shutil.which("docker-compose") is None:
        raise StackError("there is no Docker Compose: neither docker compose nor docker-compose")
    return ["docker-compose"]


def free_ports(number: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Container(NamedTuple):
    """`name` is the service's, with its number where there are several."""

    id: str
    name: str
    service: str

    def state(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(run(["docker", "inspect", self.id], seconds=_QUICK_S))[0]
        return told

    def is_well(self) -> bool:
        state = self.state()["State"]
        return bool(state["Running"]) and state.get("Health", {}).get("Status", "healthy") == "healthy"

    def kill(self) -> None:
        """As a crash would: the restart policy is to bring it back. Where its process cannot be reached from here, the engine
        kills it, and starts it again, as it takes that for somebody's wish.
        """
        pid = int(self.state()["State"]["Pid"])
        try:
            of_container = self.id in Path(f"/proc/{pid}/cgroup").read_text()
        except OSError:
            of_container = False
        if pid > 1 and of_container and os.geteuid() == 0:
            os.kill(pid, signal.SIGKILL)
        else:
            run(["docker", "kill", "--signal", "KILL", self.id], seconds=_QUICK_S)
            run(["docker", "start", self.id], seconds=_QUICK_S)


class Stack:
    """`folder` is for secrets and settings; nothing of docker/ is written to."""

    def __init__(self, file: str, project: str, folder: Path) -> None:
        self.file = file
        self.project = project
        self.folder = folder
        self.https, self.mqtts = free_ports(2)
        self._command = [*compose_command(), "-f", str(DOCKER / file), "--env-file", str(folder / ".env")]
        self._environment = {
            **os.environ,
            "COMPOSE_PROJECT_NAME": project,
            "PABAL_SECRETS": str(folder / "secrets"),
            "PABAL_TLS": str(folder / "tls"),
            "PABAL_HTTPS": f"127.0.0.1:{self.https}",
            "PABAL_MQTTS": f"127.0.0.1:{self.mqtts}",
            "PABAL_PUBLIC_HTTPS_PORT": str(self.https),
            "PABAL_PUBLIC_MQTTS_PORT": str(self.mqtts),
            "PABAL_HOST": "localhost",
        }

    @property
    def api(self) -> str:
        return f"https://localhost:{self.https}"

    @property
    def ca(self) -> Path:
        """By which this machine trusts the proxy."""
        return self.folder / "ca.pem"

    def compose(self, *arguments: str, seconds: float = _QUICK_S, **more: Any) -> str:
        """Raises: StackError."""
        return run([*self._command, *arguments], seconds=seconds, environment=self._environment, **more)

    @property
    def has_mosquitto(self) -> bool:
        return "mosquitto" in self.file

    def configure_mosquitto(self, *devices: str) -> str:
        """A line with the new secret of each of these devices. mosquitto reads it at its next start."""
        more = [word for device in devices for word in ("--device", device)]
        out = ["--out", "/var/lib/pabal-mosquitto", "--listen", "mosquitto:1883", "--webapis", "2"]
        return self.one_off("mosquitto-config", *out, *more)

    def make_secrets(self) -> None:
        run([str(DOCKER / "first-start"), str(self.folder)], seconds=_QUICK_S, environment=self._environment)

    def one_off(self, *words: str, seconds: float = _QUICK_S) -> str:
        """A command of Pabal in a container of its own."""
        return self.compose("run", "--rm", "-T", "tool", *words, seconds=seconds)

    def containers(self) -> list[Container]:
        """Those that are to run, by name."""
        form = '{{.ID}} {{.Label "com.docker.compose.service"}} {{.Label "com.docker.compose.oneoff"}}'
        of = f"label=com.docker.compose.project={self.project}"
        command = ["docker", "ps", "--all", "--no-trunc", "--filter", of, "--format", form]
        listed = run(command, seconds=_QUICK_S)
        rows = sorted((row.split() for row in listed.splitlines()), key=lambda row: (row[1], row[0]))
        services = [service for _id, service, oneoff in rows if oneoff.lower() != "true"]
        found: list[Container] = []
        for id_, service, oneoff in rows:
            if oneoff.lower() == "true":
                continue
            several = services.count(service) > 1
            number = 1 + sum(one.service == service for one in found)
            found.append(Container(id_, f"{service} {number}" if several else service, service))
        return found

    def until_well(self, seconds: float) -> float:
        """Returns how long it took until all were healthy. Raises: StackError, with who is not."""

        def all_well() -> bool:
            waiting[:] = [one.name for one in self.containers() if not one.is_well()]
            return not waiting

        waiting: list[str] = []
        try:
            return until(all_well, "all containers are healthy", seconds, every=0.5)
        except StackError as error:
            logs = "\n".join(self.log_of(name.partition(" ")[0]) for name in waiting)
            raise StackError(f"{error}; not: {', '.join(waiting)}\n{logs}") from None

    def fetch_ca(self) -> None:
        proxy = next(one for one in self.containers() if one.service == "proxy")
        run(["docker", "cp", f"{proxy.id}:/var/lib/pabal-proxy/ca.pem", str(self.ca)], seconds=_QUICK_S)

    def log_of(self, service: str, lines: int = 30) -> str:
        with contextlib.suppress(StackError):
            return self.compose("logs", "--no-color", "--tail", str(lines), service)
        return ""

    def down(self) -> None:
        """With volumes and all. Never raises, so that what failed before is what is told."""
        with contextlib.suppress(StackError, subprocess.SubprocessError):
            self.compose("down", "--volumes", "--remove-orphans", "--timeout", "10", seconds=180)
