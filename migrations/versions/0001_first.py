"""Conversations, messages, inboxes, accounts, sessions: the first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _name(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("user_id", _name(32), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=True),
        sa.Column("about", sa.Text(), nullable=True),
        sa.Column("password_hash", sa.Text(), nullable=True, comment="null: no login by password"),
        sa.Column("state", sa.String(length=8), nullable=False, comment="active, disabled, deleted"),
        sa.Column("admin", sa.Boolean(), nullable=False),
        sa.Column("created_ts", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_account")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "change_log",
        sa.Column("change_id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False, comment="kicked; more to come"),
        sa.Column("user_id", _name(32), nullable=False),
        sa.Column("device_id", _name(32), nullable=True),
        sa.Column(
            "credential",
            sa.String(length=32),
            nullable=True,
            comment="Login.credential that ended; null: all of the device",
        ),
        sa.Column("reason", sa.String(length=32), nullable=True),
        sa.Column("ts", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("change_id", name=op.f("pk_change_log")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "conversation",
        sa.Column("conv_id", _name(65), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False, comment="direct, group"),
        sa.Column("mode", sa.String(length=8), nullable=False, comment="small, large"),
        sa.Column("head", sa.BigInteger(), nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("created_ts", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("conv_id", name=op.f("pk_conversation")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "device",
        sa.Column("user_id", _name(32), nullable=False),
        sa.Column("device_id", _name(32), nullable=False),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(length=32), nullable=True),
        sa.Column(
            "allow", sa.String(length=32), nullable=False, comment="words of pabal.acl, separated by spaces"
        ),
        sa.Column("created_ts", sa.BigInteger(), nullable=False),
        sa.Column("seen_ts", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("user_id", "device_id", name=op.f("pk_device")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_device_secret_hash"), "device", ["secret_hash"], unique=True)
    op.create_table(
        "direct_message",
        sa.Column("conv_id", _name(65), nullable=False),
        sa.Column("message_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sender", _name(32), nullable=False),
        sa.Column("device", _name(32), nullable=False),
        sa.Column(
            "id",
            sa.String(length=64),
            nullable=True,
            comment="the client's request id; rows without one never collide",
        ),
        sa.Column(
            "digest", sa.String(length=24), nullable=False, comment="of the request; empty without an id"
        ),
        sa.Column("type", sa.String(length=16), nullable=False, comment="message, member, conversation"),
        sa.Column(
            "kind", sa.String(length=32), nullable=False, comment="of a message, as the client named it"
        ),
        sa.Column("target", sa.BigInteger(), nullable=True),
        sa.Column(
            "ordinal", sa.BigInteger(), nullable=False, comment="countable messages up to and with this row"
        ),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("extra", sa.Text(), nullable=True, comment="JSON: bridge.entries.Extra"),
        sa.Column("ts", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("conv_id", "message_id", name=op.f("pk_direct_message")),
        sa.UniqueConstraint(
            "conv_id", "sender", "device", "id", name=op.f("uq_direct_message_conv_id_sender_device_id")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "group_message",
        sa.Column("conv_id", _name(65), nullable=False),
        sa.Column("message_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sender", _name(32), nullable=False),
        sa.Column("device", _name(32), nullable=False),
        sa.Column(
            "id",
            sa.String(length=64),
            nullable=True,
            comment="the client's request id; rows without one never collide",
        ),
        sa.Column(
            "digest", sa.String(length=24), nullable=False, comment="of the request; empty without an id"
        ),
        sa.Column("type", sa.String(length=16), nullable=False, comment="message, member, conversation"),
        sa.Column(
            "kind", sa.String(length=32), nullable=False, comment="of a message, as the client named it"
        ),
        sa.Column("target", sa.BigInteger(), nullable=True),
        sa.Column(
            "ordinal", sa.BigInteger(), nullable=False, comment="countable messages up to and with this row"
        ),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("extra", sa.Text(), nullable=True, comment="JSON: bridge.entries.Extra"),
        sa.Column("ts", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("conv_id", "message_id", name=op.f("pk_group_message")),
        sa.UniqueConstraint(
            "conv_id", "sender", "device", "id", name=op.f("uq_group_message_conv_id_sender_device_id")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "inbox",
        sa.Column("user_id", _name(32), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("conv_id", _name(65), nullable=True),
        sa.Column("message_id", sa.BigInteger(), nullable=True),
        sa.Column("data", sa.Text(), nullable=True, comment="JSON of an update that is no message row"),
        sa.Column("ts", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "seq", name=op.f("pk_inbox")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "inbox_head",
        sa.Column("user_id", _name(32), nullable=False),
        sa.Column("head", sa.BigInteger(), nullable=False),
        sa.Column("min_seq", sa.BigInteger(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_inbox_head")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "login_session",
        sa.Column("session_id", sa.String(length=32), nullable=False),
        sa.Column("user_id", _name(32), nullable=False),
        sa.Column("device_id", _name(32), nullable=False),
        sa.Column("refresh_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_ts", sa.BigInteger(), nullable=False),
        sa.Column("expires_ts", sa.BigInteger(), nullable=False, comment="of the refresh token"),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_login_session")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_login_session_user_id_device_id"), "login_session", ["user_id", "device_id"], unique=True
    )
    op.create_table(
        "member",
        sa.Column("conv_id", _name(65), nullable=False),
        sa.Column("user_id", _name(32), nullable=False),
        sa.Column("from_id", sa.BigInteger(), nullable=False, comment="first entry as a member"),
        sa.Column(
            "to_id", sa.BigInteger(), nullable=True, comment="last entry as a member; null while one is"
        ),
        sa.Column("visible_from", sa.BigInteger(), nullable=False),
        sa.Column("role", sa.String(length=8), nullable=False),
        sa.Column("delivered_upto", sa.BigInteger(), nullable=False),
        sa.Column("read_upto", sa.BigInteger(), nullable=False),
        sa.Column("read_ordinal", sa.BigInteger(), nullable=False, comment="ordinal of the entry read up to"),
        sa.PrimaryKeyConstraint("conv_id", "user_id", name=op.f("pk_member")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_member_user_id_conv_id"), "member", ["user_id", "conv_id"], unique=False)
    op.create_table(
        "meta",
        sa.Column("key", sa.String(length=32), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_meta")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "mqtt_session",
        sa.Column("client_id", sa.String(length=255), nullable=False),
        sa.Column("user_id", _name(32), nullable=True),
        sa.Column("device_id", _name(32), nullable=True),
        sa.Column("subscriptions", sa.Text(), nullable=False, comment="JSON {filter: QoS}"),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.Column("last_seen", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("client_id", name=op.f("pk_mqtt_session")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "outbox",
        sa.Column("batch_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ranges", sa.Text(), nullable=False, comment="JSON {user: [first seq, last seq]}"),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_outbox")),
    )
    op.create_table(
        "retained",
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("qos", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("topic", name=op.f("pk_retained")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "spent_refresh",
        sa.Column("refresh_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("session_id", sa.String(length=32), nullable=False),
        sa.Column("spent_ts", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("refresh_hash", name=op.f("pk_spent_refresh")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_spent_refresh_session_id"), "spent_refresh", ["session_id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_spent_refresh_session_id"), table_name="spent_refresh")
    op.drop_table("spent_refresh")
    op.drop_table("retained")
    op.drop_table("outbox")
    op.drop_table("mqtt_session")
    op.drop_table("meta")
    op.drop_index(op.f("ix_member_user_id_conv_id"), table_name="member")
    op.drop_table("member")
    op.drop_index(op.f("ix_login_session_user_id_device_id"), table_name="login_session")
    op.drop_table("login_session")
    op.drop_table("inbox_head")
    op.drop_table("inbox")
    op.drop_table("group_message")
    op.drop_table("direct_message")
    op.drop_index(op.f("ix_device_secret_hash"), table_name="device")
    op.drop_table("device")
    op.drop_table("conversation")
    op.drop_table("change_log")
    op.drop_table("account")
