"""What people are to each other."""

from sqlalchemy import BigInteger, Column, Index, String, Table, Text, UniqueConstraint

from bridge.store.tables.base import CONV, USER, metadata

contact = Table(
    "contact",
    metadata,
    Column("user_id", USER, primary_key=True),
    Column("other_id", USER, primary_key=True),
    Column(
        "state",
        String(10),
        nullable=False,
        comment="accepted, requested (by the user), received (by the user)",
    ),
    Column("text", Text, comment="what a request says"),
    Column("ts", BigInteger, nullable=False, comment="since when it is so"),
    sqlite_with_rowid=False,
)

block = Table(
    "block",
    metadata,
    Column("user_id", USER, primary_key=True),
    Column("blocked_id", USER, primary_key=True),
    Column("ts", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

report = Table(
    "report",
    metadata,
    Column("report_id", BigInteger, primary_key=True, autoincrement=False),
    Column("reporter", USER, nullable=False),
    Column("about", USER, nullable=False, comment="the user, or who wrote the message"),
    Column("conv_id", CONV, nullable=False, comment="empty where it is about the user"),
    Column("message_id", BigInteger, nullable=False, comment="0 where it is about the user"),
    Column("reason", String(64), nullable=False),
    Column("text", Text),
    Column("content", Text, comment="JSON: the message as it was when it was reported"),
    Column("ts", BigInteger, nullable=False),
    UniqueConstraint("reporter", "conv_id", "message_id", "about"),
    Index(None, "reporter", "ts"),
)
