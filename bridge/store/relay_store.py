"""The one transaction: load facts under the lock, decide, write, commit.

The order is the contract: the writer's number (`bridge.store.writer`) and the conversations are locked, known
ids and members are looked up, numbers are given, rows are written, and only after COMMIT does anybody hear of
it. One statement for each table and batch, whatever the batch's size.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import Connection

from bridge.commands import (
    Command,
    DeleteSession,
    EndErasure,
    EraseContacts,
    EraseEntries,
    EraseInbox,
    ForgetEvents,
    ForgetPushes,
    MarkDelivered,
    SavePresence,
    SaveQueues,
    SaveRetained,
    SaveSession,
)
from bridge.decide import SMALL_LIMIT, decide
from bridge.entries import MAX_MEMBERS
from bridge.facts import wanted
from bridge.plan import Plan, counts
from bridge.push.making import PushTimes
from bridge.store import (
    dialect,
    erasure_store,
    group_store,
    people_store,
    presence_store,
    queue_store,
    subscription_store,
)
from bridge.store.dialect import rows
from bridge.store.fact_loader import load_facts
from bridge.store.failures import answering
from bridge.store.faults import NO_FAULTS, Faults
from bridge.store.followed import FollowedMessages
from bridge.store.push_jobs import PushJobs
from bridge.store.relay_statements import RelayStatements
from bridge.store.retention import Retention, Trimmer
from bridge.store.writer import Writer
from pabal.errors import PabalError
from pabal.ids import ConvId, UserId, is_direct
from pabal.receipts import DELIVERED


@dataclass(frozen=True, slots=True)
class Batch:
    """One transaction's work.

    `positions` maps client ids to `(user, device, position)`; they move on the way, in no order with the
    commands. `published_upto` is the highest batch whose updates the broker has. `traces` are the trace contexts of
    commands that are followed, by their place.
    """

    commands: Sequence[Command]
    positions: dict[str, tuple[UserId, str, int]] = field(default_factory=dict)
    published_upto: int = 0
    traces: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Committed:
    """What everybody may hear now.

    `deliveries` are the updates by inbox, seqs rising; `rooms` the entries of large groups, in order; `left`
    are members who lost the right to a room, `related` those whom others may not see any longer. `moved` are the marks
    that others may be told of, with what did; `arrived` up to which seq devices said that they have everything.
    `is_regrouped`: members, contacts or blocks changed. `is_pushed`: there may be jobs for whoever sends pushes.
    """

    batch_id: int
    outcomes: list[bytes | PabalError | int | None]
    deliveries: dict[UserId, list[tuple[int, bytes]]]
    rooms: list[tuple[ConvId, bytes]] = field(default_factory=list)
    left: list[tuple[ConvId, UserId]] = field(default_factory=list)
    related: list[UserId] = field(default_factory=list)
    moved: dict[tuple[ConvId, UserId], int] = field(default_factory=dict)
    arrived: dict[str, int] = field(default_factory=dict)
    is_regrouped: bool = False
    is_pushed: bool = False


class RelayStore:
    """The committer's side of the database. Used by one thread at a time."""

    def __init__(
        self,
        writer: Writer,
        *,
        epoch: str,
        clock_ms: Callable[[], int],
        retention: Retention | None = None,
        small_limit: int = SMALL_LIMIT,
        recall_window_ms: int = 0,
        max_members: int = MAX_MEMBERS,
        faults: Faults = NO_FAULTS,
        push: PushTimes | None = None,
        reached: Callable[[UserId], bool] = lambda _user: False,
    ) -> None:
        """`reached` says, in the committer's thread, whether a user has a device connected.

        Raises: errors.Unavailable.
        """
        self._writer = writer
        made = dialect.of(writer.engine)
        self._sql = RelayStatements(made)
        self._followed = FollowedMessages(made)
        self._pushes = PushJobs(made, self._sql.push, push or PushTimes(), reached)
        with answering():
            self._pushes.load(writer.engine)
        self._epoch = epoch
        self._clock_ms = clock_ms
        self._small_limit = small_limit
        self._recall_window_ms = recall_window_ms
        self._max_members = max_members
        self._faults = faults
        self._trimmer = Trimmer(writer, retention or Retention(), clock_ms)

    @property
    def last_batch(self) -> int:
        """The number of the newest transaction."""
        return self._writer.last

    def commit(self, batch: Batch) -> Committed:
        """Write a batch, whole or not at all.

        Raises: as `Writer.transact`. After InDoubt the same batch is given again until its outcome is known.
        """
        committed = self._writer.transact(
            batch, lambda connection, batch_id: self._write(connection, batch, batch_id)
        )
        self._trimmer.note({user: new[-1][0] for user, new in committed.deliveries.items()})
        return committed

    def trim(self) -> bool:
        """One short step of forgetting old updates, if there are any to forget. Returns whether there were.

        Raises: as `Writer.transact`.
        """
        return self._trimmer.step()

    def _write(self, connection: Connection, batch: Batch, batch_id: int) -> Committed:
        ts = self._clock_ms()
        facts = load_facts(connection, self._sql, wanted(batch.commands))
        plan = decide(
            batch.commands,
            facts,
            epoch=self._epoch,
            ts=ts,
            small_limit=self._small_limit,
            recall_window_ms=self._recall_window_ms,
            max_members=self._max_members,
        )
        deliveries, is_pushed = self._write_entries(connection, plan, ts)
        _write_positions(connection, self._sql, plan, batch.positions)
        outcomes: list[bytes | PabalError | int | None] = list(plan.outcomes)
        _write_upkeep(connection, self._sql, batch.commands, outcomes, ts)
        for command in batch.commands:
            if isinstance(command, MarkDelivered):
                _mark_delivered(connection, self._sql, command, plan)
        if batch.traces:
            self._followed.write(connection, batch.traces, outcomes, ts)
        if batch.published_upto:
            self._faults.reach("before_outbox_delete")
            connection.execute(self._sql.delete_outbox, {"upto": batch.published_upto})
        if deliveries:
            ranges = {user: (new[0][0], new[-1][0]) for user, new in deliveries.items()}
            connection.execute(self._sql.insert_outbox, {"batch_id": batch_id, "ranges": rows_of(ranges)})
        arrived: dict[str, int] = {}
        for (user, _device), seq in plan.cursors.items():
            arrived[user] = max(seq, arrived.get(user, 0))
        people = plan.people
        return Committed(
            batch_id,
            outcomes,
            deliveries,
            plan.rooms,
            plan.left,
            plan.related,
            plan.moved,
            arrived,
            bool(plan.member_changes or plan.left or plan.related or people.contacts or people.blocks),
            is_pushed,
        )

    def _write_entries(
        self, connection: Connection, plan: Plan, ts: int
    ) -> tuple[dict[UserId, list[tuple[int, bytes]]], bool]:
        joins, leaves = plan.final_members()
        contents = list(plan.contents.values())
        for statement, written in (
            (self._sql.insert_direct, plan.direct_messages),
            (self._sql.insert_group, plan.group_messages),
            (self._sql.change_direct, [row for row in contents if is_direct(ConvId(row.conv_id))]),
            (self._sql.change_group, [row for row in contents if not is_direct(ConvId(row.conv_id))]),
            (
                self._sql.insert_reactions,
                [(*key, by) for key, by in plan.reactions.items() if by is not None],
            ),
            (self._sql.delete_reactions, [key for key, by in plan.reactions.items() if by is None]),
            (self._sql.insert_hidden, plan.hidden),
            (self._sql.upsert_conversations, _conversation_rows(plan, ts)),
            (self._sql.upsert_joins, joins),
            (self._sql.upsert_reads, list(plan.reads.values())),
            (self._sql.end_members, leaves),
            (self._sql.insert_mentions, plan.mentions),
        ):
            if written:
                connection.execute(statement, {"rows": rows(written)})
        people_store.write(connection, self._sql.people, plan.people)
        group_store.write(connection, self._sql.group, plan, ts)
        subscription_store.write(connection, self._sql.push, plan.push, ts)
        deliveries, seqs = self._write_inboxes(connection, plan, ts)
        return deliveries, self._pushes.write(connection, plan, seqs, ts)

    def _write_inboxes(
        self, connection: Connection, plan: Plan, ts: int
    ) -> tuple[dict[UserId, list[tuple[int, bytes]]], list[int]]:
        """The new updates by inbox; and the seqs that the entries of the plan got."""
        if not plan.inbox:
            return {}, []
        new = counts(plan.inbox)
        heads = connection.execute(self._sql.bump_heads, {"rows": rows(list(new.items()))})
        next_seq: dict[str, int] = {user: head - new[user] + 1 for user, head in heads}
        deliveries: dict[UserId, list[tuple[int, bytes]]] = {user: [] for user in new}
        inbox_rows = []
        seqs = []
        for entry in plan.inbox:
            user = entry.user
            seq = next_seq[user]
            next_seq[user] = seq + 1
            seqs.append(seq)
            inbox_rows.append((user, seq, entry.type, entry.conv_id, entry.message_id, entry.data, ts))
            deliveries[user].append((seq, b'{"seq":%d%b' % (seq, entry.tail)))
        connection.execute(self._sql.insert_inbox, {"rows": rows(inbox_rows)})
        return deliveries, seqs


