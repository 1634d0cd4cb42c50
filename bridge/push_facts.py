"""What a batch has to know of push subscriptions, and what it changes in them."""

from dataclasses import dataclass, field

import msgspec

from pabal.ids import DeviceId, UserId

DeviceKey = tuple[UserId, DeviceId]


class SubscriptionRow(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A device's subscription as it is from now on. `target` and `quiet` are JSON."""

    user_id: str
    device_id: str
    service: str
    target: str
    preview: str
    lang: str
    quiet: str | None
    subscribed_ts: int
    host: str


@dataclass(slots=True)
class PushWanted:
    """Of which devices it must be known that they are there, and since when which subscriptions are."""

    devices: set[DeviceKey] = field(default_factory=set)
    subscriptions: set[DeviceKey] = field(default_factory=set)


@dataclass(slots=True)
class PushFacts:
    """`untold`: since when subscriptions are that have ended and of which nobody was told yet."""

    devices: set[DeviceKey] = field(default_factory=set)
    untold: dict[DeviceKey, int] = field(default_factory=dict)


@dataclass(slots=True)
class PushPlan:
    """What one transaction writes: None takes away. `told` are subscriptions that stay, and of whose end their users
    are told; `quiet` hours are by user and conversation, empty for all.
    """

    subscriptions: dict[DeviceKey, SubscriptionRow | None] = field(default_factory=dict)
    told: list[DeviceKey] = field(default_factory=list)
    quiet: dict[tuple[UserId, str], str | None] = field(default_factory=dict)
