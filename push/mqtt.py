"""MQTT itself: a wake-up on the device's own topic, for devices too small for anything else.

It is what the device would get anyway if it were connected, so that it is of use where a connection is held by
something that sleeps in between, or where a message waits in the device's session.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from bridge.push.ports import Notification, Outcome, Refused, Sent, Subscription, TryLater
from pabal.errors import PabalError
from pabal.ids import DeviceId, UserId
from push import payload

# An MQTT packet takes more; a constrained device may not.
LIMIT = 1024


class Wakes(Protocol):
    """Whoever can publish to a device."""

    async def wake(self, user: UserId, device: DeviceId, message: bytes) -> None:
        """On `down/{user}/{device}`, at QoS 1.

        Raises: PabalError if it cannot be done now.
        """
        ...


class MqttWake:
    """A `PushService`. What it sends is `{"op": "wake", …}` with the fields of the other services."""

    name = "mqtt"

    def __init__(self, wakes: Wakes) -> None:
        self._wakes = wakes

    def check(self, target: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002 -- the device says where it is
        return {}

    async def send(self, subscription: Subscription, notification: Notification) -> Outcome:
        message = payload.fitted(notification, LIMIT, _form)
        if message is None:
            return Refused("larger than a small device takes, and no text to shorten")
        try:
            await self._wakes.wake(subscription.user, subscription.device, message)
        except PabalError as error:
            return TryLater(f"not published: {error}")
        return Sent("published")

    async def close(self) -> None:
        """Who publishes is others' to close."""


def _form(notification: Notification) -> bytes:
    shown = {"title": notification.title, "body": notification.body}
    return msgspec.json.encode(
        {"op": "wake"}
        | payload.fields(notification)
        | {name: text for name, text in shown.items() if text is not None}
    )