def rows_of(value: dict[UserId, tuple[int, int]]) -> str:
    return msgspec.json.encode(value).decode()


def _conversation_rows(plan: Plan, ts: int) -> list[tuple[Any, ...]]:
    return [
        (conv, c.kind, c.mode, c.head, c.ordinal, c.name, ts, c.history, c.posting)
        for conv, c in plan.conversations.items()
    ]


def _write_positions(
    connection: Connection, sql: RelayStatements, plan: Plan, positions: dict[str, tuple[UserId, str, int]]
) -> None:
    cursors = dict(plan.cursors)
    for user, device, position in positions.values():
        cursors[user, device] = max(position, cursors.get((user, device), 0))
    if cursors:
        moved = [(user, device, seq) for (user, device), seq in sorted(cursors.items())]
        connection.execute(sql.move_cursors, {"rows": rows(moved)})
    if positions:
        placed = [(client, position) for client, (_user, _device, position) in sorted(positions.items())]
        connection.execute(sql.move_positions, {"rows": rows(placed)})


def _mark_delivered(connection: Connection, sql: RelayStatements, command: MarkDelivered, plan: Plan) -> None:
    if command.marks:
        moved = connection.execute(sql.mark_delivered, {"rows": rows(command.marks)})
        for conv, user, is_news in moved:
            if is_news:
                key = ConvId(conv), UserId(user)
                plan.moved[key] = plan.moved.get(key, 0) | DELIVERED
    connection.execute(sql.mark_looked_through, {"rows": rows(command.upto)})


