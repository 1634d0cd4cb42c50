"""Pushes: who wants them, what is still to be sent, what became of it, and what may be seen on a device now."""

from typing import Any

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text, text

from bridge.store.tables.base import CONV, DEVICE, USER, metadata

_UNTOLD = text("ended IS NOT NULL AND told_ts IS NULL")

push_subscription = Table(
    "push_subscription",
    metadata,
    Column("user_id", USER, primary_key=True),
    Column("device_id", DEVICE, primary_key=True),
    Column("service", String(16), nullable=False),
    Column("target", Text, nullable=False, comment="JSON, the service's own; has secrets in it"),
    Column("preview", String(8), nullable=False, comment="full, sender, none"),
    Column("lang", String(2), nullable=False, comment="ko, en"),
    Column("quiet", Text, comment="JSON: pabal.push.QuietHours, of this device"),
    Column("subscribed_ts", BigInteger, nullable=False),
    Column("ended", String(8), comment="gone, again (the client must subscribe again)"),
    Column("reason", Text, comment="why it ended"),
    Column("told_ts", BigInteger, comment="since when the user's inbox says so"),
    Column("leased_by", String(64), comment="the worker that has its jobs now"),
    Column("leased_until", BigInteger, nullable=False, server_default="0"),
    Column("not_before", BigInteger, nullable=False, server_default="0", comment="after a failed try"),
    Column("failures", Integer, nullable=False, server_default="0", comment="in a row"),
    Column(
        "host",
        String(300),
        nullable=False,
        server_default="",
        comment="of its endpoint; empty: the service has one for all",
    ),
    Index(None, "ended", sqlite_where=_UNTOLD, postgresql_where=_UNTOLD),
    sqlite_with_rowid=False,
)


def _push_columns() -> list[Column[Any]]:
    return [
        Column("user_id", USER, primary_key=True),
        Column("device_id", DEVICE, primary_key=True),
        Column("seq", BigInteger, primary_key=True, autoincrement=False, comment="of the user's inbox"),
        Column("kind", String(8), primary_key=True, comment="message, clear"),
        Column("type", String(16), nullable=False, comment="of the update"),
        Column("conv_id", CONV),
        Column("message_id", BigInteger),
        Column("created_ts", BigInteger, nullable=False),
        Column("due_ts", BigInteger, nullable=False),
        Column("expires_ts", BigInteger, nullable=False),
        Column("state", String(8), nullable=False),
        Column("tries", Integer, nullable=False),
        Column("service", String(16), comment="of the newest try"),
        Column("answer", Text, comment="of the newest try, or why there was none"),
        Column("sending_ts", BigInteger, comment="of the newest try"),
    ]


# What is still to be pushed: queued, sending.
push_job = Table("push_job", metadata, *_push_columns(), Index(None, "due_ts"), sqlite_with_rowid=False)

# What became of it: sent, dropped, dead, in_doubt. Kept for some days.
push_log = Table(
    "push_log",
    metadata,
    *_push_columns(),
    Column("done_ts", BigInteger, nullable=False),
    Index(None, "done_ts"),
    sqlite_with_rowid=False,
)

# Messages whose requests are followed.
followed = Table(
    "followed",
    metadata,
    Column("conv_id", CONV, primary_key=True),
    Column("message_id", BigInteger, primary_key=True, autoincrement=False),
    Column("trace", String(64), nullable=False, comment="a trace context of W3C"),
    Column("ts", BigInteger, nullable=False),
    Index(None, "ts"),
    sqlite_with_rowid=False,
)

push_shown = Table(
    "push_shown",
    metadata,
    Column("user_id", USER, primary_key=True),
    Column("device_id", DEVICE, primary_key=True),
    Column("conv_id", CONV, primary_key=True),
    Column("message_id", BigInteger, nullable=False, comment="the newest that may be seen there now"),
    Index(None, "conv_id", "message_id"),
    sqlite_with_rowid=False,
)

push_asked = Table(
    "push_asked",
    metadata,
    Column("user_id", USER, primary_key=True),
    Column("device_id", DEVICE, primary_key=True),
    Column("conv_id", CONV, primary_key=True, comment="of the user and who asks to be a contact"),
    Column(
        "seq",
        BigInteger,
        nullable=False,
        comment="of the update that says so, the newest that may be seen there now",
    ),
    sqlite_with_rowid=False,
)

quiet_hours = Table(
    "quiet_hours",
    metadata,
    Column("user_id", USER, primary_key=True),
    Column("conv_id", CONV, primary_key=True, comment="empty: all of the user's"),
    Column("hours", Text, nullable=False, comment="JSON: pabal.push.QuietHours"),
    sqlite_with_rowid=False,
)
