"""What the broker keeps for clients that are away."""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, String, Table, Text

from bridge.store.tables.base import DEVICE, USER, metadata

mqtt_session = Table(
    "mqtt_session",
    metadata,
    Column("client_id", String(255), primary_key=True),
    Column("user_id", USER),
    Column("device_id", DEVICE),
    Column("subscriptions", Text, nullable=False, comment="JSON {filter: QoS}"),
    Column("position", BigInteger),
    Column("last_seen", BigInteger, nullable=False),
    Column("expiry", BigInteger),
    Column("sent", BigInteger, nullable=False, server_default="0"),
    sqlite_with_rowid=False,
)

mqtt_message = Table(
    "mqtt_message",
    metadata,
    Column("message", BigInteger, primary_key=True, autoincrement=False),
    Column("data", Text, nullable=False, comment="base64, the broker's"),
)

mqtt_delivery = Table(
    "mqtt_delivery",
    metadata,
    Column("client_id", String(255), primary_key=True),
    Column("place", BigInteger, primary_key=True, autoincrement=False),
    Column("message", BigInteger, nullable=False, comment="of mqtt_message"),
    Column("packet_id", Integer, nullable=False),
    Column("options", Integer, nullable=False),
    Column("details", Text),
    sqlite_with_rowid=False,
)

mqtt_incoming = Table(
    "mqtt_incoming",
    metadata,
    Column("client_id", String(255), primary_key=True),
    Column("packet_id", Integer, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

retained = Table(
    "retained",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("payload", LargeBinary, nullable=False),
    Column("qos", Integer, nullable=False),
    Column("properties", LargeBinary),
    Column("expires", BigInteger, comment="milliseconds since 1970"),
    sqlite_with_rowid=False,
)
