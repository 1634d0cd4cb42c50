"""What the broker keeps for one client id: who it is, what it subscribed to, and what is on its way to it.

A session outlives its connection if it is persistent. All of it is bounded; for the window and the queue see
`broker.outgoing`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from bridge.ports import Source, StoredSession
from broker.outgoing import Outgoing
from pabal import topics
from pabal.acl import Device, Principal, Service

if TYPE_CHECKING:
    from collections import deque

    from broker.inflow import Ticket
    from broker.keeper import Keeper
    from broker.message import Delivery
    from broker.metrics import Metrics
    from broker.plugin_session import PluginSession
    from broker.settings import BrokerSettings
    from broker.shared import Group
    from broker.waiting import Absence
    from pabal.ids import DeviceId, UserId

_RIGHTS: Final = 256

# A session of MQTT 5 that asks for this never expires of itself (3.1.2.11.2).
NEVER: Final = 0xFFFF_FFFF


class Session(Outgoing):
    """One client's state. Its connection is None while it is away.

    Attributes:
        expiry: for how many seconds it outlives its connection; 0: not at all; NEVER.
        subscriptions: what was granted by filter (`broker.grants`).
        groups: its shared subscriptions by filter; None if it has none.
        absence: while it is away.
    """

    __slots__ = (
        "absence",
        "device",
        "expiry",
        "groups",
        "incoming",
        "last_seen",
        "principal",
        "publish_rights",
        "receive_rights",
        "source",
        "stored_seen",
        "subscriptions",
        "undecided",
        "up_topic",
        "user",
        "view",
    )

    def __init__(
        self,
        client_id: str,
        *,
        expiry: int,
        settings: "BrokerSettings",
        metrics: "Metrics",
        clock: Callable[[], int],
        keeper: "Keeper | None" = None,
    ) -> None:
        """`clock` gives milliseconds since 1970."""
        super().__init__(client_id, settings=settings, metrics=metrics, clock=clock, keeper=keeper)
        self.expiry = expiry
        self.user: UserId | None = None
        self.device: DeviceId | None = None
        self.principal: Principal | None = None
        self.source: Source | None = None
        self.up_topic: str | None = None
        self.view: PluginSession | None = None
        self.subscriptions: dict[str, int] = {}
        self.groups: dict[str, Group] | None = None
        # QoS 2 packet ids of the client that wait for PUBREL; with the ticket until that is settled.
        self.incoming: dict[int, Ticket | None] = {}
        self.publish_rights: dict[str, bool] = {}
        self.receive_rights: dict[str, bool] | None = None
        self.undecided: deque[Delivery] | None = None
        self.absence: Absence | None = None
        # Milliseconds since 1970: when it was last here, and what of that is on disk.
        self.last_seen = 0
        self.stored_seen = 0

    @property
    def clean(self) -> bool:
        """Whether it ends with its connection."""
        return self.expiry == 0

    def identify(self, principal: Principal | None) -> None:
        """Who it is, as the login established it; earlier decisions were about somebody else."""
        self.forget_rights()
        self.principal = principal
        match principal:
            case Device(user, device, allow):
                self.user, self.device = user, device
                self.source = Source(user, device, allow)
                self.up_topic = topics.up(user, device)
            case Service(instance):
                self.up_topic = topics.service_up(instance)
            case None:
                self.up_topic = None

    def forget_rights(self) -> None:
        self.publish_rights.clear()
        if self.receive_rights is not None:
            self.receive_rights.clear()

    def remember_right(self, topic: str, allowed: bool) -> None:
        """The decision on publishing to this topic, for a bounded number of topics."""
        if len(self.publish_rights) >= _RIGHTS:
            self.publish_rights.clear()
        self.publish_rights[topic] = allowed

    def remember_receive_right(self, topic: str, allowed: bool) -> None:
        """Likewise on being sent it."""
        if self.receive_rights is None or len(self.receive_rights) >= _RIGHTS:
            self.receive_rights = {}
        self.receive_rights[topic] = allowed

    def stored(self) -> StoredSession:
        """The row that makes it survive a restart."""
        return StoredSession(
            client_id=self.client_id,
            user=self.user,
            device=self.device,
            subscriptions=dict(self.subscriptions),
            expiry=self.expiry,
            position=self.stream.position if self.stream is not None else None,
            last_seen=self.last_seen,
        )

    def clear(self) -> None:
        """It is over, and with it whatever waits for it."""
        super().clear()
        self.groups = None
        self.incoming.clear()
