"""What a template database holds, and how a copy of it that was used becomes one again.

Making and dropping a database writes and removes some three hundred files; taking out the rows of a test does not.
"""

import psycopg
from psycopg import sql

_END_S = 60

# Whatever a test may have done to the database itself: a row of a catalog that was made or changed has another xmin.
_SHAPE = """
SELECT md5(string_agg(what, ' ' ORDER BY what)) FROM (
    SELECT 'class ' || oid || ' ' || xmin FROM pg_class
    UNION ALL SELECT 'column ' || attrelid || ' ' || attnum || ' ' || xmin FROM pg_attribute WHERE attrelid >= 16384
    UNION ALL SELECT 'index ' || indexrelid || ' ' || xmin FROM pg_index
    UNION ALL SELECT 'constraint ' || oid || ' ' || xmin FROM pg_constraint
    UNION ALL SELECT 'trigger ' || oid || ' ' || xmin FROM pg_trigger
    UNION ALL SELECT 'function ' || oid || ' ' || xmin FROM pg_proc
    UNION ALL SELECT 'schema ' || oid || ' ' || xmin FROM pg_namespace
    UNION ALL SELECT 'statistics ' || starelid || ' ' || staattnum || ' ' || xmin FROM pg_statistic
    UNION ALL SELECT 'settings ' || setrole || ' ' || setconfig::text FROM pg_db_role_setting
        WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
    UNION ALL SELECT 'grown' WHERE pg_database_size(current_database()) > %(most)s
) AS found(what)
"""
_ROOM = 4_000_000
"""So many bytes may a database have grown by; one that grew more is slower to read, and may be read in other ways."""

_END_SESSIONS = """
SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
_SEQUENCES = "SELECT sequencename, start_value FROM pg_sequences WHERE schemaname = 'public'"


class Template:
    """`clean` are the names of copies that nobody has."""

    def __init__(self, conninfo: str) -> None:
        """Nobody else may be connected to it, as long as copies are made."""
        self.clean: list[str] = []
        with psycopg.connect(conninfo, autocommit=True) as connection:
            [size] = connection.execute("SELECT pg_database_size(current_database())").fetchone() or (0,)
            self._most = size + _ROOM
            self._shape = self._shape_of(connection)
            tables = [name for (name,) in connection.execute(_TABLES)]
            # Without foreign keys, so that the order does not matter; they are back when this transaction is over.
            parts = [sql.SQL("SET LOCAL session_replication_role = replica")]
            parts += [sql.SQL("DELETE FROM {}").format(sql.Identifier(name)) for name in tables]
            for name in tables:
                rows = sql.SQL("SELECT json_agg(one)::text FROM {} AS one").format(sql.Identifier(name))
                [found] = connection.execute(rows).fetchone() or (None,)
                if found is not None:
                    again = sql.SQL("INSERT INTO {0} SELECT * FROM json_populate_recordset(NULL::{0}, {1})")
                    parts.append(again.format(sql.Identifier(name), sql.Literal(found)))
            for name, first in connection.execute(_SEQUENCES):
                parts.append(
                    sql.SQL("SELECT setval({}, {}, false)").format(sql.Literal(name), sql.Literal(first))
                )
            self._restore = sql.SQL("; ").join(parts).as_bytes(connection)

    def restore(self, conninfo: str) -> bool:
        """Ends all sessions of a copy and gives it the template's rows.

        Returns False if it is more than rows that differ; then the copy is of no more use.
        """
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute(_END_SESSIONS, [_END_S * 1000])
            if self._shape_of(connection) != self._shape:
                return False
            connection.execute(self._restore)
        return True

    def _shape_of(self, connection: psycopg.Connection) -> str:
        [shape] = connection.execute(_SHAPE, {"most": self._most}).fetchone() or ("",)
        return str(shape)
