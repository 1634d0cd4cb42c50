"""Who is reached by push and how, what is to be pushed, and when people want quiet."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_UNTOLD = sa.text("ended IS NOT NULL AND told_ts IS NULL")


def _name(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    _create_subscription()
    _create_jobs()
    op.create_table(
        "push_shown",
        sa.Column("user_id", _name(32), nullable=False),
        sa.Column("device_id", _name(32), nullable=False),
        sa.Column("conv_id", _name(65), nullable=False),
        sa.Column(
            "message_id", sa.BigInteger(), nullable=False, comment="the newest that may be seen there now"
        ),
        sa.PrimaryKeyConstraint("user_id", "device_id", "conv_id", name=op.f("pk_push_shown")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "quiet_hours",
        sa.Column("user_id", _name(32), nullable=False),
        sa.Column("conv_id", _name(65), nullable=False, comment="empty: all of the user's"),
        sa.Column("hours", sa.Text(), nullable=False, comment="JSON: pabal.push.QuietHours"),
        sa.PrimaryKeyConstraint("user_id", "conv_id", name=op.f("pk_quiet_hours")),
        sqlite_with_rowid=False,
    )


def _create_subscription() -> None:
    op.create_table(
        "push_subscription",
        sa.Column("user_id", _name(32), nullable=False),
        sa.Column("device_id", _name(32), nullable=False),
        sa.Column("service", sa.String(16), nullable=False),
        sa.Column("target", sa.Text(), nullable=False, comment="JSON, the service's own; has secrets in it"),
        sa.Column("preview", sa.String(8), nullable=False, comment="full, sender, none"),
        sa.Column("lang", sa.String(2), nullable=False, comment="ko, en"),
        sa.Column("quiet", sa.Text(), nullable=True, comment="JSON: pabal.push.QuietHours, of this device"),
        sa.Column("subscribed_ts", sa.BigInteger(), nullable=False),
        sa.Column(
            "ended", sa.String(8), nullable=True, comment="gone, again (the client must subscribe again)"
        ),
        sa.Column("reason", sa.Text(), nullable=True, comment="why it ended"),
        sa.Column("told_ts", sa.BigInteger(), nullable=True, comment="since when the user's inbox says so"),
        sa.Column("leased_by", sa.String(64), nullable=True, comment="the worker that has its jobs now"),
        sa.Column("leased_until", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column(
            "not_before", sa.BigInteger(), server_default="0", nullable=False, comment="after a failed try"
        ),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False, comment="in a row"),
        sa.PrimaryKeyConstraint("user_id", "device_id", name=op.f("pk_push_subscription")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_push_subscription_ended"),
        "push_subscription",
        ["ended"],
        sqlite_where=_UNTOLD,
        postgresql_where=_UNTOLD,
    )


def _push_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("user_id", _name(32), nullable=False),
        sa.Column("device_id", _name(32), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False, comment="of the user's inbox"),
        sa.Column("kind", sa.String(8), nullable=False, comment="message, clear"),
        sa.Column("type", sa.String(16), nullable=False, comment="of the update"),
        sa.Column("conv_id", _name(65), nullable=True),
        sa.Column("message_id", sa.BigInteger(), nullable=True),
        sa.Column("created_ts", sa.BigInteger(), nullable=False),
        sa.Column("due_ts", sa.BigInteger(), nullable=False),
        sa.Column("expires_ts", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("service", sa.String(16), nullable=True, comment="of the newest try"),
        sa.Column("answer", sa.Text(), nullable=True, comment="of the newest try, or why there was none"),
        sa.Column("sending_ts", sa.BigInteger(), nullable=True, comment="of the newest try"),
    ]


def _create_jobs() -> None:
    op.create_table(
        "push_job",
        *_push_columns(),
        sa.PrimaryKeyConstraint("user_id", "device_id", "seq", "kind", name=op.f("pk_push_job")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_push_job_due_ts"), "push_job", ["due_ts"])
    op.create_table(
        "push_log",
        *_push_columns(),
        sa.Column("done_ts", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "device_id", "seq", "kind", name=op.f("pk_push_log")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_push_log_done_ts"), "push_log", ["done_ts"])


def downgrade() -> None:
    op.drop_table("quiet_hours")
    op.drop_table("push_shown")
    op.drop_index(op.f("ix_push_log_done_ts"), table_name="push_log")
    op.drop_table("push_log")
    op.drop_index(op.f("ix_push_job_due_ts"), table_name="push_job")
    op.drop_table("push_job")
    op.drop_index(op.f("ix_push_subscription_ended"), table_name="push_subscription")
    op.drop_table("push_subscription")
