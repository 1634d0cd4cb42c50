"""What an answer says about when to try again, alike for all services that are asked over HTTP."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from bridge.push.ports import Refused, TryLater
from push import retry_after
from push.posting import PostFailed, Reply

Clock = Callable[[], float]
_FIRST_OF_SERVER: Final = 500
PASSING: Final = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
)


def is_good(reply: Reply) -> bool:
    return HTTPStatus.OK <= reply.status < HTTPStatus.MULTIPLE_CHOICES


def is_passing(reply: Reply) -> bool:
    """Whether it may go well another time."""
    return reply.status >= _FIRST_OF_SERVER or reply.status in PASSING


def later(reply: Reply, clock: Clock, more: str = "") -> TryLater:
    """`clock` tells seconds since 1970."""
    return TryLater(reply.told(more), retry_after.seconds(reply.headers.get("retry-after"), clock()))


def unanswered(failure: PostFailed) -> TryLater | Refused:
    """An address that is not to be reached will not become one by waiting; anything else may pass."""
    return Refused(failure.reason) if failure.refused else TryLater(failure.reason)
