"""The statements of the one transaction, made once for a dialect; their text never changes after that."""

from typing import Final

from sqlalchemy import TextClause, text

from bridge.store.dialect import Dialect, Type
from bridge.store.erasure_store import ErasureStatements
from bridge.store.group_store import GroupStatements
from bridge.store.people_store import PeopleStatements
from bridge.store.presence_store import PresenceStatements
from bridge.store.queue_store import QueueStatements
from bridge.store.subscription_store import SubscriptionStatements

_MESSAGE_COLUMNS: Final = (
    "conv_id, message_id, sender, device, id, digest, type, kind, ordinal, text, body, extra, ts, target,"
    " expires_ts"
)
_MESSAGE_TYPES: Final[tuple[Type, ...]] = (
    "text", "bigint", "text", "text", "text", "text", "text", "text", "bigint", "text", "text", "text", "bigint", "bigint",
    "bigint",
)  # fmt: skip


class RelayStatements:
    """Look-ups take a JSON array `keys`, writes a JSON array `rows`."""

    def __init__(self, d: Dialect) -> None:
        self.load_conversations = text(
            f"SELECT conv_id, kind, mode, head, ordinal, name, history, posting FROM conversation"
            f" WHERE conv_id {d.among('keys')} ORDER BY conv_id{d.row_lock}"
        )
        self.load_known_direct = _load_known(d, "direct_message")
        self.load_known_group = _load_known(d, "group_message")
        self.load_rosters = text(
            "SELECT m.conv_id, m.user_id, m.role, m.visible_from, m.silenced_until FROM member AS m"
            f" WHERE m.conv_id {d.among('keys')} AND m.to_id IS NULL ORDER BY m.conv_id, m.user_id"
        )
        self.load_roles = text(
            "SELECT m.conv_id, m.user_id, m.role, m.visible_from, m.silenced_until"
            f" FROM {d.each('keys')} CROSS JOIN member AS m"
            f" WHERE m.conv_id = {d.field(0)} AND m.user_id = {d.field(1)} AND m.to_id IS NULL"
        )
        # Whoever cannot get in could not run the group either.
        self.load_heirs = text(
            "SELECT m.user_id, m.role, m.visible_from, m.silenced_until FROM member AS m"
            " LEFT JOIN account AS a ON a.user_id = m.user_id"
            " WHERE m.conv_id = :conv AND m.to_id IS NULL AND m.role <> 'owner'"
            " ORDER BY CASE a.state WHEN 'active' THEN 0 ELSE 1 END,"
            " CASE m.role WHEN 'admin' THEN 0 ELSE 1 END, m.from_id, m.user_id LIMIT :limit"
        )
        self.people = PeopleStatements(d)
        self.erasure = ErasureStatements(d, self.people)
        self.load_heads = text(f"SELECT user_id, head FROM inbox_head WHERE user_id {d.among('keys')}")
        self.load_read = text(
            f"SELECT m.conv_id, m.user_id, m.read_upto, {d.greatest}(m.delivered_upto, m.read_upto)"
            f" FROM {d.each('keys')} CROSS JOIN member AS m"
            f" WHERE m.conv_id = {d.field(0)} AND m.user_id = {d.field(1)} AND m.to_id IS NULL"
        )
        self.load_direct_ordinals = _load_ordinals(d, "direct_message")
        self.load_group_ordinals = _load_ordinals(d, "group_message")
        self.load_direct_targets = _load_targets(d, "direct_message")
        self.load_group_targets = _load_targets(d, "group_message")
        self.load_latest_joins = text(
            "SELECT conv_id, max(visible_from) FROM member"
            f" WHERE conv_id {d.among('keys')} AND to_id IS NULL GROUP BY conv_id"
        )
        self.load_reactions = text(
            f"SELECT r.conv_id, r.target, r.user_id, r.emoji FROM {d.each('keys')} CROSS JOIN reaction AS r"
            f" WHERE r.conv_id = {d.field(0)} AND r.target = {d.field(1, 'bigint')}"
            f" AND r.user_id = {d.field(2)}"
        )
        self.change_direct = _change_content(d, "direct_message")
        self.change_group = _change_content(d, "group_message")
        self.insert_reactions = text(
            "INSERT INTO reaction (conv_id, target, user_id, emoji, message_id)"
            f" SELECT {d.fields('text', 'bigint', 'text', 'text', 'bigint')} FROM {d.each('rows')} WHERE true"
            " ON CONFLICT (conv_id, target, user_id, emoji) DO UPDATE SET message_id = excluded.message_id"
        )
        self.delete_reactions = text(
            "DELETE FROM reaction WHERE (conv_id, target, user_id, emoji) IN"
            f" (SELECT {d.fields('text', 'bigint', 'text', 'text')} FROM {d.each('rows')})"
        )
        self.load_direct_contents = _load_contents(d, "direct_message")
        self.load_group_contents = _load_contents(d, "group_message")
        self.load_hidden = text(
            f"SELECT h.conv_id, h.message_id, h.user_id FROM {d.each('keys')} CROSS JOIN hidden_message AS h"
            f" WHERE h.user_id = {d.field(2)} AND h.conv_id = {d.field(0)}"
            f" AND h.message_id = {d.field(1, 'bigint')}"
        )
        self.insert_hidden = text(
            "INSERT INTO hidden_message (user_id, conv_id, message_id)"
            f" SELECT {d.fields('text', 'text', 'bigint')} FROM {d.each('rows')} WHERE true"
            " ON CONFLICT (user_id, conv_id, message_id) DO NOTHING"
        )
        self.insert_direct = _insert_messages(d, "direct_message")
        self.insert_group = _insert_messages(d, "group_message")
        self.upsert_conversations = text(
            "INSERT INTO conversation (conv_id, kind, mode, head, ordinal, name, created_ts, history, posting)"
            f" SELECT {d.fields('text', 'text', 'text', 'bigint', 'bigint', 'text', 'bigint', 'text', 'text')}"
            f" FROM {d.each('rows')} WHERE true"
            " ON CONFLICT (conv_id) DO UPDATE SET"
            " head = excluded.head, ordinal = excluded.ordinal, mode = excluded.mode, name = excluded.name,"
            " history = excluded.history, posting = excluded.posting"
        )
        self.upsert_reads = text(
            "INSERT INTO member (conv_id, user_id, from_id, visible_from, role,"
            " delivered_upto, read_upto, read_ordinal)"
            f" SELECT {d.field(0)}, {d.field(1)}, 1, 1, 'member', 0, {d.field(2, 'bigint')},"
            f" {d.field(3, 'bigint')} FROM {d.each('rows')} WHERE true"
            " ON CONFLICT (conv_id, user_id) DO UPDATE SET"
            f" read_upto = {d.greatest}(member.read_upto, excluded.read_upto),"
            f" read_ordinal = {d.greatest}(member.read_ordinal, excluded.read_ordinal)"
        )
        self.upsert_joins = text(
            "INSERT INTO member (conv_id, user_id, from_id, visible_from, role,"
            " delivered_upto, read_upto, read_ordinal)"
            f" SELECT {d.field(0)}, {d.field(1)}, {d.field(2, 'bigint')}, {d.field(5, 'bigint')},"
            f" {d.field(3)}, 0, {d.field(2, 'bigint')}, {d.field(4, 'bigint')}"
            f" FROM {d.each('rows')} WHERE true"
            " ON CONFLICT (conv_id, user_id) DO UPDATE SET from_id = excluded.from_id, to_id = NULL,"
            " visible_from = excluded.visible_from, role = excluded.role,"
            " read_upto = excluded.read_upto, read_ordinal = excluded.read_ordinal"
        )
        self.end_members = text(
            f"UPDATE member SET to_id = {d.field(2, 'bigint')} FROM {d.each('rows')}"
            f" WHERE member.conv_id = {d.field(0)} AND member.user_id = {d.field(1)}"
        )
        self.bump_heads = text(
            "INSERT INTO inbox_head (user_id, head, min_seq)"
            f" SELECT {d.field(0)}, {d.field(1, 'bigint')}, 1 FROM {d.each('rows')} WHERE true"
            " ON CONFLICT (user_id) DO UPDATE SET head = inbox_head.head + excluded.head"
            " RETURNING user_id, head"
        )
        self.insert_inbox = text(
            "INSERT INTO inbox (user_id, seq, type, conv_id, message_id, data, ts)"
            f" SELECT {d.fields('text', 'bigint', 'text', 'text', 'bigint', 'text', 'bigint')}"
            f" FROM {d.each('rows')}"
        )
        self.move_cursors = text(
            f"UPDATE device SET cursor = {d.greatest}(cursor, {d.field(2, 'bigint')}) FROM {d.each('rows')}"
            f" WHERE user_id = {d.field(0)} AND device_id = {d.field(1)}"
        )
        self.move_positions = text(
            "UPDATE mqtt_session SET"
            f" position = {d.greatest}(coalesce(position, 0), {d.field(1, 'bigint')}) FROM {d.each('rows')}"
            f" WHERE client_id = {d.field(0)}"
        )
        self.upsert_session = text(
            "INSERT INTO mqtt_session"
            " (client_id, user_id, device_id, subscriptions, position, last_seen, expiry)"
            " VALUES (:client_id, :user_id, :device_id, :subscriptions, :position, :last_seen, :expiry)"
            " ON CONFLICT (client_id) DO UPDATE SET user_id = excluded.user_id,"
            " device_id = excluded.device_id, subscriptions = excluded.subscriptions,"
            " position = excluded.position, last_seen = excluded.last_seen, expiry = excluded.expiry"
        )
        self.delete_session = [
            text(f"DELETE FROM {table} WHERE client_id = :client_id")
            for table in ("mqtt_session", "mqtt_delivery", "mqtt_incoming")
        ]
        self.group = GroupStatements(d)
        self.queues = QueueStatements(d)
        self.presence = PresenceStatements(d)
        self.push = SubscriptionStatements(d)
        self.upsert_retained = text(
            "INSERT INTO retained (topic, payload, qos, properties, expires)"
            " VALUES (:topic, :payload, :qos, :properties, :expires)"
            " ON CONFLICT (topic) DO UPDATE SET payload = excluded.payload, qos = excluded.qos,"
            " properties = excluded.properties, expires = excluded.expires"
        )
        self.delete_retained = text("DELETE FROM retained WHERE topic = :topic")
        self.insert_mentions = text(
            f"INSERT INTO mention (conv_id, user_id, message_id) SELECT {d.fields('text', 'text', 'bigint')}"
            f" FROM {d.each('rows')}"
        )
        # What was read is known to be delivered: only what lies beyond it is news.
        self.mark_delivered = text(
            f"UPDATE member SET delivered_upto = {d.field(2, 'bigint')} FROM {d.each('rows')}"
            f" WHERE member.conv_id = {d.field(0)} AND member.user_id = {d.field(1)} AND member.to_id IS NULL"
            f" AND member.delivered_upto < {d.field(2, 'bigint')}"
            " RETURNING conv_id, user_id, delivered_upto > read_upto"
        )
        self.mark_looked_through = text(
            f"UPDATE inbox_head SET delivered = {d.greatest}(delivered, {d.field(1, 'bigint')})"
            f" FROM {d.each('rows')} WHERE inbox_head.user_id = {d.field(0)}"
        )
        self.insert_outbox = text("INSERT INTO outbox (batch_id, ranges) VALUES (:batch_id, :ranges)")
        self.delete_outbox = text("DELETE FROM outbox WHERE batch_id <= :upto")


