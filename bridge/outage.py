"""What cannot be done for a while, and is tried again and again meanwhile: said once, and once more when it goes on."""

import logging

logger = logging.getLogger("pabal.bridge")


class Outage:
    """Of one thing that somebody keeps trying. Not thread-safe."""

    __slots__ = ("_again", "_is_on", "_log", "_what")

    def __init__(self, what: str, again: str, log: logging.Logger = logger) -> None:
        """`what` says in the log that it cannot be done, `again` that it can."""
        self._log = log
        self._what = what
        self._again = again
        self._is_on = False

    def goes_on(self, error: Exception) -> None:
        """It was tried, and this is why it failed."""
        if not self._is_on:
            self._log.warning("%s: %s; trying again", self._what, error)
        self._is_on = True

    def ends(self) -> None:
        """It was tried, and done. Nothing is said if it always could be."""
        if self._is_on:
            self._log.warning("%s", self._again)
        self._is_on = False
