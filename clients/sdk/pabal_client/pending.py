"""Handles for what was asked and is not answered yet."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from pabal.ids import RequestId
from pabal.messages import Committed
from pabal_client.errors import NotConfirmed

T = TypeVar("T")


class Pending(Generic[T]):
    """A request that will be answered, or has been.

    Attributes:
        id: the request's id; the same on every try.
    """

    def __init__(self, request_id: RequestId, read: Callable[[bytes], T]) -> None:
        self.id = request_id
        self._read = read
        self._done = threading.Event()
        self._result: T | None = None
        self._error: Exception | None = None

    def done(self) -> bool:
        """Whether `wait` would return (or raise) at once."""
        return self._done.is_set()

    def wait(self, timeout: float | None = None) -> T:
        """The answer; waits up to `timeout` seconds for it (None: as long as it takes).

        Raises: the PabalError of a refusal; NotConfirmed after `timeout`; Kicked, LoginRefused or Closed if the
        client ended before the answer came. In the last cases a `send` stays in the outbox and is still sent.
        """
        if not self._done.wait(timeout):
            raise NotConfirmed(f"no answer within {timeout:g} s", self.id)
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value] # set before the event where there is no error

    def resolve(self, reply: bytes) -> None:
        """For the client: this is the answer."""
        try:
            self._result = self._read(reply)
        except ValueError as error:
            self._error = error
        self._done.set()

    def fail(self, error: Exception) -> None:
        """For the client: there will be no answer, or it is a refusal."""
        if not self._done.is_set():
            self._error = error
            self._done.set()


PendingSend = Pending[Committed]