def _load_known(d: Dialect, table: str) -> TextClause:
    return text(
        "SELECT m.conv_id, m.sender, m.device, m.id, m.message_id, m.digest, m.ts"
        f" FROM {d.each('keys')} CROSS JOIN {table} AS m"
        f" WHERE m.conv_id = {d.field(0)} AND m.sender = {d.field(1)}"
        f" AND m.device = {d.field(2)} AND m.id = {d.field(3)}"
    )


def _load_ordinals(d: Dialect, table: str) -> TextClause:
    return text(
        f"SELECT m.conv_id, m.message_id, m.ordinal FROM {d.each('keys')} CROSS JOIN {table} AS m"
        f" WHERE m.conv_id = {d.field(0)} AND m.message_id = {d.field(2, 'bigint')}"
    )


def _load_targets(d: Dialect, table: str) -> TextClause:
    return text(
        "SELECT m.conv_id, m.message_id, m.sender, m.type, m.ts, m.recalled_ts IS NOT NULL, m.expires_ts"
        f" FROM {d.each('keys')} CROSS JOIN {table} AS m"
        f" WHERE m.conv_id = {d.field(0)} AND m.message_id = {d.field(1, 'bigint')}"
    )


def _load_contents(d: Dialect, table: str) -> TextClause:
    return text(
        f"SELECT m.conv_id, m.message_id, m.kind, m.text, m.body FROM {d.each('keys')} CROSS JOIN {table} AS m"
        f" WHERE m.conv_id = {d.field(0)} AND m.message_id = {d.field(1, 'bigint')}"
    )


def _change_content(d: Dialect, table: str) -> TextClause:
    return text(
        f"UPDATE {table} SET text = {d.field(2)}, body = {d.field(3)},"
        f" edited_ts = {d.field(4, 'bigint')}, recalled_ts = {d.field(5, 'bigint')} FROM {d.each('rows')}"
        f" WHERE {table}.conv_id = {d.field(0)} AND {table}.message_id = {d.field(1, 'bigint')}"
    )


def _insert_messages(d: Dialect, table: str) -> TextClause:
    return text(
        f"INSERT INTO {table} ({_MESSAGE_COLUMNS}) SELECT {d.fields(*_MESSAGE_TYPES)} FROM {d.each('rows')}"
    )
