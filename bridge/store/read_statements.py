"""The statements of look-ups, made once for a dialect."""

from typing import Final

from sqlalchemy import TextClause, text

from bridge.store.dialect import Dialect

_MESSAGE: Final = (
    "m.conv_id, m.message_id, m.sender, m.device, m.id, m.type, m.kind, m.text, m.body, m.extra, m.ts,"
    " m.target, m.edited_ts, m.recalled_ts"
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
                " AND n.type = 'message' ORDER BY n.message_id DESC LIMIT 1)"
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
        self.conversation_head = text("SELECT head FROM conversation WHERE conv_id = :conv")
        self.receipts = text(
            "SELECT user_id, delivered_upto, read_upto FROM member"
            " WHERE conv_id = :conv AND to_id IS NULL ORDER BY user_id LIMIT 500"
        )
        self.mine = text(
            "SELECT conv_id, read_upto, read_ordinal, visible_from FROM member"
            " WHERE user_id = :user AND conv_id > :after AND to_id IS NULL ORDER BY conv_id LIMIT :limit"
        )
        self.conversations = text(
            f"SELECT conv_id, kind, mode, head, ordinal, name FROM conversation WHERE conv_id {d.among('keys')}"
        )
        self.changes = text(
            "SELECT change_id, kind, user_id, device_id, reason, credential FROM change_log c"
            " WHERE change_id > :after AND (kind = 'kicked' OR kind = 'gone' AND NOT EXISTS (SELECT 1 FROM device d"
            " WHERE d.user_id = c.user_id AND d.device_id = c.device_id)) ORDER BY change_id LIMIT 1000"
        )
        self.last_change = text("SELECT coalesce(max(change_id), 0) FROM change_log")
        self.sessions = text(
            "SELECT client_id, user_id, device_id, subscriptions, position, last_seen, expiry"
            " FROM mqtt_session"
        )
        self.retained = text("SELECT topic, payload, qos, properties, expires FROM retained")
        self.deleting = text("SELECT user_id FROM account WHERE state = 'deleting' ORDER BY user_id")
        self.oldest_event = text("SELECT ts FROM audit ORDER BY event_id LIMIT 1")
        self.ever_mine = text(
            "SELECT m.conv_id, m.to_id IS NULL, c.head FROM member AS m JOIN conversation AS c"
            " ON c.conv_id = m.conv_id WHERE m.user_id = :user AND m.conv_id > :after"
            " ORDER BY m.conv_id LIMIT :limit"
        )
        self.my_reactions = text(
            "SELECT target, emoji FROM reaction WHERE conv_id = :conv AND user_id = :user AND target >= :first"
            " AND (target > :target OR target = :target AND emoji > :emoji) ORDER BY target, emoji LIMIT :limit"
        )
        self.outbox = text("SELECT batch_id, ranges FROM outbox ORDER BY batch_id")
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
        " AND m.message_id < :before AND m.message_id >= :first ORDER BY m.message_id DESC LIMIT :limit"
    )


def _after(table: str) -> TextClause:
    return text(
        f"SELECT {_MESSAGE} FROM {table} AS m WHERE m.conv_id = :conv"
        " AND m.message_id > :after AND m.message_id >= :first ORDER BY m.message_id LIMIT :limit"
    )
