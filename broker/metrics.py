"""Counters of the data plane: plain attributes, read by `snapshot`."""

from broker.mqtt.packets import Type


class Metrics:
    """All but `connections`, `sessions`, `sessions_persistent`, `queued_bytes`, `retained` and `retained_bytes`, which are
    what there is now, only rise.
    """

    __slots__ = (
        "bytes_in",
        "bytes_out",
        "connections",
        "connections_refused",
        "connects",
        "dropped_events",
        "dropped_expired",
        "dropped_oversize",
        "dropped_queue_full",
        "dropped_refused",
        "dropped_slow_qos0",
        "dropped_too_large",
        "dropped_unsaved",
        "handshakes_failed",
        "logins_refused",
        "malformed",
        "offences",
        "offences_by",
        "packets_in",
        "publishes_in",
        "publishes_out",
        "queued",
        "queued_bytes",
        "received",
        "resets",
        "retained",
        "retained_bytes",
        "retained_refused",
        "saved_groups",
        "sent",
        "sessions",
        "sessions_expired",
        "sessions_persistent",
        "sessions_refused",
        "sockets",
        "submitted",
        "takeovers",
        "timeouts",
        "unsettled_closed",
        "wills",
    )

    bytes_in: int
    bytes_out: int
    connections: int
    connections_refused: int
    connects: int
    dropped_events: int
    dropped_expired: int
    dropped_oversize: int
    dropped_queue_full: int
    dropped_refused: int
    dropped_slow_qos0: int
    dropped_too_large: int
    dropped_unsaved: int
    handshakes_failed: int
    logins_refused: int
    malformed: int
    offences: int
    packets_in: int
    publishes_in: int
    publishes_out: int
    queued: int
    queued_bytes: int
    resets: int
    retained: int
    retained_bytes: int
    retained_refused: int
    saved_groups: int
    sessions: int
    sessions_expired: int
    sessions_persistent: int
    sessions_refused: int
    submitted: int
    takeovers: int
    timeouts: int
    unsettled_closed: int
    wills: int
    sockets: int
    # By the type of the packet, and by the kind of the offence.
    received: list[int]
    sent: list[int]
    offences_by: dict[str, int]

    def __init__(self) -> None:
        for name in self.__slots__:
            setattr(self, name, 0)
        self.received, self.sent = [0] * 16, [0] * 16
        self.offences_by = {}

    @property
    def packets_out(self) -> int:
        return sum(self.sent) + self.publishes_out

    def sent_by_type(self) -> list[int]:
        """The usual messages are counted where they are sent, and what is repeated or special with the rest."""
        counts = list(self.sent)
        counts[Type.PUBLISH] += self.publishes_out
        return counts

    @property
    def dropped(self) -> int:
        """Messages that went to nobody, or not to everybody."""
        return (
            self.dropped_expired
            + self.dropped_queue_full
            + self.dropped_refused
            + self.dropped_slow_qos0
            + self.dropped_too_large
        )

    def snapshot(self) -> dict[str, int]:
        """Every counter by its name."""
        found = {name: getattr(self, name) for name in self.__slots__}
        return {name: count for name, count in found.items() if isinstance(count, int)}
