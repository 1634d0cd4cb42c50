"""All SQL about the audit log: what happened to accounts, written in the transaction in which it happened.

It is bounded: of each kind only the newest events of a user are kept, and failed logins of one while are one row.
"""

from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import Connection, insert, select, text, update

from bridge.store.tables import audit
from pabal.ids import DeviceId, UserId

# Events of one kind that are kept of one user.
KEPT_OF_A_KIND = 200
# Failed logins within so long are told as one event.
TOGETHER_MS = 10 * 60 * 1000
# How many of the addresses from which logins failed are named.
SHOWN_ADDRESSES = 10
_MAX_ADDRESS = 64

_BOUND = text(
    "DELETE FROM audit WHERE user_id = :user AND event = :event AND event_id <= (SELECT event_id FROM audit"
    " WHERE user_id = :user AND event = :event ORDER BY event_id DESC LIMIT 1 OFFSET :kept)"
)
# The oldest events, as far as they are too old.
_FORGET = text(
    "DELETE FROM audit WHERE event_id IN (SELECT event_id FROM"
    " (SELECT event_id, ts FROM audit ORDER BY event_id LIMIT :limit) AS oldest WHERE ts < :before)"
)


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """Something that happened to an account. `detail` has nothing secret in it; `event_id` rises with time."""

    event_id: int
    user: UserId
    event: str
    device: DeviceId | None
    address: str | None
    ts: int
    detail: dict[str, Any] = field(default_factory=dict)


class AuditLog:
    """The statements, inside one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(
        self,
        user: UserId,
        event: str,
        ts: int,
        *,
        device: DeviceId | None = None,
        address: str | None = None,
        detail: dict[str, Any] | None = None,
    ) -> None:
        self._connection.execute(
            insert(audit).values(
                user_id=user,
                event=event,
                device_id=device,
                address=None if address is None else address[:_MAX_ADDRESS],
                ts=ts,
                detail=msgspec.json.encode(detail).decode() if detail else None,
            )
        )
        self._connection.execute(_BOUND, {"user": user, "event": event, "kept": KEPT_OF_A_KIND})

    def add_failures(self, user: UserId, ts: int, count: int, addresses: list[str], via: str) -> None:
        """So many failed logins; together with those of the last minutes, if there were any."""
        query = (
            select(audit.c.event_id, audit.c.detail)
            .where(audit.c.user_id == user, audit.c.event == "login_failed", audit.c.ts > ts - TOGETHER_MS)
            .order_by(audit.c.event_id.desc())
            .limit(1)
        )
        row = self._connection.execute(query).first()
        before: dict[str, Any] = {} if row is None else msgspec.json.decode(row.detail or "{}")
        named = list(dict.fromkeys([*before.get("addresses", []), *(a[:_MAX_ADDRESS] for a in addresses)]))
        detail = {"count": before.get("count", 0) + count, "addresses": named[:SHOWN_ADDRESSES], "via": via}
        newest = addresses[-1] if addresses else None
        if row is None:
            self.add(user, "login_failed", ts, address=newest, detail=detail)
            return
        self._connection.execute(
            update(audit)
            .where(audit.c.event_id == row.event_id)
            .values(
                ts=ts,
                address=None if newest is None else newest[:_MAX_ADDRESS],
                detail=msgspec.json.encode(detail).decode(),
            )
        )

    def page(
        self, user: UserId | None, *, before: int | None, limit: int, since_ts: int = 0
    ) -> list[AuditEvent]:
        """The newest below `before`, of this user or (None) of all, newest first."""
        query = select(audit).where(audit.c.ts >= since_ts).order_by(audit.c.event_id.desc()).limit(limit)
        if user is not None:
            query = query.where(audit.c.user_id == user)
        if before is not None:
            query = query.where(audit.c.event_id < before)
        return [
            AuditEvent(
                row.event_id,
                UserId(row.user_id),
                row.event,
                None if row.device_id is None else DeviceId(row.device_id),
                row.address,
                row.ts,
                {} if row.detail is None else msgspec.json.decode(row.detail),
            )
            for row in self._connection.execute(query)
        ]


def forget_old(connection: Connection, before_ts: int, limit: int) -> int:
    """Of the `limit` oldest events those from before. Returns how many went."""
    return connection.execute(_FORGET, {"before": before_ts, "limit": limit}).rowcount
