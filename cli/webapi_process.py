"""The process that serves the REST API: `python -m cli.webapi_process`, started by `pabal serve`.

Its task comes as one line on standard input, because arguments and environment can be read by others. That pipe
stays open for as long as the server lives; when it closes, this process and its workers end at once: whatever
was not committed was not acknowledged either.
"""

import os
import signal
import socket
import sys
import threading

import msgspec

_STDIN = 0
_CHUNK = 65_536


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What the process must know. `settings` is the JSON of `cli.settings.Settings`.

    `http_fd` is the listening socket, inherited, and `metrics_fd` that for those who watch, if there is one; `relay` is where the broker's MQTT listens (HOST:PORT).
    """

    settings: str
    http_fd: int
    relay: str
    secret: str
    public_mqtt: str
    public_ws: str
    metrics_fd: int | None = None


def main() -> None:
    task = msgspec.json.decode(_read_line(), type=Task)
    threading.Thread(target=_end_with_the_server, name="server-watch", daemon=True).start()
    # Behind the reading of the task, so that what follows can be slow to import.
    from cli.webapi_root import serve  # noqa: PLC0415 -- see above

    with socket.socket(fileno=task.http_fd) as listening:
        serve(task, listening)


def _read_line() -> bytes:
    """Unbuffered, so that nothing behind the line is taken.

    Exits with 2 where there is no whole line: then nobody wants this process.
    """
    line = b""
    while not line.endswith(b"\n"):
        chunk = os.read(_STDIN, _CHUNK)
        if not chunk:
            sys.exit(2)
        line += chunk
    return line


def _end_with_the_server() -> None:
    while os.read(_STDIN, _CHUNK):
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    main()
