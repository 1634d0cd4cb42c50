"""What a group allows, who may speak in it, and links that invite."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _name(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column(
        "conversation",
        sa.Column(
            "history",
            sa.String(8),
            nullable=False,
            server_default="join",
            comment="what newcomers see: join, all",
        ),
    )
    op.add_column(
        "conversation",
        sa.Column(
            "posting",
            sa.String(8),
            nullable=False,
            server_default="all",
            comment="who may write: all, admins",
        ),
    )
    op.add_column(
        "member",
        sa.Column(
            "silenced_until", sa.BigInteger(), nullable=True, comment="may not write before, say the admins"
        ),
    )
    op.add_column(
        "member",
        sa.Column("muted_until", sa.BigInteger(), nullable=True, comment="wants no notifications before"),
    )
    op.create_table(
        "invite",
        sa.Column("code", _name(32), nullable=False),
        sa.Column("conv_id", _name(65), nullable=False),
        sa.Column("created_by", _name(32), nullable=False),
        sa.Column("device", _name(32), nullable=False),
        sa.Column("id", sa.String(64), nullable=True, comment="the request that made it"),
        sa.Column("digest", sa.String(24), nullable=False, comment="of the request; empty without an id"),
        sa.Column("created_ts", sa.BigInteger(), nullable=False),
        sa.Column("expires_ts", sa.BigInteger(), nullable=True),
        sa.Column("uses", sa.BigInteger(), nullable=True, comment="how many may join by it; null: no end"),
        sa.Column("used", sa.BigInteger(), nullable=False, comment="how many have"),
        sa.Column("ended_ts", sa.BigInteger(), nullable=True, comment="taken back then"),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_invite")),
        sa.UniqueConstraint(
            "conv_id", "created_by", "device", "id", name=op.f("uq_invite_conv_id_created_by_device_id")
        ),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("invite")
    op.drop_column("member", "muted_until")
    op.drop_column("member", "silenced_until")
    op.drop_column("conversation", "posting")
    op.drop_column("conversation", "history")
