"""Look-ups for what goes over `live/…` and is kept nowhere: who is told, and how far members have come."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine, text

from bridge.receipt_rules import Circle, Mark
from bridge.relation import Relation
from bridge.store import dialect
from bridge.store.dialect import Dialect, rows
from bridge.store.read_store import ReadStore
from bridge.store.sharing import Pairs, SharingStatements, apart, silent
from pabal import ids
from pabal.ids import ConvId, UserId
from pabal.receipts import DELIVERED_TO_ALL

# How many updates of one inbox are looked through at once; the rest of a long way comes with the next step.
SPAN = 500
# How many users are looked for at the start whose devices have more than was written down.
BEHIND = 10_000


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What reached users: `marks` are `(conv, user, message_id)`, `upto` how far each inbox was looked through,
    `behind` those of which there is more.
    """

    marks: list[tuple[str, str, int]] = field(default_factory=list)
    upto: list[tuple[str, int]] = field(default_factory=list)
    behind: list[tuple[UserId, int]] = field(default_factory=list)


class LiveStore:
    """Safe for use by several threads. Each method is one short read transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reads = ReadStore(engine)
        self._sql = _Statements(dialect.of(engine))

    def arrivals(self, reached: Sequence[tuple[UserId, int]]) -> Arrivals:
        """Of users whose devices have everything up to a seq: what that is, beyond what was written down."""
        wanted = dict(reached)
        found = Arrivals()
        with self._engine.begin() as connection:
            for user, done, upto in connection.execute(
                self._sql.reached, {"keys": rows(reached), "span": SPAN}
            ):
                if upto > done:
                    found.upto.append((user, upto))
                if upto < wanted[UserId(user)]:
                    found.behind.append((UserId(user), wanted[UserId(user)]))
            if found.upto:
                new = connection.execute(self._sql.arrived, {"keys": rows(found.upto)})
                found.marks.extend((conv, user, message_id) for user, conv, message_id in new)
        return found

    def behind(self) -> list[tuple[UserId, int]]:
        """Users whose devices have more than was written down: a server ended between the two."""
        with self._engine.begin() as connection:
            return [
                (UserId(user), seq) for user, seq in connection.execute(self._sql.behind, {"limit": BEHIND})
            ]

    def circle(self, keys: Sequence[tuple[ConvId, UserId]]) -> Circle:
        """What has to be known to tell others how far these members have come; of large groups nothing."""
        with self._engine.begin() as connection:
            found = connection.execute(self._sql.marks, {"keys": rows(keys)})
            marks = [Mark(ConvId(row[0]), UserId(row[1]), row[2], row[3]) for row in found]
            groups = sorted({mark.conv for mark in marks if not ids.is_direct(mark.conv)})
            rosters = _rosters(connection, self._sql, groups)
            named = {user for mark in marks for user in (mark.user, *_direct(mark.conv))}
            named.update(user for roster in rosters.values() for user in roster)
            return Circle(
                marks,
                rosters,
                _authors(connection, self._sql, marks, rosters),
                silent(connection, self._sql.sharing, named),
                apart(connection, self._sql.sharing, named),
            )

    def relation(self, writer: UserId, to: UserId) -> Relation | None:
        """How somebody stands to who writes; None if there is no such user."""
        with self._reads.snapshot() as snapshot:
            return snapshot.relation(writer, to)

    def apart(self, one: UserId, others: Iterable[UserId]) -> Pairs:
        """Those of the others with whom there is a block, either way around, as pairs."""
        with self._engine.begin() as connection:
            return apart(connection, self._sql.sharing, {one, *others})

    def roster(self, conv: ConvId) -> tuple[bool, list[UserId]] | None:
        """Whether a group is large, and of a small one the present members; None if there is no such group."""
        with self._engine.begin() as connection:
            mode = connection.execute(self._sql.mode, {"conv": conv}).first()
            if mode is None:
                return None
            is_large = mode[0] == "large"
            return is_large, [] if is_large else list(_rosters(connection, self._sql, [conv]).get(conv, ()))

    def in_room(self, conv: ConvId, user: UserId) -> bool:
        """Whether this user is a present member of the group."""
        with self._engine.begin() as connection:
            asked = {"conv": conv, "user": user}
            return connection.execute(self._sql.in_room, asked).first() is not None


class _Statements:
    def __init__(self, d: Dialect) -> None:
        self.reached = text(
            f"SELECT h.user_id, h.delivered, {d.least}({d.field(1, 'bigint')}, "
            f"{d.greatest}(h.delivered, h.min_seq - 1) + :span, h.head)"
            f" FROM {d.each('keys')} CROSS JOIN inbox_head AS h WHERE h.user_id = {d.field(0)}"
        )
        # Copies of entries have no data of their own; a mention is no sign of what was said before it.
        self.arrived = text(
            f"SELECT i.user_id, i.conv_id, max(i.message_id) FROM {d.each('keys')} CROSS JOIN inbox_head AS h"
            f" CROSS JOIN inbox AS i WHERE h.user_id = {d.field(0)} AND i.user_id = {d.field(0)}"
            f" AND i.seq > h.delivered AND i.seq <= {d.field(1, 'bigint')}"
            " AND i.data IS NULL AND i.type <> 'mention' AND i.message_id IS NOT NULL"
            " GROUP BY i.user_id, i.conv_id ORDER BY i.conv_id, i.user_id"
        )
        self.behind = text(
            "SELECT d.user_id, max(d.cursor) FROM device AS d JOIN inbox_head AS h ON h.user_id = d.user_id"
            " WHERE d.cursor > h.delivered GROUP BY d.user_id ORDER BY d.user_id LIMIT :limit"
        )
        self.marks = text(
            f"SELECT m.conv_id, m.user_id, {d.greatest}(m.delivered_upto, m.read_upto), m.read_upto"
            f" FROM {d.each('keys')} CROSS JOIN member AS m CROSS JOIN conversation AS c"
            f" WHERE m.conv_id = {d.field(0)} AND m.user_id = {d.field(1)} AND m.to_id IS NULL"
            f" AND c.conv_id = {d.field(0)} AND c.mode = 'small'"
        )
        self.rosters = text(
            f"SELECT conv_id, user_id FROM member WHERE conv_id {d.among('keys')} AND to_id IS NULL"
            " ORDER BY conv_id, user_id"
        )
        self.authors = text(
            f"SELECT DISTINCT g.conv_id, g.sender FROM {d.each('keys')} CROSS JOIN group_message AS g"
            f" WHERE g.conv_id = {d.field(0)} AND g.message_id <= {d.field(1, 'bigint')}"
            f" AND g.message_id > {d.field(1, 'bigint')} - {DELIVERED_TO_ALL}"
        )
        self.sharing = SharingStatements(d)
        self.in_room = text(
            "SELECT 1 FROM member WHERE conv_id = :conv AND user_id = :user AND to_id IS NULL"
        )
        self.mode = text("SELECT mode FROM conversation WHERE conv_id = :conv")


def _direct(conv: ConvId) -> Sequence[UserId]:
    return ids.members_of(conv) if ids.is_direct(conv) else ()


def _rosters(
    connection: Connection, sql: _Statements, groups: Sequence[ConvId]
) -> dict[ConvId, list[UserId]]:
    rosters: dict[ConvId, list[UserId]] = {}
    if groups:
        for conv, user in connection.execute(sql.rosters, {"keys": rows(groups)}):
            rosters.setdefault(ConvId(conv), []).append(UserId(user))
    return rosters


def _authors(
    connection: Connection, sql: _Statements, marks: Iterable[Mark], rosters: dict[ConvId, list[UserId]]
) -> dict[ConvId, set[UserId]]:
    """Who wrote what was delivered last, in the groups where not everybody is told of it."""
    newest: dict[ConvId, int] = {}
    for mark in marks:
        if len(rosters.get(mark.conv, ())) > DELIVERED_TO_ALL:
            newest[mark.conv] = max(mark.delivered, newest.get(mark.conv, 0))
    authors: dict[ConvId, set[UserId]] = {}
    if newest:
        for conv, user in connection.execute(sql.authors, {"keys": rows(list(newest.items()))}):
            authors.setdefault(ConvId(conv), set()).add(UserId(user))
    return authors
