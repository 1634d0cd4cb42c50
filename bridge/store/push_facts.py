"""What has to be known around jobs before it is decided what becomes of them: one snapshot for many lanes."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, text

from bridge.plan import Extra
from bridge.push.jobs import ASKS, Job, Known, Lane, Place, Said, Taken, other_of
from bridge.store import dialect
from bridge.store.dialect import Dialect, rows
from bridge.store.read_statements import ReadStatements
from bridge.store.read_store import Snapshot
from bridge.updates import StoredMessage
from pabal.ids import ConvId, DeviceId, UserId
from pabal.push import QuietHours

_ALL = ""
_extra = msgspec.json.Decoder(Extra)
_hours = msgspec.json.Decoder(QuietHours)


class _Statements:
    def __init__(self, d: Dialect) -> None:
        self.accounts = text(
            f"SELECT user_id, display_name FROM account WHERE user_id {d.among('keys')} AND state = 'active'"
        )
        # `delivered` knows of what was acknowledged in sessions that are not kept, too: these move no device's cursor.
        self.devices = text(
            f"SELECT d.user_id, d.device_id, {d.greatest}(d.cursor, COALESCE(h.delivered, 0)) FROM device AS d"
            f" LEFT JOIN inbox_head AS h ON h.user_id = d.user_id WHERE d.user_id {d.among('keys')}"
        )
        self.quiet = text(f"SELECT user_id, conv_id, hours FROM quiet_hours WHERE user_id {d.among('keys')}")
        self.places = text(
            "SELECT m.user_id, m.conv_id, m.to_id, m.read_upto, m.muted_until, c.name"
            f" FROM {d.each('keys')} CROSS JOIN member AS m CROSS JOIN conversation AS c"
            f" WHERE m.conv_id = {d.field(1)} AND m.user_id = {d.field(0)} AND c.conv_id = m.conv_id"
        )
        self.shown = text(
            f"SELECT p.user_id, p.device_id, p.conv_id, p.message_id FROM {d.each('keys')}"
            f" CROSS JOIN push_shown AS p WHERE p.user_id = {d.field(0)} AND p.device_id = {d.field(1)}"
            f" AND p.conv_id = {d.field(2)}"
        )
        self.shown_requests = text(
            f"SELECT p.user_id, p.device_id, p.conv_id, p.seq FROM {d.each('keys')}"
            f" CROSS JOIN push_asked AS p WHERE p.user_id = {d.field(0)} AND p.device_id = {d.field(1)}"
            f" AND p.conv_id = {d.field(2)}"
        )
        self.hidden = text(
            f"SELECT h.user_id, h.conv_id, h.message_id FROM {d.each('keys')} CROSS JOIN hidden_message AS h"
            f" WHERE h.user_id = {d.field(0)} AND h.conv_id = {d.field(1)}"
            f" AND h.message_id = {d.field(2, 'bigint')}"
        )
        # Of `(who is told, who wrote)`: whether a block is between them, and whether the first knows the second.
        self.pairs = text(
            f"SELECT {d.field(0)}, {d.field(1)},"
            f" EXISTS (SELECT 1 FROM block AS b WHERE b.user_id = {d.field(0)} AND b.blocked_id = {d.field(1)})"
            f" OR EXISTS (SELECT 1 FROM block AS b WHERE b.user_id = {d.field(1)} AND b.blocked_id = {d.field(0)}),"
            f" EXISTS (SELECT 1 FROM contact AS c WHERE c.user_id = {d.field(1)} AND c.other_id = {d.field(0)}"
            " AND c.state = 'accepted')"
            " OR EXISTS (SELECT 1 FROM member AS mine"
            f" JOIN member AS theirs ON theirs.conv_id = mine.conv_id AND theirs.user_id = {d.field(1)}"
            " JOIN conversation AS c ON c.conv_id = mine.conv_id"
            f" WHERE mine.user_id = {d.field(0)} AND mine.to_id IS NULL AND theirs.to_id IS NULL"
            f" AND c.kind = 'group' AND c.mode = 'small') FROM {d.each('keys')}"
        )
        self.asked = text(
            f"SELECT c.user_id, c.other_id, c.text FROM {d.each('keys')} CROSS JOIN contact AS c"
            f" WHERE c.user_id = {d.field(0)} AND c.other_id = {d.field(1)} AND c.state = 'received'"
        )
        self.badges = text(
            "SELECT m.user_id, sum(c.ordinal - m.read_ordinal) FROM member AS m CROSS JOIN conversation AS c"
            f" WHERE m.user_id {d.among('keys')} AND m.to_id IS NULL AND c.conv_id = m.conv_id"
            " AND (m.muted_until IS NULL OR m.muted_until <= :now) GROUP BY m.user_id"
        )
        self.badges_hidden = text(
            "SELECT h.user_id, count(*) FROM hidden_message AS h CROSS JOIN member AS m"
            f" WHERE h.user_id {d.among('keys')} AND m.conv_id = h.conv_id AND m.user_id = h.user_id"
            " AND m.to_id IS NULL AND h.message_id > m.read_upto"
            " AND (m.muted_until IS NULL OR m.muted_until <= :now) GROUP BY h.user_id"
        )


class PushFacts:
    """Reads alone. Safe for use by several threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        made = dialect.of(engine)
        self._reads = ReadStatements(made)
        self._sql = _Statements(made)

    def known(self, taken: Sequence[Taken], now: int) -> dict[Lane, Known]:
        """Raises: sqlalchemy.exc.SQLAlchemyError."""
        with self._engine.begin() as connection:
            return _Look(connection, self._sql, Snapshot(connection, self._reads, now), now).known(taken)


