"""Where the service of a push subscription is, so that a host that is slow keeps back its own devices alone; and who is
shown what of a large group, by conversation.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("push_subscription") as table:
        table.add_column(
            sa.Column(
                "host",
                sa.String(300),
                nullable=False,
                server_default="",
                comment="of its endpoint; empty: the service has one for all",
            )
        )
    op.create_index(op.f("ix_push_shown_conv_id_message_id"), "push_shown", ["conv_id", "message_id"])


def downgrade() -> None:
    op.drop_index(op.f("ix_push_shown_conv_id_message_id"), "push_shown")
    with op.batch_alter_table("push_subscription") as table:
        table.drop_column("host")
