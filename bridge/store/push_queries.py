"""What is asked of push subscriptions and quiet hours, within a snapshot."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from pabal.ids import DeviceId, UserId

_SUBSCRIPTION = text(
    "SELECT service, preview, lang, quiet, subscribed_ts, ended IS NOT NULL FROM push_subscription"
    " WHERE user_id = :user AND device_id = :device"
)
_OF_USER = text(
    "SELECT device_id, service, preview, lang, quiet, subscribed_ts, ended IS NOT NULL FROM push_subscription"
    " WHERE user_id = :user ORDER BY device_id"
)
_QUIET = text("SELECT conv_id, hours FROM quiet_hours WHERE user_id = :user ORDER BY conv_id")
# Twice the condition of the table's index, to the letter, so that it is used.
_UNTOLD = text(
    "SELECT user_id, device_id, subscribed_ts, ended, service, reason FROM push_subscription"
    " WHERE ended IS NOT NULL AND told_ts IS NULL ORDER BY user_id, device_id LIMIT :limit"
)


class SubscriptionView(NamedTuple):
    """What a subscription shows; its target is between the server and the push service. `quiet` is JSON."""

    service: str
    preview: str
    lang: str
    quiet: str | None
    since: int
    ended: bool


class EndedSubscription(NamedTuple):
    user: UserId
    device: DeviceId
    since: int
    ended: str
    service: str
    reason: str | None


def _view(row: Sequence[Any]) -> SubscriptionView:
    service, preview, lang, quiet, since, ended = row
    return SubscriptionView(service, preview, lang, quiet, since, bool(ended))


class PushQueries:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def subscription(self, user: UserId, device: DeviceId) -> SubscriptionView | None:
        """None if there is none."""
        row = self._connection.execute(_SUBSCRIPTION, {"user": user, "device": device}).first()
        return None if row is None else _view(row)

    def subscriptions(self, user: UserId) -> list[tuple[DeviceId, SubscriptionView]]:
        """By device."""
        found = self._connection.execute(_OF_USER, {"user": user})
        return [(DeviceId(row[0]), _view(row[1:])) for row in found]

    def quiet(self, user: UserId) -> dict[str, str]:
        """Hours as JSON, by conversation; under the empty one those for all."""
        found = self._connection.execute(_QUIET, {"user": user})
        return {row[0]: row[1] for row in found}

    def untold(self, limit: int) -> list[EndedSubscription]:
        """Those that have ended, and of which nobody was told."""
        found = self._connection.execute(_UNTOLD, {"limit": limit})
        return [
            EndedSubscription(UserId(user), DeviceId(device), since, ended, service, reason)
            for user, device, since, ended, service, reason in found
        ]
