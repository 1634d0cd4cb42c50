"""Web Push: browsers, each through the service of its maker (RFC 8030, 8291, 8292)."""

from collections.abc import Mapping
from typing import Any

from bridge.push.ports import Notification, Outcome, Subscription
from push.encrypted_push import EncryptedPush, urgency


class WebPush:
    """A `PushService`."""

    name = "webpush"

    def __init__(self, sending: EncryptedPush) -> None:
        self._sending = sending

    def check(self, target: Mapping[str, Any]) -> dict[str, Any]:
        """Raises: BadRequest."""
        return self._sending.check(target)

    async def send(self, subscription: Subscription, notification: Notification) -> Outcome:
        # A topic has one push waiting at the service: the newest of a conversation stands for the others.
        headers = {"urgency": urgency(notification), "topic": notification.collapse}
        return await self._sending.send(subscription, notification, headers)

    async def close(self) -> None:
        await self._sending.close()
