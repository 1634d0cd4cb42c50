"""Messages that are edited and recalled, and reactions to them."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TABLES = ("direct_message", "group_message")


def _name(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


_TYPES = "message, edited, recalled, reaction, member, conversation"
_TARGETS = "the message that this entry is about"


def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        # SQLite keeps no comments, and would copy the whole table to change one.
        for table in _TABLES:
            op.alter_column(table, "type", comment=_TYPES)
            op.alter_column(table, "target", comment=_TARGETS)
    for table in _TABLES:
        op.add_column(
            table,
            sa.Column(
                "edited_ts",
                sa.BigInteger(),
                nullable=True,
                comment="of the newest edit; text and body are as of then",
            ),
        )
        op.add_column(
            table,
            sa.Column(
                "recalled_ts", sa.BigInteger(), nullable=True, comment="text and body are gone since then"
            ),
        )
    op.create_table(
        "reaction",
        sa.Column("conv_id", _name(65), nullable=False),
        sa.Column("target", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("user_id", _name(32), nullable=False),
        sa.Column("emoji", _name(32), nullable=False),
        sa.Column("message_id", sa.BigInteger(), nullable=False, comment="the entry that gave it"),
        sa.PrimaryKeyConstraint("conv_id", "target", "user_id", "emoji", name=op.f("pk_reaction")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        for table in _TABLES:
            op.alter_column(table, "type", comment="message, member, conversation")
            op.alter_column(table, "target", comment=None)
    op.drop_table("reaction")
    for table in _TABLES:
        op.drop_column(table, "recalled_ts")
        op.drop_column(table, "edited_ts")
