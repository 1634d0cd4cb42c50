"""Messages that are forwarded, that expire, and that one hides from oneself."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TABLES = ("direct_message", "group_message")
_STILL_THERE = sa.text("expires_ts IS NOT NULL AND recalled_ts IS NULL")


def _name(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    for table in _TABLES:
        op.add_column(
            table, sa.Column("expires_ts", sa.BigInteger(), nullable=True, comment="text and body go then")
        )
        op.create_index(
            op.f(f"ix_{table}_expires_ts"),
            table,
            ["expires_ts"],
            unique=False,
            sqlite_where=_STILL_THERE,
            postgresql_where=_STILL_THERE,
        )
    op.create_table(
        "hidden_message",
        sa.Column("user_id", _name(32), nullable=False),
        sa.Column("conv_id", _name(65), nullable=False),
        sa.Column("message_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "conv_id", "message_id", name=op.f("pk_hidden_message")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("hidden_message")
    for table in _TABLES:
        op.drop_index(op.f(f"ix_{table}_expires_ts"), table)
        op.drop_column(table, "expires_ts")
