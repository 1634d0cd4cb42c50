"""Contacts, blocks, privacy and reports."""

import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_FOUND_AS = "display_name as search compares it; null: not to be found"


def _name(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column(
        "account",
        sa.Column(
            "privacy",
            sa.Text(),
            nullable=True,
            comment="JSON: pabal.privacy.Privacy; null: as it is for everybody at first",
        ),
    )
    folded = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.add_column(
        "account", sa.Column("found_as", folded, server_default="", nullable=True, comment=_FOUND_AS)
    )
    _fold_names()
    op.create_index(op.f("ix_account_found_as"), "account", ["found_as"])
    op.create_table(
        "contact",
        sa.Column("user_id", _name(32), nullable=False),
        sa.Column("other_id", _name(32), nullable=False),
        sa.Column(
            "state",
            sa.String(10),
            nullable=False,
            comment="accepted, requested (by the user), received (by the user)",
        ),
        sa.Column("text", sa.Text(), nullable=True, comment="what a request says"),
        sa.Column("ts", sa.BigInteger(), nullable=False, comment="since when it is so"),
        sa.PrimaryKeyConstraint("user_id", "other_id", name=op.f("pk_contact")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "block",
        sa.Column("user_id", _name(32), nullable=False),
        sa.Column("blocked_id", _name(32), nullable=False),
        sa.Column("ts", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "blocked_id", name=op.f("pk_block")),
        sqlite_with_rowid=False,
    )
    _create_report()


def _create_report() -> None:
    op.create_table(
        "report",
        sa.Column("report_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("reporter", _name(32), nullable=False),
        sa.Column("about", _name(32), nullable=False, comment="the user, or who wrote the message"),
        sa.Column("conv_id", _name(65), nullable=False, comment="empty where it is about the user"),
        sa.Column("message_id", sa.BigInteger(), nullable=False, comment="0 where it is about the user"),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column(
            "content", sa.Text(), nullable=True, comment="JSON: the message as it was when it was reported"
        ),
        sa.Column("ts", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("report_id", name=op.f("pk_report")),
        sa.UniqueConstraint(
            "reporter",
            "conv_id",
            "message_id",
            "about",
            name=op.f("uq_report_reporter_conv_id_message_id_about"),
        ),
    )
    op.create_index(op.f("ix_report_reporter_ts"), "report", ["reporter", "ts"])


def _fold_names() -> None:
    """Those who have a name already are found by it; as `pabal.privacy.folded` does it now."""
    connection = op.get_bind()
    account = sa.table("account", sa.column("user_id"), sa.column("display_name"), sa.column("found_as"))
    named = connection.execute(
        sa.select(account.c.user_id, account.c.display_name).where(account.c.display_name.is_not(None))
    ).all()
    for user, name in named:
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())[:64]
        connection.execute(sa.update(account).where(account.c.user_id == user).values(found_as=folded))


def downgrade() -> None:
    op.drop_table("report")
    op.drop_table("block")
    op.drop_table("contact")
    op.drop_index(op.f("ix_account_found_as"), table_name="account")
    op.drop_column("account", "found_as")
    op.drop_column("account", "privacy")
