"""Conversations, who is in them, their entries, and the inboxes."""

from sqlalchemy import BigInteger, Column, Index, String, Table, Text, UniqueConstraint, text

from bridge.store.tables.base import CONV, DEVICE, USER, ascii_name, metadata

# Of messages with a time to go; all others cost that index nothing.
_STILL_THERE = text("expires_ts IS NOT NULL AND recalled_ts IS NULL")


def _message_table(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("conv_id", CONV, primary_key=True),
        Column("message_id", BigInteger, primary_key=True, autoincrement=False),
        Column("sender", USER, nullable=False),
        Column("device", DEVICE, nullable=False),
        Column("id", String(64), comment="the client's request id; rows without one never collide"),
        Column("digest", String(24), nullable=False, comment="of the request; empty without an id"),
        Column(
            "type",
            String(16),
            nullable=False,
            comment="message, edited, recalled, reaction, member, conversation",
        ),
        Column("kind", String(32), nullable=False, comment="of a message, as the client named it"),
        Column("target", BigInteger, comment="the message that this entry is about"),
        Column("ordinal", BigInteger, nullable=False, comment="countable messages up to and with this row"),
        Column("text", Text),
        Column("body", Text),
        Column("extra", Text, comment="JSON: bridge.entries.Extra"),
        Column("ts", BigInteger, nullable=False),
        Column("edited_ts", BigInteger, comment="of the newest edit; text and body are as of then"),
        Column("recalled_ts", BigInteger, comment="text and body are gone since then"),
        Column("expires_ts", BigInteger, comment="text and body go then"),
        UniqueConstraint("conv_id", "sender", "device", "id"),
        Index(None, "expires_ts", sqlite_where=_STILL_THERE, postgresql_where=_STILL_THERE),
        sqlite_with_rowid=False,
    )


direct_message = _message_table("direct_message")

group_message = _message_table("group_message")

reaction = Table(
    "reaction",
    metadata,
    Column("conv_id", CONV, primary_key=True),
    Column("target", BigInteger, primary_key=True, autoincrement=False),
    Column("user_id", USER, primary_key=True),
    Column("emoji", ascii_name(32), primary_key=True),
    Column("message_id", BigInteger, nullable=False, comment="the entry that gave it"),
    sqlite_with_rowid=False,
)

hidden_message = Table(
    "hidden_message",
    metadata,
    Column("user_id", USER, primary_key=True),
    Column("conv_id", CONV, primary_key=True),
    Column("message_id", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

conversation = Table(
    "conversation",
    metadata,
    Column("conv_id", CONV, primary_key=True),
    Column("kind", String(8), nullable=False, comment="direct, group"),
    Column("mode", String(8), nullable=False, comment="small, large"),
    Column("head", BigInteger, nullable=False),
    Column("ordinal", BigInteger, nullable=False),
    Column("name", Text),
    Column("created_ts", BigInteger, nullable=False),
    Column(
        "history",
        String(8),
        nullable=False,
        server_default="join",
        comment="what newcomers see: join, all",
    ),
    Column("posting", String(8), nullable=False, server_default="all", comment="who may write: all, admins"),
    sqlite_with_rowid=False,
)

member = Table(
    "member",
    metadata,
    Column("conv_id", CONV, primary_key=True),
    Column("user_id", USER, primary_key=True),
    Column("from_id", BigInteger, nullable=False, comment="first entry as a member"),
    Column("to_id", BigInteger, comment="last entry as a member; null while one is"),
    Column("visible_from", BigInteger, nullable=False),
    Column("role", String(8), nullable=False),
    Column("delivered_upto", BigInteger, nullable=False),
    Column("read_upto", BigInteger, nullable=False),
    Column("read_ordinal", BigInteger, nullable=False, comment="ordinal of the entry read up to"),
    Column("silenced_until", BigInteger, comment="may not write before, say the admins"),
    Column("muted_until", BigInteger, comment="wants no notifications before"),
    Index(None, "user_id", "conv_id"),
    sqlite_with_rowid=False,
)

invite = Table(
    "invite",
    metadata,
    Column("code", ascii_name(32), primary_key=True),
    Column("conv_id", CONV, nullable=False),
    Column("created_by", USER, nullable=False),
    Column("device", DEVICE, nullable=False),
    Column("id", String(64), comment="the request that made it"),
    Column("digest", String(24), nullable=False, comment="of the request; empty without an id"),
    Column("created_ts", BigInteger, nullable=False),
    Column("expires_ts", BigInteger),
    Column("uses", BigInteger, comment="how many may join by it; null: no end"),
    Column("used", BigInteger, nullable=False, comment="how many have"),
    Column("ended_ts", BigInteger, comment="taken back then"),
    UniqueConstraint("conv_id", "created_by", "device", "id"),
    sqlite_with_rowid=False,
)

mention = Table(
    "mention",
    metadata,
    Column("conv_id", CONV, primary_key=True),
    Column("user_id", USER, primary_key=True, comment="or @all, for every member"),
    Column("message_id", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

inbox_head = Table(
    "inbox_head",
    metadata,
    Column("user_id", USER, primary_key=True),
    Column("head", BigInteger, nullable=False),
    Column("min_seq", BigInteger, nullable=False, server_default="1"),
    Column(
        "delivered",
        BigInteger,
        nullable=False,
        server_default="0",
        comment="looked through up to here for what reached the user",
    ),
    sqlite_with_rowid=False,
)

inbox = Table(
    "inbox",
    metadata,
    Column("user_id", USER, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("type", String(16), nullable=False),
    Column("conv_id", CONV),
    Column("message_id", BigInteger),
    Column("data", Text, comment="JSON of an update that is no message row"),
    Column("ts", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

outbox = Table(
    "outbox",
    metadata,
    Column("batch_id", BigInteger, primary_key=True, autoincrement=False),
    Column("ranges", Text, nullable=False, comment="JSON {user: [first seq, last seq]}"),
)
