"""What a client may not do and does all the same: counted by kind, and too much of it ends its connection."""

from collections import deque
from typing import TYPE_CHECKING

from broker.mqtt.reasons import Reason

if TYPE_CHECKING:
    from broker.connection import Connection
    from broker.hub import Hub


def offend(hub: "Hub", connection: "Connection", kind: str) -> None:
    """One of `kind`: `publish` or `subscribe` (without the right to it), `payload` (that cannot be read). The
    connection is closed for the last one that its limit allows.
    """
    settings, counted = hub.settings, hub.metrics.offences_by
    hub.metrics.offences += 1
    counted[kind] = counted.get(kind, 0) + 1
    now = hub.now()
    if connection.offences is None:
        connection.offences = deque(maxlen=settings.offence_limit)
    connection.offences.append(now)
    if (
        len(connection.offences) == settings.offence_limit
        and now - connection.offences[0] <= settings.offence_seconds
    ):
        hub.end(connection, reason=Reason.QUOTA_EXCEEDED)
