"""Accounts, their devices and logins, and what was done to them."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, String, Table, Text

from bridge.store.tables.base import DEVICE, FOLDED, USER, metadata

account = Table(
    "account",
    metadata,
    Column("user_id", USER, primary_key=True),
    Column("display_name", Text),
    Column("about", Text),
    Column("password_hash", Text, comment="null: no login by password"),
    Column("state", String(8), nullable=False, comment="active, disabled, deleting, deleted"),
    Column("admin", Boolean, nullable=False),
    Column("created_ts", BigInteger, nullable=False),
    Column("privacy", Text, comment="JSON: pabal.privacy.Privacy; null: as it is for everybody at first"),
    Column(
        "found_as",
        FOLDED,
        server_default="",
        comment="display_name as search compares it; null: not to be found",
    ),
    Index(None, "found_as"),
    sqlite_with_rowid=False,
)

device = Table(
    "device",
    metadata,
    Column("user_id", USER, primary_key=True),
    Column("device_id", DEVICE, primary_key=True),
    Column("cursor", BigInteger, nullable=False),
    Column("secret_hash", LargeBinary(32)),
    Column("allow", String(32), nullable=False, comment="words of pabal.acl, separated by spaces"),
    Column("created_ts", BigInteger, nullable=False),
    Column("seen_ts", BigInteger),
    Index(None, "secret_hash", unique=True),
    sqlite_with_rowid=False,
)

login_session = Table(
    "login_session",
    metadata,
    Column("session_id", String(32), primary_key=True),
    Column("user_id", USER, nullable=False),
    Column("device_id", DEVICE, nullable=False),
    Column("refresh_hash", LargeBinary(32), nullable=False),
    Column("created_ts", BigInteger, nullable=False),
    Column("expires_ts", BigInteger, nullable=False, comment="of the refresh token"),
    Index(None, "user_id", "device_id", unique=True),
    sqlite_with_rowid=False,
)

spent_refresh = Table(
    "spent_refresh",
    metadata,
    Column("refresh_hash", LargeBinary(32), primary_key=True),
    Column("session_id", String(32), nullable=False),
    Column("spent_ts", BigInteger, nullable=False),
    Index(None, "session_id"),
    sqlite_with_rowid=False,
)

change_log = Table(
    "change_log",
    metadata,
    Column("change_id", Integer, primary_key=True, autoincrement=True),
    Column("kind", String(16), nullable=False, comment="kicked; more to come"),
    Column("user_id", USER, nullable=False),
    Column("device_id", DEVICE),
    Column("credential", String(32), comment="Login.credential that ended; null: all of the device"),
    Column("reason", String(32)),
    Column("ts", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

audit = Table(
    "audit",
    metadata,
    Column("event_id", Integer, primary_key=True, autoincrement=True),
    Column("user_id", USER, nullable=False),
    Column("event", String(24), nullable=False),
    Column("device_id", DEVICE),
    Column("address", String(64), comment="of the network"),
    Column("ts", BigInteger, nullable=False, comment="of the newest, where several are told as one"),
    Column("detail", Text, comment="JSON"),
    Index(None, "user_id", "event_id"),
    sqlite_autoincrement=True,
)
