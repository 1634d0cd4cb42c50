"""UnifiedPush: Android without Google, through a distributor of the person's choice.

The same encryption and the same answers as Web Push. Other rules for endpoints: at most 1000 characters, as that
specification has it; and services that people run themselves know no topics, so that none are sent.
"""

from collections.abc import Mapping
from typing import Any, Final

from bridge.push.ports import Notification, Outcome, Subscription
from push.encrypted_push import EncryptedPush, urgency

LONGEST_ENDPOINT: Final = 1000


class UnifiedPush:
    """A `PushService`."""

    name = "unifiedpush"

    def __init__(self, sending: EncryptedPush) -> None:
        self._sending = sending

    def check(self, target: Mapping[str, Any]) -> dict[str, Any]:
        """Raises: BadRequest."""
        return self._sending.check(target)

    async def send(self, subscription: Subscription, notification: Notification) -> Outcome:
        return await self._sending.send(subscription, notification, {"urgency": urgency(notification)})

    async def close(self) -> None:
        await self._sending.close()
