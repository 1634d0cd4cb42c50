"""Messages whose requests are followed, so that their pushes are too."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "followed",
        sa.Column(
            "conv_id",
            sa.String(65).with_variant(sa.String(65, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("message_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("trace", sa.String(64), nullable=False, comment="a trace context of W3C"),
        sa.Column("ts", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("conv_id", "message_id", name=op.f("pk_followed")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_followed_ts"), "followed", ["ts"])


def downgrade() -> None:
    op.drop_table("followed")
