"""Counts of mentions and who shares how far one has read."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def _name(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


# Of what was written before, so that what is unread of it counts.
_BACKFILL = (
    "INSERT INTO mention (conv_id, user_id, message_id)"
    " SELECT DISTINCT g.conv_id, n.value, g.message_id FROM group_message AS g CROSS JOIN {named}"
    " WHERE g.type = 'message' AND g.extra LIKE '%\"mentions\":[%' AND n.value <> g.sender"
    " AND (n.value = '@all' OR EXISTS (SELECT 1 FROM member AS m"
    " WHERE m.conv_id = g.conv_id AND m.user_id = n.value AND m.to_id IS NULL))"
)
_NAMED = {
    "sqlite": "json_each(g.extra, '$.mentions') AS n",
    "postgresql": "json_array_elements_text(CAST(g.extra AS json)->'mentions') AS n(value)",
}


def upgrade() -> None:
    op.create_table(
        "mention",
        sa.Column("conv_id", _name(65), nullable=False),
        sa.Column("user_id", _name(32), nullable=False, comment="or @all, for every member"),
        sa.Column("message_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("conv_id", "user_id", "message_id", name=op.f("pk_mention")),
        sqlite_with_rowid=False,
    )
    op.execute(_BACKFILL.format(named=_NAMED[op.get_context().dialect.name]))
    op.add_column(
        "inbox_head",
        sa.Column(
            "delivered",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="looked through up to here for what reached the user",
        ),
    )


def downgrade() -> None:
    op.drop_column("inbox_head", "delivered")
    op.drop_table("mention")
