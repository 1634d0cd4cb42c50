"""The few values that hold for the whole database: its epoch, and the number of its newest transaction."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, text

from bridge.store import dialect

GENERATION = 1 << 32
# The key that stands in every copy made by `maintenance.backup`, and never in a database that is used.
COPIED = "copied"

_GET = text("SELECT value FROM meta WHERE key = :key")
_ADD = text("INSERT INTO meta (key, value) VALUES (:key, :value) ON CONFLICT (key) DO NOTHING")
_PUT = text(
    "INSERT INTO meta (key, value) VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
)
_FORGET = text("DELETE FROM meta WHERE key = :key")
_NEWEST_OUTBOX = text("SELECT coalesce(max(batch_id), 0) FROM outbox")
# The timeline in which PostgreSQL writes; it changes when a cluster is restored to a moment or a standby promoted.
_TIMELINE = text(
    "SELECT substring(pg_walfile_name(pg_current_wal_lsn()) for 8) WHERE NOT pg_is_in_recovery()"
)
_HEADS_AGAIN = (
    text(
        "UPDATE mqtt_session SET position = coalesce((SELECT head FROM inbox_head h"
        " WHERE h.user_id = mqtt_session.user_id), 0) WHERE position > coalesce((SELECT head FROM inbox_head h"
        " WHERE h.user_id = mqtt_session.user_id), 0)"
    ),
    text(
        "UPDATE device SET cursor = coalesce((SELECT head FROM inbox_head h WHERE h.user_id = device.user_id), 0)"
        " WHERE cursor > coalesce((SELECT head FROM inbox_head h WHERE h.user_id = device.user_id), 0)"
    ),
)

# Deleted while no server was there to hear of it.
_WITHOUT_DEVICE = text(
    "DELETE FROM mqtt_session WHERE user_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM device d"
    " WHERE d.user_id = mqtt_session.user_id AND d.device_id = mqtt_session.device_id)"
)


@dataclass(frozen=True, slots=True)
class State:
    """What a database says of itself. `timeline` is None where there is no such thing, or it is not told."""

    epoch: str | None
    batch: int
    timeline: str | None


@dataclass(frozen=True, slots=True)
class Begun:
    """A new generation: the epoch that holds now, the number before its first transaction, and why the epoch is
    a new one, None where it is not.
    """

    epoch: str
    batch: int
    restored: str | None


def epoch(connection: Connection) -> str | None:
    """None while no server has used the database."""
    return _get(connection, "epoch")


def begin(
    engine: Engine, decide: Callable[[State], str | None], make_epoch: Callable[[], str], floor: int = 0
) -> Begun:
    """Begin a generation: from here on no earlier one can write any more.

    `decide` says why the database must have been restored from a backup, or None; then there is a new epoch, and
    no device or session is ahead of its inbox. Numbers go on above `floor` and everything ever used here. MQTT
    sessions of devices that are no more are deleted.
    """
    with engine.begin() as connection:
        connection.execute(_ADD, {"key": "batch", "value": "0"})
        lock = dialect.of(engine).row_lock
        batch = int(
            connection.execute(text(f"SELECT value FROM meta WHERE key = 'batch'{lock}")).scalar_one()
        )
        now = State(_get(connection, "epoch"), batch, _timeline(connection))
        why = None
        if now.epoch is not None:
            why = decide(now) or _copied(connection) or _other_timeline(connection, now)
        chosen = make_epoch() if now.epoch is None or why is not None else now.epoch
        if why is not None:
            for statement in _HEADS_AGAIN:
                connection.execute(statement)
        connection.execute(_FORGET, {"key": COPIED})
        connection.execute(_WITHOUT_DEVICE)
        highest = max(batch, floor, int(connection.execute(_NEWEST_OUTBOX).scalar_one()))
        first = (highest // GENERATION + 1) * GENERATION
        values = {"epoch": chosen, "batch": str(first), "timeline": now.timeline}
        for key, value in values.items():
            if value is not None:
                connection.execute(_PUT, {"key": key, "value": value})
        return Begun(chosen, first, why)


def generation_of(connection: Connection) -> int:
    """Of the server that was last to begin."""
    return int(_get(connection, "batch") or 0) // GENERATION


def _get(connection: Connection, key: str) -> str | None:
    found = connection.execute(_GET, {"key": key}).scalar()
    return None if found is None else str(found)


def _timeline(connection: Connection) -> str | None:
    if connection.dialect.name == "sqlite":
        return None
    found = connection.execute(_TIMELINE).scalar()
    return None if found is None else str(found)


def _copied(connection: Connection) -> str | None:
    copied = _get(connection, COPIED)
    return None if copied is None else f"the database is a backup, made at {copied}"


def _other_timeline(connection: Connection, now: State) -> str | None:
    before = _get(connection, "timeline")
    if before is None or now.timeline is None or before == now.timeline:
        return None
    return f"PostgreSQL is on timeline {now.timeline} and was on {before}"
