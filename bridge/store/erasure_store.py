"""Taking away what a deleted account wrote, a bounded piece in each transaction; and old events of the audit log.

Rows of messages stay, with their numbers, ids and digests, as after a recall. Each piece may be done twice.
"""

from typing import Final

import msgspec
from sqlalchemy import Connection, TextClause, text

from bridge.commands import (
    EndErasure,
    EraseContacts,
    EraseEntries,
    EraseInbox,
    Erasure,
    ForgetEvents,
    ForgetPushes,
)
from bridge.plan import Extra
from bridge.store import audit_log, push_log
from bridge.store.dialect import Dialect, rows
from bridge.store.people_store import PeopleStatements
from pabal.ids import UserId, is_direct

# What is left of an entry that gave a reaction or took one back.
_NO_REACTION: Final = '{"removed":true}'
_RANGE: Final = "conv_id = :conv AND message_id > :after AND message_id <= :upto AND sender = :user"


class ErasureStatements:
    def __init__(self, d: Dialect, people: PeopleStatements) -> None:
        self.people = people
        self.hidden = text("DELETE FROM hidden_message WHERE user_id = :user")
        self.pushes = [
            text(f"DELETE FROM {table} WHERE user_id = :user")
            for table in (
                "push_subscription",
                "push_job",
                "push_log",
                "push_shown",
                "push_asked",
                "quiet_hours",
            )
        ]
        tables = ("direct_message", "group_message")
        self.contents = {table: _contents(table) for table in tables}
        self.emoji = {
            table: text(
                f"UPDATE {table} SET extra = :left WHERE {_RANGE} AND type = 'reaction' AND extra <> :left"
            )
            for table in tables
        }
        self.reactions = text(
            "DELETE FROM reaction WHERE conv_id = :conv AND target > :after AND target <= :upto"
            " AND user_id = :user"
        )
        self.mentioning = text(
            f"SELECT message_id, extra FROM group_message WHERE {_RANGE} AND type = 'message' AND extra IS NOT NULL"
        )
        self.mentions = text(
            "DELETE FROM mention WHERE (conv_id, user_id, message_id) IN"
            f" (SELECT {d.fields('text', 'text', 'bigint')} FROM {d.each('rows')})"
        )
        self.named = text(
            "DELETE FROM mention WHERE conv_id = :conv AND user_id = :user"
            " AND message_id > :after AND message_id <= :upto"
        )
        self.inbox_ends = text("SELECT head, min_seq FROM inbox_head WHERE user_id = :user")
        self.inbox = text("DELETE FROM inbox WHERE user_id = :user AND seq < :keep")
        self.min_seq = text("UPDATE inbox_head SET min_seq = :keep WHERE user_id = :user")
        self.end = text("UPDATE account SET state = 'deleted' WHERE user_id = :user AND state = 'deleting'")


def write(connection: Connection, sql: ErasureStatements, command: Erasure, ts: int) -> int:
    """Returns what the command says that its outcome is, otherwise 0."""
    match command:
        case EraseEntries(user=user, conv=conv, after=after, upto=upto):
            table = "direct_message" if is_direct(conv) else "group_message"
            piece = {"user": user, "conv": conv, "after": after, "upto": upto}
            if not is_direct(conv):
                _erase_mentions(connection, sql, piece)
            connection.execute(sql.contents[table], {**piece, "ts": ts})
            connection.execute(sql.emoji[table], {**piece, "left": _NO_REACTION})
            connection.execute(sql.reactions, piece)
        case EraseContacts(user=user, others=others):
            for other in others:
                _erase_contact(connection, sql.people, user, other)
        case EraseInbox():
            return _erase_inbox(connection, sql, command)
        case EndErasure(user=user):
            connection.execute(sql.hidden, {"user": user})
            for statement in sql.pushes:
                connection.execute(statement, {"user": user})
            connection.execute(sql.end, {"user": user})
        case ForgetEvents(before_ts=before, limit=limit):
            return audit_log.forget_old(connection, before, limit)
        case ForgetPushes():
            return push_log.forget_old(connection, command, ts)
    return 0


def _erase_mentions(connection: Connection, sql: ErasureStatements, piece: dict[str, object]) -> None:
    """Who was named by what goes, and where the user was named. While `extra` still says by what."""
    named = [
        (piece["conv"], name, message_id)
        for message_id, extra in connection.execute(sql.mentioning, piece)
        for name in msgspec.json.decode(extra, type=Extra).mentions
    ]
    if named:
        connection.execute(sql.mentions, {"rows": rows(named)})
    connection.execute(sql.named, piece)


def _erase_inbox(connection: Connection, sql: ErasureStatements, command: EraseInbox) -> int:
    """The head stays, so that a seq is never given twice."""
    head, first = connection.execute(sql.inbox_ends, {"user": command.user}).first() or (0, 1)
    keep = min(head + 1, first + command.limit)
    if keep > first:
        connection.execute(sql.inbox, {"user": command.user, "keep": keep})
        connection.execute(sql.min_seq, {"user": command.user, "keep": keep})
    return int(head + 1 - keep)


def _erase_contact(connection: Connection, sql: PeopleStatements, user: UserId, other: UserId) -> None:
    """What the other one's inbox tells of it stays, without what was written."""
    pair = {"user": user, "other": other}
    connection.execute(sql.forget_contact, pair)
    connection.execute(sql.forget_block, pair)
    for seq, data in connection.execute(sql.told_of_contacts, {"other": other}).all():
        told = msgspec.json.decode(data, type=dict[str, object])
        if (
            told.get("user") == user
            and told.get("action") == "received"
            and told.pop("text", None) is not None
        ):
            again = {"other": other, "seq": seq, "data": msgspec.json.encode(told).decode()}
            connection.execute(sql.tell_again, again)


def _contents(table: str) -> TextClause:
    return text(
        f"UPDATE {table} SET text = NULL, body = NULL, extra = NULL, edited_ts = NULL,"
        f" recalled_ts = coalesce(recalled_ts, :ts) WHERE {_RANGE} AND type = 'message'"
        " AND (recalled_ts IS NULL OR extra IS NOT NULL)"
    )