def _write_upkeep(
    connection: Connection,
    sql: RelayStatements,
    commands: Sequence[Command],
    outcomes: list[bytes | PabalError | int | None],
    ts: int,
) -> None:
    """After the entries, so that a session that starts at the head starts after all of this batch."""
    for place, command in enumerate(commands):
        match command:
            case SaveSession():
                outcomes[place] = _save_session(connection, sql, command)
            case DeleteSession(client_id=client_id):
                for statement in sql.delete_session:
                    connection.execute(statement, {"client_id": client_id})
            case SaveRetained(retained=kept):
                if kept.payload:
                    row = {
                        "topic": kept.topic,
                        "payload": kept.payload,
                        "qos": kept.qos,
                        "properties": kept.properties,
                        "expires": kept.expires,
                    }
                    connection.execute(sql.upsert_retained, row)
                else:
                    connection.execute(sql.delete_retained, {"topic": kept.topic})
            case SaveQueues(changes=changes):
                queue_store.write(connection, sql.queues, changes)
            case (
                EraseEntries()
                | EraseInbox()
                | EraseContacts()
                | EndErasure()
                | ForgetEvents()
                | ForgetPushes()
            ):
                outcomes[place] = erasure_store.write(connection, sql.erasure, command, ts)
            case SavePresence():
                presence_store.write(connection, sql.presence, command)
            case _:
                pass


def _save_session(connection: Connection, sql: RelayStatements, command: SaveSession) -> int | None:
    session = command.session
    position = session.position
    if command.at_head and session.user is not None:
        head = connection.execute(sql.load_heads, {"keys": rows([session.user])}).first()
        position = 0 if head is None else head[1]
    connection.execute(
        sql.upsert_session,
        {
            "client_id": session.client_id,
            "user_id": session.user,
            "device_id": session.device,
            "subscriptions": msgspec.json.encode(session.subscriptions).decode(),
            "position": position,
            "last_seen": session.last_seen,
            "expiry": session.expiry,
        },
    )
    return position
