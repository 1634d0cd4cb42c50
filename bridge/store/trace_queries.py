"""What is asked of one message's way, within a snapshot."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, text

from bridge.store.dialect import Dialect, rows
from pabal.ids import ConvId, DeviceId, UserId

# Of a large group as many are shown.
MAX_RECIPIENTS = 1_000
# An inbox is in the order of its commits, and so in that of their times, but for clocks that were put back.
MAX_STEP_BACK_MS = 600_000

_PUSH = "j.user_id, j.device_id, j.kind, j.state, j.service, j.tries, j.answer, j.created_ts, j.due_ts, j.sending_ts"


class Copy(NamedTuple):
    """A member for whom the message is, with the seq of its copy, None where there is none (any longer)."""

    user: UserId
    seq: int | None
    delivered_upto: int
    read_upto: int


class Acked(NamedTuple):
    user: UserId
    device: DeviceId
    cursor: int


class PushRow(NamedTuple):
    """A job, open (`done_ts` None) or done."""

    user: UserId
    device: DeviceId
    kind: str
    state: str
    service: str | None
    tries: int
    answer: str | None
    created_ts: int
    due_ts: int
    sending_ts: int | None
    done_ts: int | None


class TraceStatements:
    def __init__(self, d: Dialect) -> None:
        # A copy points at its entry and has no data of its own. An inbox is looked through for it from its end, and no
        # further than to what came before the entry: of what is new, that is all but nothing of a long inbox.
        its_copy = "i.conv_id = m.conv_id AND i.message_id = :message_id AND i.data IS NULL"
        self.copies = text(
            f"SELECT m.user_id, (SELECT CASE WHEN {its_copy} THEN i.seq END FROM inbox AS i"
            f" WHERE i.user_id = m.user_id AND ({its_copy} OR i.ts < :before) ORDER BY i.seq DESC LIMIT 1),"
            f" {d.greatest}(m.delivered_upto, m.read_upto), m.read_upto FROM member AS m"
            " WHERE m.conv_id = :conv AND m.from_id <= :message_id"
            " AND (m.to_id IS NULL OR m.to_id >= :message_id) ORDER BY m.user_id LIMIT :limit"
        )
        self.cursors = text(
            f"SELECT user_id, device_id, cursor FROM device WHERE user_id {d.among('users')}"
            " ORDER BY user_id, device_id"
        )
        which = f"j.user_id {d.among('users')} AND j.conv_id = :conv AND j.message_id = :message_id"
        self.pushes = text(
            f"SELECT {_PUSH}, NULL AS done_ts FROM push_job AS j WHERE {which} UNION ALL"
            f" SELECT {_PUSH}, j.done_ts FROM push_log AS j WHERE {which}"
            " ORDER BY user_id, device_id, created_ts, kind"
        )
        self.outbox = text("SELECT ranges FROM outbox ORDER BY batch_id")
        self.mode = text("SELECT mode FROM conversation WHERE conv_id = :conv")


class TraceQueries:
    def __init__(self, connection: Connection, sql: TraceStatements) -> None:
        self._connection = connection
        self._sql = sql

    def copies(self, conv: ConvId, message_id: int, ts: int) -> list[Copy]:
        """Of those who were members then, by name. `ts` is when the entry was committed."""
        before = ts - MAX_STEP_BACK_MS
        asked = {"conv": conv, "message_id": message_id, "before": before, "limit": MAX_RECIPIENTS}
        return [
            Copy(UserId(user), seq, delivered, read)
            for user, seq, delivered, read in self._connection.execute(self._sql.copies, asked)
        ]

    def acknowledged(self, users: Sequence[UserId]) -> Iterator[Acked]:
        """Up to where each of their devices has everything."""
        for user, device, cursor in self._connection.execute(self._sql.cursors, {"users": rows(list(users))}):
            yield Acked(UserId(user), DeviceId(device), cursor)

    def pushes(self, users: Sequence[UserId], conv: ConvId, message_id: int) -> list[PushRow]:
        asked = {"users": rows(list(users)), "conv": conv, "message_id": message_id}
        return [PushRow(*row) for row in self._connection.execute(self._sql.pushes, asked)]

    def outbox(self) -> dict[UserId, list[tuple[int, int]]]:
        """What the broker may not have yet: first and last seq, by user."""
        found: dict[UserId, list[tuple[int, int]]] = {}
        for (ranges,) in self._connection.execute(self._sql.outbox):
            for user, seqs in msgspec.json.decode(ranges, type=dict[str, tuple[int, int]]).items():
                found.setdefault(UserId(user), []).append(seqs)
        return found

    def is_large(self, conv: ConvId) -> bool:
        return self._connection.execute(self._sql.mode, {"conv": conv}).scalar() == "large"
