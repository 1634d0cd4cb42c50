"""The database itself."""

from sqlalchemy import Column, String, Table, Text

from bridge.store.tables.base import metadata

meta = Table(
    "meta",
    metadata,
    Column("key", String(32), primary_key=True),
    Column("value", Text, nullable=False),
    sqlite_with_rowid=False,
)
