"""Requests that are followed: which they are, and the steps that are told of them.

Following costs nothing where nobody asks for it. A request is followed if it brings a trace context that says so, or if
it is one of those that are given one here; a bound on how many keeps a client from filling the log.
"""

import contextlib
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final, Protocol

import msgspec

from pabal.ratelimit import RateLimiter
from pabal.trace import Trace

logger = logging.getLogger("pabal.trace")

_BURST_S: Final = 2
# What is being done for whom in this thread or task; the log says it with every line.
current: ContextVar[Trace | None] = ContextVar("trace", default=None)


@dataclass(frozen=True, slots=True)
class Span:
    """One step that is over. Times are nanoseconds since 1970. `parent_id` None: nothing comes before it."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str | None
    began_ns: int
    ended_ns: int
    about: Mapping[str, str | int] = field(default_factory=dict)
    error: str | None = None

    @property
    def took_ms(self) -> float:
        return (self.ended_ns - self.began_ns) / 1e6


class Recorder(Protocol):
    """Whom steps are told to. Called in any thread; returns at once and raises nothing."""

    def record(self, span: Span) -> None: ...


class LogRecorder:
    """One line in the log for each step."""

    def record(self, span: Span) -> None:
        failed = {} if span.error is None else {"error": span.error}
        about = {**span.about, **failed, "took_ms": round(span.took_ms, 3)}
        with saying(Trace(span.trace_id, span.span_id)):
            logger.info("%s", span.name, extra=about)


@dataclass(slots=True)
class Followed:
    """A request on its way. `header` is what its answer carries; `about` is told of it when it is over."""

    trace: Trace
    parent_id: str | None
    header: str
    began_ns: int
    about: dict[str, str | int] = field(default_factory=dict)


class Tracing:
    """Decides who is followed, and tells the recorders. Thread-safe."""

    def __init__(
        self,
        recorders: Sequence[Recorder] = (),
        *,
        every: int = 0,
        per_second: int = 0,
        clock: Callable[[], float] = time.monotonic,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """`every`: of the requests without a trace context, each so many-th is given one; 0: none. `per_second`: more
        are not told of, and only answered with the context that they brought.
        """
        self.every = every
        self.now_ns = now_ns
        self._recorders = tuple(recorders)
        self._limiter = RateLimiter(per_second, _BURST_S * per_second) if per_second else None
        self._clock = clock
        self._guard = threading.Lock()
        self._passed = 0

    def follow(self, given: Trace | None) -> Followed | None:
        """A request comes in, with what it brought. None if it is one of the many."""
        with self._guard:
            if given is None and not self._is_next():
                return None
            parent_id = None if given is None else given.parent_id
            given = given or Trace(secrets.token_hex(16), _new_id())
            told = given.sampled and self._limiter is not None and not self._limiter.take("", self._clock())
        trace = Trace(given.trace_id, _new_id() if told else given.parent_id, told)
        return Followed(trace, parent_id, str(given), self.now_ns())

    def _is_next(self) -> bool:
        if not self.every:
            return False
        self._passed = (self._passed + 1) % self.every
        return not self._passed

    @property
    def is_on(self) -> bool:
        """Whether anybody is told of anything."""
        return bool(self._recorders)

    def later(
        self, of: Trace, name: str, began_ns: int, error: str | None = None, **about: str | int
    ) -> None:
        """Something that was done for a request that is over, perhaps by another process, has just ended."""
        if of.sampled:
            ended = self.now_ns()
            self._tell(Span(name, of.trace_id, _new_id(), of.parent_id, began_ns, ended, about, error))

    def step(self, of: Followed, name: str, began_ns: int, ended_ns: int, **about: str | int) -> None:
        """Something that was done for this request is over."""
        if of.trace.sampled:
            self._tell(
                Span(name, of.trace.trace_id, _new_id(), of.trace.parent_id, began_ns, ended_ns, about)
            )

    def done(self, of: Followed, name: str, error: str | None = None) -> None:
        """The request itself is over."""
        trace = of.trace
        if trace.sampled:
            ended = self.now_ns()
            self._tell(
                Span(name, trace.trace_id, trace.parent_id, of.parent_id, of.began_ns, ended, of.about, error)
            )

    def _tell(self, span: Span) -> None:
        for recorder in self._recorders:
            recorder.record(span)


def traces_of(requests: Iterable[Followed | None]) -> dict[int, str]:
    """What comes of the requests that are told of goes on from there: their contexts, by their place."""
    return {
        place: str(one.trace) for place, one in enumerate(requests) if one is not None and one.trace.sampled
    }


class _Entry(msgspec.Struct, frozen=True):
    conv: str | None = None
    message_id: int | None = None


def entry_of(reply: bytes) -> dict[str, str | int]:
    """What a request has made: `conv` and `message_id`, as far as there is any."""
    made = msgspec.json.decode(reply, type=_Entry)
    found = {"conv": made.conv, "message_id": made.message_id}
    return {name: value for name, value in found.items() if value is not None}


NO_TRACING: Final = Tracing()


@contextlib.contextmanager
def saying(trace: Trace | None) -> Iterator[None]:
    """What is logged in the meantime is for this request."""
    token = current.set(trace)
    try:
        yield
    finally:
        current.reset(token)


def _new_id() -> str:
    return secrets.token_hex(8)
