"""What SQLite and PostgreSQL say differently. Everything else in the store is said once.

A batch's rows travel as one JSON text and are taken apart by the database: the statement's text is the same
from batch to batch, one call does the work, and on SQLite the interpreter lock is given up once instead of
once for every row. (Beside a busy loop 200 rows of `executemany` took 119 ms, this way 3.5 ms.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from sqlalchemy import Engine

Type = Literal["text", "bigint"]

_encoder = msgspec.json.Encoder()


def rows(values: Sequence[Any]) -> str:
    """The one parameter of a statement over many rows: a JSON array of arrays, or of scalars for keys."""
    return _encoder.encode(values).decode()


@dataclass(frozen=True, slots=True)
class Dialect:
    """Fragments of SQL. `each` is a table expression with one column `value` per row of a parameter."""

    name: str
    greatest: str
    least: str
    row_lock: str

    def each(self, parameter: str, alias: str = "k") -> str:
        if self.name == "sqlite":
            return f"json_each(:{parameter}) AS {alias}"
        return f"json_array_elements(CAST(:{parameter} AS json)) AS {alias}(value)"

    def field(self, place: int, kind: Type = "text", alias: str = "k") -> str:
        """One field of such a row, which is an array."""
        text = f"{alias}.value->>{place}"
        return text if self.name == "sqlite" or kind == "text" else f"CAST({text} AS bigint)"

    def fields(self, *kinds: Type) -> str:
        return ", ".join(self.field(place, kind) for place, kind in enumerate(kinds))

    def among(self, parameter: str) -> str:
        """`… IN these keys`, planned as index look-ups."""
        if self.name == "sqlite":
            return f"IN (SELECT value FROM json_each(:{parameter}))"
        return f"= ANY(ARRAY(SELECT json_array_elements_text(CAST(:{parameter} AS json))))"


SQLITE = Dialect("sqlite", greatest="max", least="min", row_lock="")
POSTGRESQL = Dialect("postgresql", greatest="greatest", least="least", row_lock=" FOR NO KEY UPDATE")


def of(engine: Engine) -> Dialect:
    return SQLITE if engine.dialect.name == "sqlite" else POSTGRESQL
