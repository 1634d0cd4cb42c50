"""Who did what to an account and when; accounts whose content has still to go."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_BEFORE = "active, disabled, deleted"
_STATES = "active, disabled, deleting, deleted"


def _name(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("event_id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("user_id", _name(32), nullable=False),
        sa.Column("event", sa.String(24), nullable=False),
        sa.Column("device_id", _name(32), nullable=True),
        sa.Column("address", sa.String(64), nullable=True, comment="of the network"),
        sa.Column(
            "ts", sa.BigInteger(), nullable=False, comment="of the newest, where several are told as one"
        ),
        sa.Column("detail", sa.Text(), nullable=True, comment="JSON"),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_audit")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_audit_user_id_event_id"), "audit", ["user_id", "event_id"])
    if op.get_context().dialect.name == "postgresql":
        # SQLite keeps no comments, and would copy the whole table to change one.
        op.alter_column("account", "state", comment=_STATES)
    # Until now what a deleted account had written stayed; the next server takes it away.
    op.execute("UPDATE account SET state = 'deleting' WHERE state = 'deleted'")


def downgrade() -> None:
    op.execute("UPDATE account SET state = 'deleted' WHERE state = 'deleting'")
    if op.get_context().dialect.name == "postgresql":
        op.alter_column("account", "state", comment=_BEFORE)
    op.drop_index(op.f("ix_audit_user_id_event_id"), table_name="audit")
    op.drop_table("audit")
