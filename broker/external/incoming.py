"""What came from another broker and waits for the bridge: acknowledged in the order in which it came, or never.

What nothing was kept of, and no reply will tell, is not acknowledged: the broker brings it again when the link is made
anew. What came behind it is acknowledged all the same, so that it does not come twice.
"""

from collections import deque
from collections.abc import Callable


class Arrival:
    """`bridge.ports.Ticket` of one message. Its `settle` does nothing once the link is gone."""

    __slots__ = ("_incoming", "_packet_id", "kept", "settled")

    def __init__(self, incoming: "Incoming", packet_id: int) -> None:
        self._incoming = incoming
        self._packet_id = packet_id
        self.settled = False
        self.kept = True

    def settle(self, accepted: bool) -> None:
        if not self.settled:
            self.settled = True
            self.kept = accepted
            self._incoming.settled(self)

    def offend(self) -> None:
        self._incoming.offences += 1

    @property
    def packet_id(self) -> int:
        """0: at QoS 0, of which the broker wants to hear nothing."""
        return self._packet_id


class Incoming:
    """The messages of one link.

    Attributes:
        offences: how often something could not be read as a request.
        unkept: how many the broker has to bring again.
    """

    def __init__(self, acknowledge: Callable[[int], None], on_unkept: Callable[[], None]) -> None:
        """`on_unkept` is called whenever there is one more that has to come again."""
        self._acknowledge = acknowledge
        self._on_unkept = on_unkept
        self._waiting: deque[Arrival] = deque()
        self._over = False
        self.offences = 0
        self.unkept = 0

    @property
    def open(self) -> int:
        """How many wait for the bridge, or for one that came before."""
        return len(self._waiting)

    def take(self, packet_id: int) -> Arrival:
        arrival = Arrival(self, packet_id)
        if packet_id:
            self._waiting.append(arrival)
        return arrival

    def over(self) -> None:
        """The link is gone: the broker brings again whatever it has no acknowledgement of."""
        self._over = True
        self._waiting.clear()

    def settled(self, arrival: Arrival) -> None:
        if self._over or not arrival.packet_id:
            return
        waiting = self._waiting
        while waiting and waiting[0].settled:
            first = waiting.popleft()
            if first.kept:
                self._acknowledge(first.packet_id)
        if not arrival.kept:
            self.unkept += 1
            self._on_unkept()
