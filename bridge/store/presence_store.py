"""Who is shown as online, so that it can be corrected after a crash, and when devices were here last.

What is shown stands among the retained messages, which is what it is to whoever subscribes.
"""

from sqlalchemy import Connection, text

from bridge.commands import SavePresence
from bridge.store.dialect import Dialect, rows
from pabal import topics
from pabal.ids import UserId

_TOPIC = topics.presence(UserId(""))


class PresenceStatements:
    def __init__(self, d: Dialect) -> None:
        blob = f"CAST({d.field(1)} AS BLOB)" if d.name == "sqlite" else f"convert_to({d.field(1)}, 'UTF8')"
        self.show = text(
            f"INSERT INTO retained (topic, payload, qos) SELECT {d.field(0)}, {blob}, 0"
            f" FROM {d.each('rows')} WHERE true ON CONFLICT (topic) DO UPDATE SET payload = excluded.payload,"
            " qos = excluded.qos, properties = NULL, expires = NULL"
        )
        self.hide = text(f"DELETE FROM retained WHERE topic {d.among('keys')}")
        self.see = text(
            f"UPDATE device SET seen_ts = {d.greatest}(coalesce(seen_ts, 0), {d.field(2, 'bigint')})"
            f" FROM {d.each('rows')} WHERE user_id = {d.field(0)} AND device_id = {d.field(1)}"
        )


def write(connection: Connection, sql: PresenceStatements, command: SavePresence) -> None:
    shown = [(topics.presence(user), payload) for user, payload in sorted(command.shown) if payload]
    hidden = [topics.presence(user) for user, payload in sorted(command.shown) if not payload]
    if shown:
        connection.execute(sql.show, {"rows": rows(shown)})
    if hidden:
        connection.execute(sql.hide, {"keys": rows(hidden)})
    if command.seen:
        connection.execute(sql.see, {"rows": rows(sorted(command.seen))})


def load(connection: Connection) -> list[tuple[UserId, bytes]]:
    """Who was shown as something else than offline, with the payload that says so."""
    found = connection.execute(
        text("SELECT topic, payload FROM retained WHERE topic LIKE :below"), {"below": f"{_TOPIC}%"}
    )
    return [(UserId(topic.removeprefix(_TOPIC)), bytes(payload)) for topic, payload in found]
