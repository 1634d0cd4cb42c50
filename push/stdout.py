"""The service that needs none: each push is a line of the log, for those who want to see what would be sent."""

import logging
from collections.abc import Mapping
from typing import Any

from bridge.push.ports import Notification, Outcome, Sent, Subscription

logger = logging.getLogger("pabal.push")


class Stdout:
    """A `PushService`."""

    name = "stdout"

    def check(self, target: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002 -- there is nothing to choose
        return {}

    async def send(self, subscription: Subscription, notification: Notification) -> Outcome:
        shown = ": ".join(text for text in (notification.title, notification.body) if text)
        logger.info(
            "push to %s/%s (%s, badge %d)%s",
            subscription.user,
            subscription.device,
            notification.kind,
            notification.badge,
            f": {shown!r}" if shown else "",
        )
        return Sent("written to the log")

    async def close(self) -> None:
        """There is nothing to close."""
