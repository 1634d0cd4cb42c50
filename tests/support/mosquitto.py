"""Debian's mosquitto as a process of a test, where it is installed."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from faultlab.ports import port_of, reserved

PROGRAM = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
MISSING = "mosquitto is not installed (Debian: apt-get install mosquitto)"
OPEN = "allow_anonymous true\npersistence true\nautosave_interval 1\nset_tcp_nodelay true\n"
_START_S = 30


class Mosquitto:
    """On a port of its own, with its state in a folder that outlives it. `kill` is a `kill -9`."""

    def __init__(self, folder: Path, more: str = OPEN, *, config: Path | None = None) -> None:
        """`config` is a whole configuration, which says `listener` with `port` itself; else `more` is added to one."""
        self.folder = folder
        self.log = folder / "mosquitto.log"
        self._holder = reserved()
        self.port = port_of(self._holder)
        self.process: subprocess.Popen[bytes] | None = None
        self._config = config or folder / "mosquitto.conf"
        if config is None:
            state = folder / "state"
            state.mkdir(exist_ok=True)
            self._config.write_text(
                f"listener {self.port} 127.0.0.1\npersistence_location {state}/\n"
                # Run by root, it would become somebody who may not write there.
                f"user root\nlog_dest stderr\n{more}"
            )

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> "Mosquitto":
        assert PROGRAM is not None
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [PROGRAM, "-c", str(self._config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + _START_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return self
            assert self.process.poll() is None, f"mosquitto does not start:\n{self.log.read_text()}"
            assert time.monotonic() < deadline, f"mosquitto does not listen:\n{self.log.read_text()}"
            time.sleep(0.02)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        process, self.process = self.process, None
        if process is not None:
            process.send_signal(number)
            process.wait(_START_S)

    def close(self) -> None:
        self.kill()
        self._holder.close()