class _Look:
    """One snapshot."""

    def __init__(self, connection: Connection, sql: _Statements, snapshot: Snapshot, now: int) -> None:
        self._connection = connection
        self._sql = sql
        self._snapshot = snapshot
        self._now = now

    def known(self, taken: Sequence[Taken]) -> dict[Lane, Known]:
        users = sorted({one.lane.user for one in taken})
        jobs = [job for one in taken for job in one.jobs if job.conv is not None]
        told = {
            (job.key.user, job.conv, job.message_id)
            for job in jobs
            if job.conv and job.message_id is not None and job.key.kind == "message"
        }
        messages = self._snapshot.messages({(conv, message_id) for _user, conv, message_id in told})
        named = {
            (job.key.user, UserId(row.sender)) for job in jobs if (row := _of(messages, job)) is not None
        }
        asking = {(job.key.user, _other(job)) for job in jobs if job.asks and job.key.kind == "message"}
        named |= asking
        people = sorted({*users, *(sender for _user, sender in named)})
        names: dict[str, str | None] = dict(self._each(self._sql.accounts, people))
        apart, knows = self._pairs(named)
        hidden = {
            (user, conv, message_id) for user, conv, message_id in self._each(self._sql.hidden, sorted(told))
        }
        asked = {(user, other): text for user, other, text in self._each(self._sql.asked, sorted(asking))}
        places, quiet = self._places(taken)
        acked: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for user, device, upto in self._each(self._sql.devices, users):
            acked[user][device] = upto
        badges = self._badges(users)
        known = {}
        for one in taken:
            lane = one.lane
            said = {}
            for job in one.jobs:
                if job.conv and job.asks and (pair := (lane.user, _other(job))) in asked:
                    # Whoever asks shows a name by it.
                    said[job.conv, 0] = Said(
                        pair[1], names.get(pair[1]) or pair[1], ASKS, asked[pair], is_apart=pair in apart
                    )
                row = _of(messages, job)
                if row is None or job.conv is None:
                    continue
                sender = UserId(row.sender)
                name = names.get(sender) if (lane.user, sender) in knows else None
                said[job.conv, row.message_id] = Said(
                    sender,
                    name or sender,
                    row.kind,
                    row.text,
                    () if row.extra is None else _extra.decode(row.extra).mentions,
                    row.expires_ts,
                    is_gone=row.recalled_ts is not None,
                    is_hidden=(lane.user, row.conv_id, row.message_id) in hidden,
                    is_apart=(lane.user, sender) in apart,
                )
            known[lane] = Known(
                active=lane.user in names and lane.device in acked[lane.user],
                acked=max(acked[lane.user].values(), default=0),
                badge=badges.get(lane.user, 0),
                quiet=quiet.get((lane.user, _ALL)),
                places=places[lane],
                messages=said,
            )
        return known

    def _each(self, statement: Any, keys: Sequence[Any], **more: int) -> Iterable[Any]:
        return self._connection.execute(statement, {"keys": rows(keys), **more}).all() if keys else ()

    def _pairs(self, named: set[tuple[UserId, UserId]]) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
        """Those of whom one has blocked the other, and those of whom the first may know the second one's name."""
        apart, knows = set(), set()
        for user, sender, blocked, known in self._each(self._sql.pairs, sorted(named)):
            if blocked:
                apart.add((user, sender))
            if known:
                knows.add((user, sender))
        return apart, knows

    def _places(
        self, taken: Sequence[Taken]
    ) -> tuple[dict[Lane, dict[ConvId, Place]], dict[tuple[str, str], QuietHours]]:
        wanted = sorted({(job.key.user, job.conv) for one in taken for job in one.jobs if job.conv})
        users = sorted({one.lane.user for one in taken})
        quiet = {
            (user, conv): _hours.decode(hours) for user, conv, hours in self._each(self._sql.quiet, users)
        }
        asked = sorted({(*one.lane, job.conv) for one in taken for job in one.jobs if job.conv})
        shown = {
            (Lane(UserId(user), DeviceId(device)), conv): message_id
            for user, device, conv, message_id in self._each(self._sql.shown, asked)
        }
        clears = sorted(
            (*one.lane, job.conv) for one in taken for job in one.jobs if job.asks and job.key.kind == "clear"
        )
        asks = {
            (Lane(UserId(user), DeviceId(device)), conv): seq
            for user, device, conv, seq in self._each(self._sql.shown_requests, clears)
        }
        members = {(row[0], row[1]): row[2:] for row in self._each(self._sql.places, wanted)}
        places: dict[Lane, dict[ConvId, Place]] = {one.lane: {} for one in taken}
        for user, device, conv in asked:
            lane = Lane(user, device)
            left, read_upto, muted_until, name = members.get((user, conv), (0, 0, None, None))
            places[lane][conv] = Place(
                left is None,
                read_upto,
                muted_until,
                name,
                quiet.get((user, conv)),
                shown.get((lane, conv)),
                asks.get((lane, conv)),
            )
        return places, quiet

    def _badges(self, users: Sequence[UserId]) -> dict[str, int]:
        badges = {user: int(count) for user, count in self._each(self._sql.badges, users, now=self._now)}
        for user, count in self._each(self._sql.badges_hidden, users, now=self._now):
            badges[user] = badges.get(user, 0) - count
        return {user: max(0, count) for user, count in badges.items()}


def _other(job: Job) -> UserId:
    return other_of(job.conv or ConvId(""), job.key.user)


def _of(messages: dict[tuple[str, int], StoredMessage], job: Job) -> StoredMessage | None:
    if job.conv is None or job.key.kind != "message":
        return None
    row = messages.get((job.conv, job.message_id or 0))
    return row if row is not None and row.type == "message" else None
