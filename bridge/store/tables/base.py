"""What all tables have in common."""

from sqlalchemy import MetaData, String, Text
from sqlalchemy.types import TypeEngine

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def ascii_name(length: int) -> TypeEngine[str]:
    """Names are ASCII and compared byte by byte, whatever the language of a PostgreSQL cluster."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


USER = ascii_name(32)
DEVICE = ascii_name(32)
CONV = ascii_name(65)
FOLDED = Text().with_variant(Text(collation="C"), "postgresql")
