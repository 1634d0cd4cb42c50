"""Hands what was received to the application, in order, each until it was taken."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from pabal_client import backoff
from pabal_client.errors import ClientError, Closed
from pabal_client.events import Event
from pabal_client.live import LiveValue, Presence, Receipt, Typing
from pabal_client.runner import Runner
from pabal_client.store import Received
from pabal_client.updates import Message, Update

_log = logging.getLogger("pabal_client")
_PAGE = 100


@dataclass(frozen=True, slots=True)
class Handlers:
    """What the application wants to be called with."""

    on_message: Callable[[Message], None] | None = None
    on_update: Callable[[Update], None] | None = None
    on_event: Callable[[Event], None] | None = None
    on_live: Callable[[Typing | Receipt], None] | None = None
    on_presence: Callable[[Presence], None] | None = None

    @property
    def take_updates(self) -> bool:
        return self.on_message is not None or self.on_update is not None

    @property
    def take_events(self) -> bool:
        return any(one is not None for one in (self.on_event, self.on_live, self.on_presence))


class Delivery:
    """Either calls the handlers from a thread of its own, or serves the loop over `updates`."""

    def __init__(self, runner: Runner, handlers: Handlers) -> None:
        self._runner = runner
        self._handlers = handlers
        self._read_ahead: list[Received] = []
        self._handed: Received | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        if self._handlers.take_updates or self._handlers.take_events:
            self._thread = threading.Thread(target=self._run, name="pabal-delivery", daemon=True)
            self._thread.start()

    def close(self, *, took_last: bool) -> None:
        """Wait for the handler that is at work, after `Runner.stop`. `took_last`: what the loop was given last
        is done with.
        """
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        if took_last:
            self._took()

    def updates(self, timeout: float | None) -> Iterator[Update]:
        """The updates as they come. Asking for the next one says that the last one was taken."""
        if self._handlers.take_updates:
            raise ClientError("the updates of this client go to its handlers")
        return self._loop(timeout)

    def _loop(self, timeout: float | None) -> Iterator[Update]:
        while True:
            self._took()
            received = self._await_next(timeout)
            if received is None:
                return
            self._handed = received
            yield received.update

    def _took(self) -> None:
        handed, self._handed = self._handed, None
        if handed is not None:
            self._runner.taken(handed)

    def _await_next(self, timeout: float | None) -> Received | None:
        until = None if timeout is None else time.monotonic() + timeout
        with self._runner.changed:
            while True:
                if received := self._next():
                    return received
                if self._runner.stopping or isinstance(self._runner.ended, Closed):
                    return None
                if self._runner.ended is not None:
                    raise self._runner.ended
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    return None
                self._runner.changed.wait(left)

    def _next(self) -> Received | None:
        if self._runner.stopping:
            return None
        if not self._read_ahead:
            self._read_ahead = self._runner.waiting(_PAGE)[::-1]
        return self._read_ahead.pop() if self._read_ahead else None

    def _run(self) -> None:
        while not self._stop.is_set():
            event, received = self._await_work()
            if event is not None:
                self._call_event(event)
            elif received is not None:
                self._call_until_taken(received)
            elif self._runner.stopping or self._runner.ended is not None:
                return

    def _await_work(self) -> tuple[Event | LiveValue | None, Received | None]:
        """Events first. (None, None) when there will be no more."""
        with self._runner.changed:
            while True:
                if event := self._runner.next_event():
                    return event, None
                if self._handlers.take_updates and (received := self._next()):
                    return None, received
                if self._runner.stopping or self._runner.ended is not None:
                    return None, None
                self._runner.changed.wait()

    def _call_event(self, event: Event | LiveValue) -> None:
        try:
            self._tell(event)
        except Exception:  # noqa: BLE001 -- the application's own; it must not end the client
            _log.exception("a handler failed; the event is passed over")

    def _tell(self, event: Event | LiveValue) -> None:
        handlers = self._handlers
        match event:
            case Presence():
                if handlers.on_presence is not None:
                    handlers.on_presence(event)
            case Typing() | Receipt():
                if handlers.on_live is not None:
                    handlers.on_live(event)
            case _:
                if handlers.on_event is not None:
                    handlers.on_event(event)

    def _call_until_taken(self, received: Received) -> None:
        attempt = 0
        while not self._stop.is_set():
            try:
                self._call(received.update)
            except Exception:  # noqa: BLE001 -- the application's own; it is told and asked again
                _log.exception("a handler failed; it is called again with the same update, %d", attempt + 1)
                self._stop.wait(backoff.delay(attempt, 0.5))
                attempt += 1
            else:
                with suppress(Closed):  # the handler itself closed the client
                    self._runner.taken(received)
                return

    def _call(self, update: Update) -> None:
        message = update.message()
        if message is not None and self._handlers.on_message is not None:
            self._handlers.on_message(message)
        elif message is None and self._handlers.on_update is not None:
            self._handlers.on_update(update)
