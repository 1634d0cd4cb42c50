"""Look-ups, by key range only. Every method is one short read transaction of its own or within `snapshot()`."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, TextClause

from bridge.ports import StoredQueues
from bridge.relation import Relation
from bridge.store import dialect, queue_store
from bridge.store.dialect import rows
from bridge.store.read_statements import ReadStatements
from bridge.updates import StoredMessage, StoredUpdate
from pabal import privacy
from pabal.ids import ConvId, UserId, is_direct


class ReadStore:
    """Safe for use by several threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sql = ReadStatements(dialect.of(engine))

    @contextmanager
    def snapshot(self) -> Iterator["Snapshot"]:
        """All look-ups inside see the database at one moment."""
        with self._engine.begin() as connection:
            yield Snapshot(connection, self._sql)


class Snapshot:
    def __init__(self, connection: Connection, sql: ReadStatements) -> None:
        self._connection = connection
        self._sql = sql

    def head(self, user: UserId) -> tuple[int, int]:
        """`(head, min_seq)` of an inbox; (0, 1) for one that is still empty."""
        found = self._connection.execute(self._sql.head, {"user": user}).first()
        return (0, 1) if found is None else (found[0], found[1])

    def heads(self, users: Iterable[UserId]) -> dict[UserId, int]:
        """Users whose inbox is still empty are left out."""
        found = self._connection.execute(self._sql.heads, {"users": rows(list(users))})
        return {UserId(user): head for user, head in found}

    def inbox(self, user: UserId, after: int, limit: int) -> list[StoredUpdate]:
        found = self._connection.execute(self._sql.inbox, {"user": user, "after": after, "limit": limit})
        return [StoredUpdate(*row) for row in found]

    def messages(self, keys: Iterable[tuple[str, int]]) -> dict[tuple[str, int], StoredMessage]:
        """Entries by conversation and message_id, of both kinds of conversations."""
        return self._by_key(self._sql.messages, keys)

    def newest(self, keys: Iterable[tuple[str, int]]) -> dict[str, StoredMessage]:
        """The newest message of each conversation, if there is one that is not below the number beside it."""
        return {conv: row for (conv, _id), row in self._by_key(self._sql.newest, keys).items()}

    def reactions(self, conv: ConvId, first: int, last: int) -> list[tuple[int, str, str]]:
        """`(target, emoji, user)` for messages from `first` to `last`, in the order in which they were given."""
        asked = {"conv": conv, "first": first, "last": last}
        return [tuple(row) for row in self._connection.execute(self._sql.reactions, asked)]

    def _by_key(
        self, statements: Sequence[TextClause], keys: Iterable[tuple[str, int]]
    ) -> dict[tuple[str, int], StoredMessage]:
        direct: list[tuple[str, int]] = []
        group: list[tuple[str, int]] = []
        for key in keys:
            (direct if is_direct(ConvId(key[0])) else group).append(key)
        made: dict[tuple[str, int], StoredMessage] = {}
        for statement, wanted in zip(statements, (direct, group), strict=True):
            if wanted:
                found = self._connection.execute(statement, {"keys": rows(wanted)})
                made.update({(row[0], row[1]): StoredMessage(*row) for row in found})
        return made

    def before(self, conv: ConvId, before: int, limit: int, *, first: int = 1) -> list[StoredMessage]:
        """The newest below `before` and not below `first`, newest first."""
        asked = {"conv": conv, "before": before, "first": first, "limit": limit}
        return [
            StoredMessage(*row) for row in self._connection.execute(self._sql.before[_table(conv)], asked)
        ]

    def after(self, conv: ConvId, after: int, limit: int, *, first: int = 1) -> list[StoredMessage]:
        """The oldest above `after` and not below `first`, oldest first."""
        asked = {"conv": conv, "after": after, "first": first, "limit": limit}
        return [StoredMessage(*row) for row in self._connection.execute(self._sql.after[_table(conv)], asked)]

    def visible_from(self, conv: ConvId, user: UserId) -> int | None:
        """The first entry that this member may see; None for who is no member."""
        found = self._connection.execute(self._sql.membership, {"conv": conv, "user": user}).first()
        return None if found is None else int(found[0])

    def rooms(self, user: UserId) -> dict[str, int]:
        """The heads of the large groups that one is in."""
        found = self._connection.execute(self._sql.rooms, {"user": user})
        return {row[0]: row[1] for row in found}

    def conversation_head(self, conv: ConvId) -> int | None:
        """None if there is no such conversation (yet)."""
        found = self._connection.execute(self._sql.conversation_head, {"conv": conv}).first()
        return None if found is None else int(found[0])

    def receipts(self, conv: ConvId) -> list[tuple[str, int, int]]:
        return [tuple(row) for row in self._connection.execute(self._sql.receipts, {"conv": conv})]

    def mine(self, user: UserId, after: str, limit: int) -> list[tuple[str, int, int, int]]:
        """`(conv_id, read_upto, read_ordinal, visible_from)`, by conversation id."""
        found = self._connection.execute(self._sql.mine, {"user": user, "after": after, "limit": limit})
        return [tuple(row) for row in found]

    def conversations(self, convs: Iterable[str]) -> dict[str, tuple[str, str, int, int, str | None]]:
        """`conv_id -> (kind, mode, head, ordinal, name)`."""
        found = self._connection.execute(self._sql.conversations, {"keys": rows(list(convs))})
        return {row[0]: (row[1], row[2], row[3], row[4], row[5]) for row in found}

    def relation(self, viewer: UserId, of: UserId) -> Relation | None:
        """How `of` stands to `viewer`; None if there is no active account of that name."""
        return self.relations(viewer, [of]).get(of)

    def relations(self, viewer: UserId, users: Iterable[UserId]) -> dict[UserId, Relation]:
        """Likewise for many; whoever has no active account is left out."""
        asked = {"viewer": viewer, "users": rows(list(users))}
        return {
            UserId(user): Relation(
                privacy.parse(kept),
                contact=theirs == "accepted",
                accepts=mine == "accepted",
                blocked=bool(blocked),
                blocks=bool(blocks),
                shares_group=bool(shares),
            )
            for user, kept, theirs, mine, blocked, blocks, shares in self._connection.execute(
                self._sql.relations, asked
            )
        }

    def changes(self, after: int) -> list[tuple[int, str, str, str | None, str | None, str | None]]:
        """`(change_id, kind, user, device, reason, credential)` of what the broker must act on: `kicked`, or
        `gone`, a device that is no more (and did not come back meanwhile).
        """
        return [tuple(row) for row in self._connection.execute(self._sql.changes, {"after": after})]

    def last_change(self) -> int:
        return int(self._connection.execute(self._sql.last_change).scalar_one())

    def sessions(self) -> list[tuple[str, str | None, str | None, str, int | None, int, int | None]]:
        return [tuple(row) for row in self._connection.execute(self._sql.sessions)]

    def retained(self) -> list[tuple[str, bytes, int, bytes | None, int | None]]:
        return [tuple(row) for row in self._connection.execute(self._sql.retained)]

    def queues(self) -> StoredQueues:
        return queue_store.load(self._connection)

    def deleting(self) -> list[UserId]:
        """Whose accounts are deleted, and what they wrote is still to go."""
        return [UserId(user) for (user,) in self._connection.execute(self._sql.deleting)]

    def oldest_event(self) -> int | None:
        """When the oldest event of the audit log was. Returns None if there is none."""
        found = self._connection.execute(self._sql.oldest_event).first()
        return None if found is None else int(found[0])

    def ever_mine(self, user: UserId, after: str, limit: int) -> list[tuple[ConvId, bool, int]]:
        """`(conv_id, whether one still is a member, head)` of all that one is or was in, by conversation id."""
        found = self._connection.execute(self._sql.ever_mine, {"user": user, "after": after, "limit": limit})
        return [(ConvId(conv), bool(present), head) for conv, present, head in found]

    def my_reactions(
        self, user: UserId, conv: ConvId, after: tuple[int, str], limit: int, *, first: int = 1
    ) -> list[tuple[int, str]]:
        """`(target, emoji)` of one's reactions to messages from `first` on, in this order, above `after`."""
        asked = {"conv": conv, "user": user, "first": first, "limit": limit}
        asked |= {"target": after[0], "emoji": after[1]}
        return [(target, emoji) for target, emoji in self._connection.execute(self._sql.my_reactions, asked)]

    def outbox(self) -> list[tuple[int, str]]:
        """`(batch_id, ranges)` of batches whose updates may not have reached the broker."""
        return [tuple(row) for row in self._connection.execute(self._sql.outbox)]


def _table(conv: ConvId) -> str:
    return "direct_message" if is_direct(conv) else "group_message"
