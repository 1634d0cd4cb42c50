"""What there is right now, counted when somebody asks."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from broker.hub import Hub


class Census(NamedTuple):
    """Attributes:
    connected: sessions that have a connection.
    inflight: messages that were sent and are not acknowledged yet.
    queued: messages that wait in memory for a client that is away or slow.
    unsettled: packets of clients that wait for the bridge or the store.
    """

    connected: int
    sessions: int
    subscriptions: int
    retained: int
    inflight: int
    queued: int
    unsettled: int

    @classmethod
    def of(cls, hub: "Hub") -> "Census":
        connected = subscriptions = inflight = queued = unsettled = 0
        for session in hub.sessions.values():
            subscriptions += len(session.subscriptions)
            inflight += len(session.inflight)
            if session.queue:
                queued += len(session.queue)
            connection = session.connection
            if connection is not None:
                connected += 1
                if connection.tickets:
                    unsettled += len(connection.tickets)
        return cls(
            connected, len(hub.sessions), subscriptions, len(hub.retained), inflight, queued, unsettled
        )
