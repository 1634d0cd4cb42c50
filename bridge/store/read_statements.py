"""The statements of look-ups, made once for a dialect."""

from typing import Final

from sqlalchemy import TextClause, text

from bridge.commands import EVERYBODY
from bridge.store.dialect import Dialect
from bridge.store.sharing import SharingStatements
from bridge.store.trace_queries import TraceStatements

_MESSAGE: Final = (
    "m.conv_id, m.message_id, m.sender, m.device, m.id, m.type, m.kind, m.text, m.body, m.extra, m.ts,"
    " m.target, m.edited_ts, m.recalled_ts, m.expires_ts"
)

_SHOWN: Final = (
    "NOT EXISTS (SELECT 1 FROM hidden_message AS h"
    " WHERE h.user_id = :user AND h.conv_id = m.conv_id AND h.message_id = m.message_id)"
)


class ReadStatements:
    def __init__(self, d: Dialect) -> None:
        self.head = text("SELECT head, min_seq FROM inbox_head WHERE user_id = :user")
        self.heads = text(f"SELECT user_id, head FROM inbox_head WHERE user_id {d.among('users')}")
        self.inbox = text(
            "SELECT seq, type, conv_id, message_id, data, ts FROM inbox"
            " WHERE user_id = :user AND seq > :after ORDER BY seq LIMIT :limit"
        )
        self.messages = [
            text(
                f"SELECT {_MESSAGE} FROM {d.each('keys')} CROSS JOIN {table} AS m"
                f" WHERE m.conv_id = {d.field(0)} AND m.message_id = {d.field(1, 'bigint')}"
            )
            for table in ("direct_message", "group_message")
        ]
        self.newest = [
            text(
                f"SELECT {_MESSAGE} FROM {d.each('keys')} CROSS JOIN {table} AS m"
                f" WHERE m.conv_id = {d.field(0)} AND m.message_id = (SELECT n.message_id FROM {table} AS n"
                f" WHERE n.conv_id = {d.field(0)} AND n.message_id >= {d.field(1, 'bigint')}"
                " AND n.type = 'message' AND NOT EXISTS (SELECT 1 FROM hidden_message AS h WHERE h.user_id = :user"
                " AND h.conv_id = n.conv_id AND h.message_id = n.message_id) ORDER BY n.message_id DESC LIMIT 1)"
            )
            for table in ("direct_message", "group_message")
        ]
        self.hidden = text(
            f"SELECT h.conv_id, h.message_id FROM {d.each('keys')} CROSS JOIN hidden_message AS h"
            f" WHERE h.user_id = :user AND h.conv_id = {d.field(0)} AND h.message_id = {d.field(1, 'bigint')}"
        )
        self.edited_unseen = text(
            f"SELECT p.conv_id, {d.field(1, 'bigint')} FROM {d.each('keys')} CROSS JOIN member AS p"
            f" WHERE p.user_id = :user AND p.conv_id = {d.field(0)} AND (p.visible_from > {d.field(1, 'bigint')}"
            " OR p.to_id IS NOT NULL AND EXISTS (SELECT 1 FROM group_message AS e WHERE e.conv_id = p.conv_id"
            f" AND e.message_id > p.to_id AND e.type = 'edited' AND e.target = {d.field(1, 'bigint')}))"
        )
        self.hidden_above = text(
            f"SELECT h.conv_id, count(*) FROM {d.each('keys')} CROSS JOIN hidden_message AS h"
            f" WHERE h.user_id = :user AND h.conv_id = {d.field(0)} AND h.message_id > {d.field(1, 'bigint')}"
            " GROUP BY h.conv_id"
        )
        # Twice the conditions of the tables' indexes, to the letter, so that they are used.
        self.due = [
            text(
                f"SELECT conv_id, message_id, sender FROM {table}"
                " WHERE expires_ts IS NOT NULL AND recalled_ts IS NULL AND expires_ts <= :now"
                " ORDER BY expires_ts, conv_id, message_id LIMIT :limit"
            )
            for table in ("direct_message", "group_message")
        ]
        self.reactions = text(
            "SELECT target, emoji, user_id FROM reaction"
            " WHERE conv_id = :conv AND target >= :first AND target <= :last ORDER BY target, message_id"
        )
        self.before = {table: _before(table) for table in ("direct_message", "group_message")}
        self.after = {table: _after(table) for table in ("direct_message", "group_message")}
        self.membership = text(
            "SELECT visible_from FROM member WHERE conv_id = :conv AND user_id = :user AND to_id IS NULL"
        )
        self.rooms = text(
            "SELECT c.conv_id, c.head FROM member AS m JOIN conversation AS c ON c.conv_id = m.conv_id"
            " WHERE m.user_id = :user AND m.to_id IS NULL AND c.mode = 'large' ORDER BY c.conv_id LIMIT 1000"
        )
        self.last_seen = text(
            f"SELECT user_id, max(seen_ts) FROM device WHERE user_id {d.among('users')}"
            " AND seen_ts IS NOT NULL GROUP BY user_id"
        )
        self.conversation_head = text("SELECT head FROM conversation WHERE conv_id = :conv")
        self.receipts = text(
            f"SELECT user_id, {d.greatest}(delivered_upto, read_upto), read_upto FROM member"
            " WHERE conv_id = :conv AND to_id IS NULL AND (user_id = :viewer"
            " OR EXISTS (SELECT 1 FROM conversation WHERE conv_id = :conv AND mode = 'small'))"
            # What they had chosen and whom they had blocked is not known any more.
            " AND NOT EXISTS (SELECT 1 FROM account AS a WHERE a.user_id = member.user_id"
            " AND a.state IN ('deleting', 'deleted')) ORDER BY user_id LIMIT 500"
        )
        self.sharing = SharingStatements(d)
        self.traces = TraceStatements(d)
        self.mentions = text(
            f"SELECT n.conv_id, count(DISTINCT n.message_id) FROM {d.each('keys')} CROSS JOIN mention AS n"
            f" WHERE n.conv_id = {d.field(0)} AND n.user_id IN (:user, '{EVERYBODY}')"
            f" AND n.message_id > {d.field(1, 'bigint')}"
            " AND NOT EXISTS (SELECT 1 FROM hidden_message AS h WHERE h.user_id = :user"
            " AND h.conv_id = n.conv_id AND h.message_id = n.message_id) GROUP BY n.conv_id"
        )
        self.mine = text(
            "SELECT conv_id, read_upto, read_ordinal, visible_from, muted_until FROM member"
            " WHERE user_id = :user AND conv_id > :after AND to_id IS NULL ORDER BY conv_id LIMIT :limit"
        )
        self.conversations = text(
            f"SELECT conv_id, kind, mode, head, ordinal, name FROM conversation WHERE conv_id {d.among('keys')}"
        )
        self.changes = text(
            "SELECT change_id, kind, user_id, device_id, reason, credential FROM change_log c"
            " WHERE change_id > :after AND (kind <> 'gone' OR NOT EXISTS (SELECT 1 FROM device d"
            " WHERE d.user_id = c.user_id AND d.device_id = c.device_id)) ORDER BY change_id LIMIT 1000"
        )
        self.last_change = text("SELECT coalesce(max(change_id), 0) FROM change_log")
        self.sessions = text(
            "SELECT client_id, user_id, device_id, subscriptions, position, last_seen, expiry"
            " FROM mqtt_session"
        )
        self.retained = text("SELECT topic, payload, qos, properties, expires FROM retained")
        self.deleting = text("SELECT user_id FROM account WHERE state = 'deleting' ORDER BY user_id")
        self.acquainted = text(
            "SELECT other_id FROM contact WHERE user_id = :user"
            # Whoever was blocked may have the other side of it still. All contacts are looked through, once.
            " UNION SELECT user_id FROM contact WHERE other_id = :user"
            " UNION SELECT blocked_id FROM block WHERE user_id = :user"
        )
        self.told_of_contacts = text(
            "SELECT data FROM inbox WHERE user_id = :user AND type = 'contact' AND data IS NOT NULL"
        )
        self.oldest_event = text("SELECT ts FROM audit ORDER BY event_id LIMIT 1")
        self.oldest_push = text(
            "SELECT min(done_ts) FROM push_log UNION ALL SELECT min(due_ts) FROM push_job"
        )
        self.ever_mine = text(
            "SELECT m.conv_id, m.to_id IS NULL, c.head FROM member AS m JOIN conversation AS c"
            " ON c.conv_id = m.conv_id WHERE m.user_id = :user AND m.conv_id > :after"
            " ORDER BY m.conv_id LIMIT :limit"
        )
        self.my_reactions = text(
            "SELECT target, emoji FROM reaction WHERE conv_id = :conv AND user_id = :user AND target >= :first"
            " AND (target > :target OR target = :target AND emoji > :emoji) ORDER BY target, emoji LIMIT :limit"
        )
        self.outbox = text(
            "SELECT batch_id, ranges FROM outbox WHERE batch_id > :after ORDER BY batch_id LIMIT :limit"
        )
        self.relations = text(
            "SELECT a.user_id, a.privacy,"
            " (SELECT c.state FROM contact AS c WHERE c.user_id = a.user_id AND c.other_id = :viewer),"
            " (SELECT c.state FROM contact AS c WHERE c.user_id = :viewer AND c.other_id = a.user_id),"
            " EXISTS (SELECT 1 FROM block AS b WHERE b.user_id = a.user_id AND b.blocked_id = :viewer),"
            " EXISTS (SELECT 1 FROM block AS b WHERE b.user_id = :viewer AND b.blocked_id = a.user_id),"
            " EXISTS (SELECT 1 FROM member AS mine"
            " JOIN member AS theirs ON theirs.conv_id = mine.conv_id AND theirs.user_id = a.user_id"
            " JOIN conversation AS c ON c.conv_id = mine.conv_id"
            " WHERE mine.user_id = :viewer AND mine.to_id IS NULL AND theirs.to_id IS NULL"
            " AND c.kind = 'group' AND c.mode = 'small')"
            f" FROM account AS a WHERE a.user_id {d.among('users')} AND a.state = 'active'"
        )


def _before(table: str) -> TextClause:
    return text(
        f"SELECT {_MESSAGE} FROM {table} AS m WHERE m.conv_id = :conv"
        f" AND m.message_id < :before AND m.message_id >= :first AND {_SHOWN} ORDER BY m.message_id DESC LIMIT :limit"
    )


def _after(table: str) -> TextClause:
    return text(
        f"SELECT {_MESSAGE} FROM {table} AS m WHERE m.conv_id = :conv"
        f" AND m.message_id > :after AND m.message_id >= :first AND {_SHOWN} ORDER BY m.message_id LIMIT :limit"
    )
