"""A Redis that may be away at any time: each call is one bounded try, and while it is away nobody waits for it."""

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

from bridge.backplane.address import RedisAddress
from bridge.backplane.breaker import Breaker
from bridge.backplane.client import CONNECT_S, TIMEOUT_S, Client, failures, open_client, trouble
from pabal.histogram import Histogram

logger = logging.getLogger("pabal.redis")

CALL_SECONDS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25)
Word = str | bytes | int


class Away(Exception):  # noqa: N818 -- what it is; nobody outside of the backplane sees it
    """Redis did not answer, or would not do it. Whoever asked does without."""


class Asking(Protocol):
    def ask(self, *words: Word) -> object:
        """One command and its answer, as bytes, numbers and lists of them.

        Raises: Away.
        """
        ...


class LinkFigures:
    """Plain numbers for those who watch it. Attributes:

    up: 1 while the last call was answered, else 0.
    failures: calls that were not.
    calls: seconds that those which were answered took.
    """

    __slots__ = ("calls", "failures", "up")

    def __init__(self) -> None:
        self.up = 0
        self.failures = 0
        self.calls = Histogram(CALL_SECONDS)


class Link:
    """`Asking` over redis-py. Thread-safe. Nothing is connected before the first call; end it with `close`."""

    def __init__(
        self,
        address: RedisAddress,
        *,
        timeout_s: float = TIMEOUT_S,
        connect_s: float = CONNECT_S,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`timeout_s` bounds the answer to a call, and `connect_s` a new connection before it."""
        self.address = address
        self.figures = LinkFigures()
        self._timeout_s = timeout_s
        self._connect_s = connect_s
        self._clock = clock
        self._chance = chance
        self._failures = failures()
        self._guard = threading.Lock()
        self._opening = threading.Lock()
        self._breaker = Breaker()
        self._client: Client | None = None
        self._closed = False

    def ask(self, *words: Word) -> object:
        """As `Asking`."""
        begun = self._clock()
        with self._guard:
            if self._closed or not self._breaker.admits(begun, self._timeout_s + self._connect_s):
                raise Away("not asked")
        try:
            answer: object = self._opened().execute_command(*words)
        except self._failures as error:
            self._failed(begun, error)
            raise Away(trouble(error).detail) from error
        self._answered(begun)
        return answer

    def close(self) -> None:
        """Calls under way may fail, and later ones do. A second call does nothing."""
        self._closed = True
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _opened(self) -> Client:
        """A cluster is connected to here, by one thread while the others wait for it."""
        client = self._client
        if client is not None:
            return client
        with self._opening:
            if self._client is None:
                self._client = open_client(self.address, timeout_s=self._timeout_s, connect_s=self._connect_s)
            return self._client

    def _failed(self, begun: float, error: BaseException) -> None:
        with self._guard:
            self.figures.up = 0
            self.figures.failures += 1
            news = self._breaker.failed(begun, self._clock(), self._chance())
        if news:
            logger.warning(
                "Redis at %s %s; going on without it until it does", self.address, trouble(error).detail
            )

    def _answered(self, begun: float) -> None:
        now = self._clock()
        with self._guard:
            self.figures.up = 1
            self.figures.calls.add(now - begun)
            news = self._breaker.succeeded()
        if news:
            logger.warning("Redis at %s answers again", self.address)
