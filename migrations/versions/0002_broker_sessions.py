"""Messages on their way to MQTT sessions, how long sessions last, and what MQTT 5 says of retained messages."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("mqtt_session", sa.Column("expiry", sa.BigInteger(), nullable=True))
    op.add_column("mqtt_session", sa.Column("sent", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("retained", sa.Column("properties", sa.LargeBinary(), nullable=True))
    op.add_column(
        "retained", sa.Column("expires", sa.BigInteger(), nullable=True, comment="milliseconds since 1970")
    )
    op.create_table(
        "mqtt_delivery",
        sa.Column("client_id", sa.String(length=255), nullable=False),
        sa.Column("place", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("message", sa.BigInteger(), nullable=False, comment="of mqtt_message"),
        sa.Column("packet_id", sa.Integer(), nullable=False),
        sa.Column("options", sa.Integer(), nullable=False),
        sa.Column("details", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("client_id", "place", name=op.f("pk_mqtt_delivery")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "mqtt_incoming",
        sa.Column("client_id", sa.String(length=255), nullable=False),
        sa.Column("packet_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("client_id", "packet_id", name=op.f("pk_mqtt_incoming")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "mqtt_message",
        sa.Column("message", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("data", sa.Text(), nullable=False, comment="base64, the broker's"),
        sa.PrimaryKeyConstraint("message", name=op.f("pk_mqtt_message")),
    )


def downgrade() -> None:
    op.drop_table("mqtt_message")
    op.drop_table("mqtt_incoming")
    op.drop_table("mqtt_delivery")
    op.drop_column("retained", "expires")
    op.drop_column("retained", "properties")
    op.drop_column("mqtt_session", "sent")
    op.drop_column("mqtt_session", "expiry")
