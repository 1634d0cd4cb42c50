"""Look-ups, by key range only. Every method is one short read transaction of its own or within `snapshot()`."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, TextClause

from bridge.ports import StoredQueues
from bridge.receipt_rules import shown
from bridge.relation import Relation
from bridge.store import dialect, meta, presence_store, queue_store, sharing
from bridge.store.dialect import rows
from bridge.store.faults import now_ms
from bridge.store.group_queries import GroupQueries
from bridge.store.people_queries import PeopleQueries
from bridge.store.push_queries import PushQueries
from bridge.store.read_statements import ReadStatements
from bridge.store.trace_queries import TraceQueries
from bridge.updates import StoredMessage, StoredUpdate
from pabal import messages as m
from pabal import privacy
from pabal.ids import ConvId, UserId, is_direct


class ReadStore:
    """Safe for use by several threads. `clock_ms` says which messages have had their time."""

    def __init__(self, engine: Engine, clock_ms: Callable[[], int] = now_ms) -> None:
        self._engine = engine
        self._clock_ms = clock_ms
        self._sql = ReadStatements(dialect.of(engine))

    @contextmanager
    def snapshot(self) -> Iterator["Snapshot"]:
        """All look-ups inside see the database at one moment."""
        with self._engine.begin() as connection:
            yield Snapshot(connection, self._sql, self._clock_ms())


class Snapshot:
    """Whoever reads here gets nothing of a message whose time is over at `now` (ms), swept already or not."""

    def __init__(self, connection: Connection, sql: ReadStatements, now: int) -> None:
        self._connection = connection
        self._sql = sql
        self.people = PeopleQueries(connection)
        self.groups = GroupQueries(connection)
        self.pushes = PushQueries(connection)
        self.traces = TraceQueries(connection, sql.traces)
        self._now = now

    def epoch(self) -> str | None:
        """None while no server has used the database."""
        return meta.epoch(self._connection)

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

    def newest(self, user: UserId, keys: Iterable[tuple[str, int]]) -> dict[str, StoredMessage]:
        """The newest message of each conversation that this user has not hidden, if there is one that is not below
        the number beside it.
        """
        found = self._by_key(self._sql.newest, keys, user=user)
        return {conv: row for (conv, _id), row in found.items()}

    def hidden(self, user: UserId, keys: Iterable[tuple[str, int]]) -> set[tuple[str, int]]:
        """Which of these messages this user has hidden from the own view."""
        asked = {"user": user, "keys": rows(list(keys))}
        return {(conv, message_id) for conv, message_id in self._connection.execute(self._sql.hidden, asked)}

    def edited_unseen(self, user: UserId, keys: Iterable[tuple[str, int]]) -> set[tuple[str, int]]:
        """Which of these messages of groups, all edited, may say what was said while this user was no member: edited
        after the user's last entry there, or from before the time as a member that counts now.
        """
        asked = {"user": user, "keys": rows(list(keys))}
        found = self._connection.execute(self._sql.edited_unseen, asked)
        return {(conv, message_id) for conv, message_id in found}

    def hidden_above(self, user: UserId, keys: Iterable[tuple[str, int]]) -> dict[str, int]:
        """How many messages above the number beside it this user has hidden, for conversations that have any."""
        asked = {"user": user, "keys": rows(list(keys))}
        found = self._connection.execute(self._sql.hidden_above, asked)
        return {row[0]: row[1] for row in found}

    def due(self, limit: int) -> list[tuple[str, int, str]]:
        """`(conv_id, message_id, sender)` of messages whose time is over and whose content is still there, the
        oldest first; at most `limit` of each kind of conversation.
        """
        asked = {"now": self._now, "limit": limit}
        return [tuple(row) for due in self._sql.due for row in self._connection.execute(due, asked)]

    def _message(self, row: Any) -> StoredMessage:
        message = StoredMessage(*row)
        if message.expires_ts is None or message.expires_ts > self._now or message.recalled_ts is not None:
            return message
        return message._replace(text=None, body=None, edited_ts=None, recalled_ts=message.expires_ts)

    def reactions(self, conv: ConvId, first: int, last: int) -> list[tuple[int, str, str]]:
        """`(target, emoji, user)` for messages from `first` to `last`, in the order in which they were given."""
        asked = {"conv": conv, "first": first, "last": last}
        return [tuple(row) for row in self._connection.execute(self._sql.reactions, asked)]

    def _by_key(
        self, statements: Sequence[TextClause], keys: Iterable[tuple[str, int]], **more: str
    ) -> dict[tuple[str, int], StoredMessage]:
        direct: list[tuple[str, int]] = []
        group: list[tuple[str, int]] = []
        for key in keys:
            (direct if is_direct(ConvId(key[0])) else group).append(key)
        made: dict[tuple[str, int], StoredMessage] = {}
        for statement, wanted in zip(statements, (direct, group), strict=True):
            if wanted:
                found = self._connection.execute(statement, {"keys": rows(wanted), **more})
                made.update({(row[0], row[1]): self._message(row) for row in found})
        return made

    def before(
        self, user: UserId, conv: ConvId, before: int, limit: int, *, first: int = 1
    ) -> list[StoredMessage]:
        """The newest below `before` and not below `first`, newest first, without what this user has hidden."""
        asked = {"user": user, "conv": conv, "before": before, "first": first, "limit": limit}
        return [self._message(row) for row in self._connection.execute(self._sql.before[_table(conv)], asked)]

    def after(
        self, user: UserId, conv: ConvId, after: int, limit: int, *, first: int = 1
    ) -> list[StoredMessage]:
        """The oldest above `after` and not below `first`, oldest first, likewise."""
        asked = {"user": user, "conv": conv, "after": after, "first": first, "limit": limit}
        return [self._message(row) for row in self._connection.execute(self._sql.after[_table(conv)], asked)]

    def visible_from(self, conv: ConvId, user: UserId) -> int | None:
        """The first entry that this member may see; None for who is no member."""
        found = self._connection.execute(self._sql.membership, {"conv": conv, "user": user}).first()
        return None if found is None else int(found[0])

    def rooms(self, user: UserId) -> dict[str, int]:
        """The heads of the large groups that one is in."""
        found = self._connection.execute(self._sql.rooms, {"user": user})
        return {row[0]: row[1] for row in found}

    def last_seen(self, users: Iterable[UserId]) -> dict[UserId, int]:
        """When a device of theirs was here last, of those of whom it is known."""
        found = self._connection.execute(self._sql.last_seen, {"users": rows(sorted(users))})
        return {UserId(user): int(seen) for user, seen in found}

    def shown(self) -> list[tuple[UserId, bytes]]:
        """Who was shown as something else than offline, with what was said of them."""
        return presence_store.load(self._connection)

    def conversation_head(self, conv: ConvId) -> int | None:
        """None if there is no such conversation (yet)."""
        found = self._connection.execute(self._sql.conversation_head, {"conv": conv}).first()
        return None if found is None else int(found[0])

    def receipts(self, conv: ConvId, viewer: UserId) -> list[m.Receipt]:
        """How far each member has come, as far as this one may know; of a large group only oneself."""
        asked = {"conv": conv, "viewer": viewer}
        marks = [tuple(row) for row in self._connection.execute(self._sql.receipts, asked)]
        users = {UserId(user) for user, _delivered, _read in marks} | {viewer}
        silent = sharing.silent(self._connection, self._sql.sharing, users)
        return shown(marks, viewer, silent, sharing.apart(self._connection, self._sql.sharing, users))

    def mentions(self, user: UserId, read: Sequence[tuple[str, int]]) -> dict[str, int]:
        """How many messages name this user, or everybody, in each group above what was read of it; without zeros."""
        groups = [(conv, upto) for conv, upto in read if not is_direct(ConvId(conv))]
        if not groups:
            return {}
        found = self._connection.execute(self._sql.mentions, {"user": user, "keys": rows(groups)})
        return {row[0]: row[1] for row in found}

    def mine(self, user: UserId, after: str, limit: int) -> list[tuple[str, int, int, int, int | None]]:
        """`(conv_id, read_upto, read_ordinal, visible_from, muted_until)`, by conversation id."""
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
        `gone`, a device that is no more (and did not come back meanwhile), or `related`, a user of whom others may
        see less.
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

    def acquaintances(self, user: UserId) -> set[UserId]:
        """All who are or were contacts, or asked, or were asked, as far as that is known still; and who is blocked."""
        found = {UserId(other) for (other,) in self._connection.execute(self._sql.acquainted, {"user": user})}
        for (data,) in self._connection.execute(self._sql.told_of_contacts, {"user": user}):
            other = msgspec.json.decode(data, type=dict[str, object]).get("user")
            if isinstance(other, str) and other != user:
                found.add(UserId(other))
        return found

    def oldest_push(self) -> int | None:
        """When the oldest of what is kept of pushes was done, or due. Returns None if there is none."""
        found = [row[0] for row in self._connection.execute(self._sql.oldest_push) if row[0] is not None]
        return min(found, default=None)

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

    def outbox(self, after: int, limit: int) -> list[tuple[int, str]]:
        """`(batch_id, ranges)` of batches above `after` whose updates may not have reached the broker, in their order."""
        found = self._connection.execute(self._sql.outbox, {"after": after, "limit": limit})
        return [tuple(row) for row in found]


def _table(conv: ConvId) -> str:
    return "direct_message" if is_direct(conv) else "group_message"
