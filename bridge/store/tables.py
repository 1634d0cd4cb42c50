"""All tables. Each is keyed so that it could be sharded by its first column.

The migrations in `migrations/` make the same schema; a test holds the two together.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeEngine

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _name(length: int) -> TypeEngine[str]:
    """Names are ASCII and compared byte by byte, whatever the language of a PostgreSQL cluster."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


_user = _name(32)
_device = _name(32)
_conv = _name(65)
_folded = Text().with_variant(Text(collation="C"), "postgresql")


# Of messages with a time to go; all others cost that index nothing.
_STILL_THERE = text("expires_ts IS NOT NULL AND recalled_ts IS NULL")


def _message_table(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("conv_id", _conv, primary_key=True),
        Column("message_id", BigInteger, primary_key=True, autoincrement=False),
        Column("sender", _user, nullable=False),
        Column("device", _device, nullable=False),
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
    Column("conv_id", _conv, primary_key=True),
    Column("target", BigInteger, primary_key=True, autoincrement=False),
    Column("user_id", _user, primary_key=True),
    Column("emoji", _name(32), primary_key=True),
    Column("message_id", BigInteger, nullable=False, comment="the entry that gave it"),
    sqlite_with_rowid=False,
)

hidden_message = Table(
    "hidden_message",
    metadata,
    Column("user_id", _user, primary_key=True),
    Column("conv_id", _conv, primary_key=True),
    Column("message_id", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

conversation = Table(
    "conversation",
    metadata,
    Column("conv_id", _conv, primary_key=True),
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
    Column("conv_id", _conv, primary_key=True),
    Column("user_id", _user, primary_key=True),
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
    Column("code", _name(32), primary_key=True),
    Column("conv_id", _conv, nullable=False),
    Column("created_by", _user, nullable=False),
    Column("device", _device, nullable=False),
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
    Column("conv_id", _conv, primary_key=True),
    Column("user_id", _user, primary_key=True, comment="or @all, for every member"),
    Column("message_id", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

inbox_head = Table(
    "inbox_head",
    metadata,
    Column("user_id", _user, primary_key=True),
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
    Column("user_id", _user, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("type", String(16), nullable=False),
    Column("conv_id", _conv),
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

account = Table(
    "account",
    metadata,
    Column("user_id", _user, primary_key=True),
    Column("display_name", Text),
    Column("about", Text),
    Column("password_hash", Text, comment="null: no login by password"),
    Column("state", String(8), nullable=False, comment="active, disabled, deleting, deleted"),
    Column("admin", Boolean, nullable=False),
    Column("created_ts", BigInteger, nullable=False),
    Column("privacy", Text, comment="JSON: pabal.privacy.Privacy; null: as it is for everybody at first"),
    Column(
        "found_as",
        _folded,
        server_default="",
        comment="display_name as search compares it; null: not to be found",
    ),
    Index(None, "found_as"),
    sqlite_with_rowid=False,
)

contact = Table(
    "contact",
    metadata,
    Column("user_id", _user, primary_key=True),
    Column("other_id", _user, primary_key=True),
    Column(
        "state",
        String(10),
        nullable=False,
        comment="accepted, requested (by the user), received (by the user)",
    ),
    Column("text", Text, comment="what a request says"),
    Column("ts", BigInteger, nullable=False, comment="since when it is so"),
    sqlite_with_rowid=False,
)

block = Table(
    "block",
    metadata,
    Column("user_id", _user, primary_key=True),
    Column("blocked_id", _user, primary_key=True),
    Column("ts", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

report = Table(
    "report",
    metadata,
    Column("report_id", BigInteger, primary_key=True, autoincrement=False),
    Column("reporter", _user, nullable=False),
    Column("about", _user, nullable=False, comment="the user, or who wrote the message"),
    Column("conv_id", _conv, nullable=False, comment="empty where it is about the user"),
    Column("message_id", BigInteger, nullable=False, comment="0 where it is about the user"),
    Column("reason", String(64), nullable=False),
    Column("text", Text),
    Column("content", Text, comment="JSON: the message as it was when it was reported"),
    Column("ts", BigInteger, nullable=False),
    UniqueConstraint("reporter", "conv_id", "message_id", "about"),
    Index(None, "reporter", "ts"),
)

device = Table(
    "device",
    metadata,
    Column("user_id", _user, primary_key=True),
    Column("device_id", _device, primary_key=True),
    Column("cursor", BigInteger, nullable=False),
    Column("secret_hash", LargeBinary(32)),
    Column("allow", String(32), nullable=False, comment="words of pabal.acl, separated by spaces"),
    Column("created_ts", BigInteger, nullable=False),
    Column("seen_ts", BigInteger),
    Index(None, "secret_hash", unique=True),
    sqlite_with_rowid=False,
)

login_session = Table(
    "login_session",
    metadata,
    Column("session_id", String(32), primary_key=True),
    Column("user_id", _user, nullable=False),
    Column("device_id", _device, nullable=False),
    Column("refresh_hash", LargeBinary(32), nullable=False),
    Column("created_ts", BigInteger, nullable=False),
    Column("expires_ts", BigInteger, nullable=False, comment="of the refresh token"),
    Index(None, "user_id", "device_id", unique=True),
    sqlite_with_rowid=False,
)

spent_refresh = Table(
    "spent_refresh",
    metadata,
    Column("refresh_hash", LargeBinary(32), primary_key=True),
    Column("session_id", String(32), nullable=False),
    Column("spent_ts", BigInteger, nullable=False),
    Index(None, "session_id"),
    sqlite_with_rowid=False,
)

change_log = Table(
    "change_log",
    metadata,
    Column("change_id", Integer, primary_key=True, autoincrement=True),
    Column("kind", String(16), nullable=False, comment="kicked; more to come"),
    Column("user_id", _user, nullable=False),
    Column("device_id", _device),
    Column("credential", String(32), comment="Login.credential that ended; null: all of the device"),
    Column("reason", String(32)),
    Column("ts", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

audit = Table(
    "audit",
    metadata,
    Column("event_id", Integer, primary_key=True, autoincrement=True),
    Column("user_id", _user, nullable=False),
    Column("event", String(24), nullable=False),
    Column("device_id", _device),
    Column("address", String(64), comment="of the network"),
    Column("ts", BigInteger, nullable=False, comment="of the newest, where several are told as one"),
    Column("detail", Text, comment="JSON"),
    Index(None, "user_id", "event_id"),
    sqlite_autoincrement=True,
)

mqtt_session = Table(
    "mqtt_session",
    metadata,
    Column("client_id", String(255), primary_key=True),
    Column("user_id", _user),
    Column("device_id", _device),
    Column("subscriptions", Text, nullable=False, comment="JSON {filter: QoS}"),
    Column("position", BigInteger),
    Column("last_seen", BigInteger, nullable=False),
    Column("expiry", BigInteger),
    Column("sent", BigInteger, nullable=False, server_default="0"),
    sqlite_with_rowid=False,
)

mqtt_message = Table(
    "mqtt_message",
    metadata,
    Column("message", BigInteger, primary_key=True, autoincrement=False),
    Column("data", Text, nullable=False, comment="base64, the broker's"),
)

mqtt_delivery = Table(
    "mqtt_delivery",
    metadata,
    Column("client_id", String(255), primary_key=True),
    Column("place", BigInteger, primary_key=True, autoincrement=False),
    Column("message", BigInteger, nullable=False, comment="of mqtt_message"),
    Column("packet_id", Integer, nullable=False),
    Column("options", Integer, nullable=False),
    Column("details", Text),
    sqlite_with_rowid=False,
)

mqtt_incoming = Table(
    "mqtt_incoming",
    metadata,
    Column("client_id", String(255), primary_key=True),
    Column("packet_id", Integer, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

retained = Table(
    "retained",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("payload", LargeBinary, nullable=False),
    Column("qos", Integer, nullable=False),
    Column("properties", LargeBinary),
    Column("expires", BigInteger, comment="milliseconds since 1970"),
    sqlite_with_rowid=False,
)

_UNTOLD = text("ended IS NOT NULL AND told_ts IS NULL")

push_subscription = Table(
    "push_subscription",
    metadata,
    Column("user_id", _user, primary_key=True),
    Column("device_id", _device, primary_key=True),
    Column("service", String(16), nullable=False),
    Column("target", Text, nullable=False, comment="JSON, the service's own; has secrets in it"),
    Column("preview", String(8), nullable=False, comment="full, sender, none"),
    Column("lang", String(2), nullable=False, comment="ko, en"),
    Column("quiet", Text, comment="JSON: pabal.push.QuietHours, of this device"),
    Column("subscribed_ts", BigInteger, nullable=False),
    Column("ended", String(8), comment="gone, again (the client must subscribe again)"),
    Column("reason", Text, comment="why it ended"),
    Column("told_ts", BigInteger, comment="since when the user's inbox says so"),
    Column("leased_by", String(64), comment="the worker that has its jobs now"),
    Column("leased_until", BigInteger, nullable=False, server_default="0"),
    Column("not_before", BigInteger, nullable=False, server_default="0", comment="after a failed try"),
    Column("failures", Integer, nullable=False, server_default="0", comment="in a row"),
    Column(
        "host",
        String(300),
        nullable=False,
        server_default="",
        comment="of its endpoint; empty: the service has one for all",
    ),
    Index(None, "ended", sqlite_where=_UNTOLD, postgresql_where=_UNTOLD),
    sqlite_with_rowid=False,
)


def _push_columns() -> list[Column[Any]]:
    return [
        Column("user_id", _user, primary_key=True),
        Column("device_id", _device, primary_key=True),
        Column("seq", BigInteger, primary_key=True, autoincrement=False, comment="of the user's inbox"),
        Column("kind", String(8), primary_key=True, comment="message, clear"),
        Column("type", String(16), nullable=False, comment="of the update"),
        Column("conv_id", _conv),
        Column("message_id", BigInteger),
        Column("created_ts", BigInteger, nullable=False),
        Column("due_ts", BigInteger, nullable=False),
        Column("expires_ts", BigInteger, nullable=False),
        Column("state", String(8), nullable=False),
        Column("tries", Integer, nullable=False),
        Column("service", String(16), comment="of the newest try"),
        Column("answer", Text, comment="of the newest try, or why there was none"),
        Column("sending_ts", BigInteger, comment="of the newest try"),
    ]


# What is still to be pushed: queued, sending.
push_job = Table("push_job", metadata, *_push_columns(), Index(None, "due_ts"), sqlite_with_rowid=False)

# What became of it: sent, dropped, dead, in_doubt. Kept for some days.
push_log = Table(
    "push_log",
    metadata,
    *_push_columns(),
    Column("done_ts", BigInteger, nullable=False),
    Index(None, "done_ts"),
    sqlite_with_rowid=False,
)

# Messages whose requests are followed.
followed = Table(
    "followed",
    metadata,
    Column("conv_id", _conv, primary_key=True),
    Column("message_id", BigInteger, primary_key=True, autoincrement=False),
    Column("trace", String(64), nullable=False, comment="a trace context of W3C"),
    Column("ts", BigInteger, nullable=False),
    Index(None, "ts"),
    sqlite_with_rowid=False,
)

push_shown = Table(
    "push_shown",
    metadata,
    Column("user_id", _user, primary_key=True),
    Column("device_id", _device, primary_key=True),
    Column("conv_id", _conv, primary_key=True),
    Column("message_id", BigInteger, nullable=False, comment="the newest that may be seen there now"),
    Index(None, "conv_id", "message_id"),
    sqlite_with_rowid=False,
)

push_asked = Table(
    "push_asked",
    metadata,
    Column("user_id", _user, primary_key=True),
    Column("device_id", _device, primary_key=True),
    Column("conv_id", _conv, primary_key=True, comment="of the user and who asks to be a contact"),
    Column(
        "seq",
        BigInteger,
        nullable=False,
        comment="of the update that says so, the newest that may be seen there now",
    ),
    sqlite_with_rowid=False,
)

quiet_hours = Table(
    "quiet_hours",
    metadata,
    Column("user_id", _user, primary_key=True),
    Column("conv_id", _conv, primary_key=True, comment="empty: all of the user's"),
    Column("hours", Text, nullable=False, comment="JSON: pabal.push.QuietHours"),
    sqlite_with_rowid=False,
)

meta = Table(
    "meta",
    metadata,
    Column("key", String(32), primary_key=True),
    Column("value", Text, nullable=False),
    sqlite_with_rowid=False,
)
