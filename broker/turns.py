"""Who handles packets in this turn of the loop: a little is free for everybody, the rest goes by turns.

A connection that pipelines would otherwise be handled until its socket is empty, and all others would wait.
"""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from broker.mqtt.packets import Packet, Publish, Subscribe, Unsubscribe

if TYPE_CHECKING:
    from broker.connection import Connection

# A packet costs the bytes of its payload, and this, which stands for its own handling.
_PACKET_COST: Final = 64
# What each connection may do in each turn of the loop without asking.
FREE: Final = 8 * 1024
# What all of them together may do beyond it. At least one packet is handled, however large.
BUDGET: Final = 64 * 1024


def cost_of(packet: Packet) -> int:
    """In bytes, or what takes as long."""
    match packet:
        case Publish():
            return _PACKET_COST + len(packet.payload)
        case Subscribe() | Unsubscribe():
            return _PACKET_COST * (1 + len(packet.filters))
        case _:
            return _PACKET_COST


class Turns:
    """The budget of a turn of the loop, and the connections that wait for the next one's, in order.

    Attributes:
        number: of this turn. It moves only while anybody works.
    """

    __slots__ = ("_call_soon", "_left", "_scheduled", "_serving", "_waiting", "number")

    def __init__(self, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self._call_soon = call_soon
        self._left = BUDGET
        self._scheduled = False
        self._serving: Connection | None = None
        self._waiting: deque[Connection] = deque()
        self.number = 0

    def begin(self) -> int:
        """Somebody works in this turn, which therefore has an end. Returns its number."""
        if not self._scheduled:
            self._scheduled = True
            self._call_soon(self._next)
        return self.number

    def take(self, connection: "Connection", cost: int) -> bool:
        """Whether the connection may go on beyond what is free; otherwise it is in the queue now, and is told
        by `take_turn`.
        """
        if self._left > 0 and (not self._waiting or self._serving is connection):
            self._left -= cost
            return True
        self._waiting.append(connection)
        return False

    def _next(self) -> None:
        self._scheduled = False
        self.number += 1
        self._left = BUDGET
        # Whoever comes to wait meanwhile has had its turn.
        for _ in range(len(self._waiting)):
            if self._left <= 0:
                break
            self._serving = self._waiting.popleft()
            try:
                self._serving.take_turn()
            finally:
                self._serving = None
        if self._waiting:
            self.begin()
