"""Which schema a database has, and how it gets the one that this version of Pabal needs."""

import functools
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DatabaseError, SQLAlchemyError

from bridge.store.failures import is_refusal, reason
from bridge.store.unusable import NotAdmitted, UnusableDatabase

if TYPE_CHECKING:
    from alembic.config import Config

_VERSIONS = "alembic_version"
_REVISIONS = text(f"SELECT version_num FROM {_VERSIONS} ORDER BY version_num")
_OF_EXTENSIONS = text(
    "SELECT c.relname FROM pg_depend AS d JOIN pg_class AS c ON c.oid = d.objid"
    " JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = current_schema()"
    " WHERE d.classid = CAST('pg_class' AS regclass) AND d.refclassid = CAST('pg_extension' AS regclass)"
    " AND d.deptype = 'e'"
)
# Names of strange tables in a message.
_SHOWN = 3


class SchemaError(UnusableDatabase):
    """A database whose schema does not fit, or that is none."""


@dataclass(frozen=True, slots=True)
class SchemaState:
    """`current` is None for a database without our schema; `newer` when no migration of ours leads there. `strangers`
    are the tables of others in a database that we have never been in.
    """

    current: str | None
    wanted: str
    newer: bool
    strangers: tuple[str, ...] = ()

    @property
    def is_current(self) -> bool:
        return self.current == self.wanted


def _folder() -> Path:
    return Path(str(files("migrations")))


def state(engine: Engine) -> SchemaState:
    """Raises: SchemaError if the file is no database or is damaged; NotAdmitted, UnusableDatabase if it cannot be
    reached.
    """
    try:
        with engine.connect() as connection:
            current = _current(connection)
            strangers = _strangers(connection) if current is None else ()
    except DatabaseError as error:
        if "not a database" in str(error) or "malformed" in str(error):
            raise SchemaError(
                f"{engine.url.database} is not a usable database: {error.orig}",
                "restore it from a backup, or move it away to begin with an empty one",
            ) from error
        raise _unreachable(engine, error) from error
    wanted, known = _revisions()
    return SchemaState(
        current, wanted, newer=current is not None and current not in known, strangers=strangers
    )


def _strangers(connection: Connection) -> tuple[str, ...]:
    """Tables that neither we nor an extension of PostgreSQL made; an extension's are there for whoever uses it."""
    tables = set(inspect(connection).get_table_names()) - {_VERSIONS}
    if tables and connection.dialect.name == "postgresql":
        tables.difference_update(connection.execute(_OF_EXTENSIONS).scalars())
    return tuple(sorted(tables))


def _current(connection: Connection) -> str | None:
    """As alembic has written it down. It is not loaded for that: most starts find a schema that fits."""
    if not inspect(connection).has_table(_VERSIONS):
        return None
    # Ours is one line of versions; where there are several, they are somebody else's.
    return ", ".join(connection.execute(_REVISIONS).scalars()) or None


@functools.cache
def _revisions() -> tuple[str, frozenset[str]]:
    """The one that this version needs, and all that lead there: each migration's file begins with its number. Read once,
    as they stay as they are while we run.
    """
    known = [path.stem.partition("_")[0] for path in (_folder() / "versions").glob("[0-9]*.py")]
    return max(known), frozenset(known)


def _unreachable(engine: Engine, error: SQLAlchemyError) -> UnusableDatabase:
    if engine.dialect.name == "sqlite":
        return UnusableDatabase(f"{engine.url.database} cannot be used: {reason(error)}", "see pabal doctor")
    where = engine.url.set(query={}).render_as_string()
    if is_refusal(error):
        return NotAdmitted(
            f"database_url = {where} is refused by PostgreSQL: {_last_words(error)}",
            "expected a user, password and database that it takes",
        )
    return UnusableDatabase(
        f"the database {where} cannot be used: {_last_words(error)}",
        "see that PostgreSQL runs there and takes this user, password and database",
    )


def _last_words(error: SQLAlchemyError) -> str:
    """What PostgreSQL said, out of all that psycopg tells of each address that it tried."""
    lines = [line.strip() for line in str(getattr(error, "orig", error)).splitlines() if line.strip()]
    said = next((line for line in lines if "FATAL:" in line or "failed:" in line), lines[0] if lines else "?")
    for before in ("FATAL:", "failed: fe_sendauth:"):
        said = said.rpartition(before)[2].strip()
    return said


def upgrade(engine: Engine) -> bool:
    """Bring the database to the schema of this version. Returns whether anything had to be done.

    Raises: SchemaError if the database is from a newer version or another program's, UnusableDatabase if an upgrade
    fails; then it is as it was.
    """
    now = state(engine)
    check_ours(now, engine)
    if now.is_current:
        return False
    from alembic import command  # noqa: PLC0415 -- a quarter of a second, and seldom needed
    from alembic.util.exc import CommandError  # noqa: PLC0415 -- likewise

    try:
        command.upgrade(_config(engine), "head")
    except CommandError as error:
        raise SchemaError(f"the upgrade failed: {error}", "see the log above; nothing was changed") from error
    except DatabaseError as error:
        raise _unreachable(engine, error) from error
    return True


def check_current(engine: Engine) -> None:
    """Raises: SchemaError unless the schema is exactly this version's."""
    now = state(engine)
    check_ours(now, engine)
    if not now.is_current:
        raise SchemaError(
            f"the database has schema {now.current or 'none'}, this version needs {now.wanted}",
            "run: pabal db upgrade",
        )


def check_ours(now: SchemaState, engine: Engine) -> None:
    """Raises: SchemaError if a newer version of Pabal has written this database, or another program."""
    where = engine.url.set(query={}).render_as_string()
    if now.strangers:
        some = ", ".join(now.strangers[:_SHOWN]) + (", …" if len(now.strangers) > _SHOWN else "")
        raise SchemaError(
            f"the database {where} has tables of another program ({some})",
            "give Pabal a database of its own",
        )
    if now.newer:
        raise SchemaError(
            f"the database {where} has schema {now.current},"
            f" which is newer than this version's {now.wanted}, or another program's",
            "start it with the newer version of Pabal, restore a backup from before the upgrade, or give Pabal a"
            " database of its own",
        )


def downgrade(engine: Engine, revision: str) -> None:
    """Used by tests, and by who must go back; data of newer tables is gone."""
    from alembic import command  # noqa: PLC0415 -- as above

    command.downgrade(_config(engine), revision)


def _config(engine: Engine) -> "Config":
    from alembic.config import Config  # noqa: PLC0415 -- as above

    config = Config()
    config.set_main_option("script_location", str(_folder()))
    config.attributes["engine"] = engine
    return config
