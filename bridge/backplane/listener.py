"""Hears what others publish: one connection of its own, made again whenever it breaks."""

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from bridge.backplane.address import RedisAddress
from bridge.backplane.client import Client, failures, open_client, trouble

logger = logging.getLogger("pabal.redis")

_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 2.0
_LOOK_S: Final = 0.5
# A connection without a sign of life is asked for one, and given up when none comes.
QUIET_S: Final = 3.0
DEAD_S: Final = 6.0

Heard = Callable[[bytes | None], None]
"""Called in the listener's thread with what was published. None: something may have been missed."""


class Listener:
    """Owns a thread. Whoever is told should do little, and not raise. End it with `stop`."""

    def __init__(
        self,
        address: RedisAddress,
        channels: Mapping[str, Heard],
        *,
        quiet_s: float = QUIET_S,
        dead_s: float = DEAD_S,
    ) -> None:
        self._address = address
        self._channels = {name.encode(): heard for name, heard in channels.items()}
        self._quiet_s = quiet_s
        self._dead_s = dead_s
        self._failures = failures()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.connected = threading.Event()
        """Set while what is published is heard."""

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="pabal-redis-listener", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """A second call does nothing."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        pause = _FIRST_PAUSE_S
        while not self._stopping.is_set():
            try:
                self._listen()
            except self._failures as error:
                if self.connected.is_set():
                    pause = _FIRST_PAUSE_S
                logger.debug("not listening: Redis at %s %s", self._address, trouble(error).detail)
            except Exception:
                logger.exception("what Redis published could not be acted on")
            self.connected.clear()
            self._stopping.wait(pause * (0.5 + random.random() / 2))  # noqa: S311 -- no secret
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _listen(self) -> None:
        """Until it breaks or is to stop. Raises: what `failures()` has."""
        client = open_client(self._address, connections=2)
        try:
            hearing = client.pubsub()
            try:
                self._hear(hearing)
            finally:
                hearing.close()
        finally:
            _close(client)

    def _hear(self, hearing: Any) -> None:
        hearing.subscribe(*self._channels)
        missing = set(self._channels)
        heard_at, asked = time.monotonic(), False
        while not self._stopping.is_set():
            message = hearing.get_message(timeout=_LOOK_S)
            now = time.monotonic()
            if message is None:
                if now - heard_at > self._dead_s:
                    raise OSError("no sign of life")
                if now - heard_at > self._quiet_s and not asked:
                    hearing.ping()
                    asked = True
                continue
            heard_at, asked = now, False
            if message["type"] == "subscribe":
                missing.discard(message["channel"])
                if not missing and not self.connected.is_set():
                    self.connected.set()
                    self._tell_missed()
            elif message["type"] == "message":
                self._channels[message["channel"]](message["data"])

    def _tell_missed(self) -> None:
        for heard in self._channels.values():
            heard(None)


def _close(client: Client) -> None:
    try:
        client.close()
    except failures() as error:
        logger.debug("a connection to Redis was not closed: %s", error)
