"""The thread that talks to Redis for an event loop, which must not wait for it."""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Final

from bridge.backplane.link import Away

logger = logging.getLogger("pabal.redis")

# Between two rounds: what is rung meanwhile goes into one message, and a busy relay is not held up.
SPACING_S: Final = 0.005
# At the latest; what has to be said again and again is said in its rounds.
ROUND_S: Final = 1.0


class Courier:
    """Does its errands when it is woken, and once a second. End it with `stop`.

    An errand is a callable that may block as long as a call of Redis does, and may raise Away: then it is on its own
    to make good for it in a later round.
    """

    def __init__(self, *, spacing_s: float = SPACING_S, round_s: float = ROUND_S) -> None:
        self._spacing_s = spacing_s
        self._round_s = round_s
        self._errands: Sequence[Callable[[], None]] = ()
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Returns at once; to be called in any thread."""
        if not self._woken.is_set():
            self._woken.set()

    def start(self, errands: Sequence[Callable[[], None]]) -> None:
        self._errands = errands
        self._thread = threading.Thread(target=self._run, name="pabal-redis", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Returns when the round under way has ended. A second call does nothing."""
        self._stopping.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._woken.wait(self._round_s)
            self._woken.clear()
            for errand in self._errands:
                self._do(errand)
            self._stopping.wait(self._spacing_s)

    @staticmethod
    def _do(errand: Callable[[], None]) -> None:
        try:
            errand()
        except Away as away:
            logger.debug("not done: %s", away)
        except Exception:
            logger.exception("an errand to Redis failed")
