"""The web server: gunicorn with one worker process and a fixed number of threads (see `worker`).

gunicorn has no types, which is what every `no-untyped-call` below is about.
"""

import logging
import os
import sys
from collections.abc import Callable
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger

from webapi.app import close_app
from webapi.settings import ServeSettings
from webapi.worker import Worker

_FD = "fd://"


def run(
    factory: Callable[[], Flask],
    bind: str,
    settings: ServeSettings | None = None,
    *,
    ends_with_parent: bool = True,
) -> None:
    """Serve until SIGTERM (what is under way is finished first), SIGINT, or, unless it is nobody's child, the end of
    the parent process.

    `factory` is called in the worker process, so it may start threads and open connections; what it made is
    closed there by `close_app`. `bind` is HOST:PORT, or `fd://N` for a listening socket that was inherited and
    stays the caller's. Call it in the main thread.

    Raises: SystemExit, always: 0 after a stop that was asked for.
    """
    if bind.startswith(_FD):
        # gunicorn closes the descriptor that it is given.
        bind = f"{_FD}{os.dup(int(bind.removeprefix(_FD)))}"
    application = _Application(factory, bind, settings or ServeSettings())
    _Arbiter(application, os.getppid() if ends_with_parent else None).run()  # type: ignore[no-untyped-call]


class _Log(Logger):
    """What gunicorn says goes where everything else does, in the same form."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)  # type: ignore[no-untyped-call]
        log: logging.Logger = self.error_log
        log.handlers.clear()
        log.propagate = True


class _Application(BaseApplication):
    def __init__(self, factory: Callable[[], Flask], bind: str, settings: ServeSettings) -> None:
        self._factory = factory
        self._bind = bind
        self.settings = settings
        super().__init__()  # type: ignore[no-untyped-call]

    def load_config(self) -> None:
        options: dict[str, Any] = {
            "bind": self._bind,
            "workers": 1,
            "worker_class": Worker,
            "threads": self.settings.threads,
            "worker_connections": self.settings.connections,
            "graceful_timeout": self.settings.graceful_timeout_s,
            "keepalive": self.settings.keepalive_s,
            "accesslog": None,
            "logger_class": _Log,
            "loglevel": "warning",
            "proc_name": "pabal-webapi",
            "control_socket_disable": True,
            "worker_exit": _close,
        }
        config: Any = self.cfg
        for name, value in options.items():
            config.set(name, value)

    def load(self) -> Flask:
        return self._factory()


class _Arbiter(Arbiter):
    """Looks once a second whether its parent still lives; a worker does the same with the arbiter."""

    def __init__(self, app: _Application, parent: int | None) -> None:
        self._parent = parent
        super().__init__(app)  # type: ignore[no-untyped-call]

    def murder_workers(self) -> None:
        if self._parent is not None and os.getppid() != self._parent:
            raise StopIteration  # how gunicorn's own handlers ask for a graceful stop
        super().murder_workers()  # type: ignore[no-untyped-call]


def _close(_arbiter: Any, worker: Any) -> None:
    """Called in the worker process as its last act, and elsewhere for one that is gone."""
    if worker.pid != os.getpid():
        return
    if isinstance(getattr(worker, "wsgi", None), Flask):
        close_app(worker.wsgi)
    ending = sys.exc_info()[1]
    if isinstance(ending, SystemExit) and ending.code == 0:
        leave_at_once()


def leave_at_once() -> None:
    """Where all is closed: taking the interpreter apart would take up to a second, and nobody would have anything of it."""
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)
