"""The queue of pushes as somebody who runs a server sees it: what waits, what was given up, and a second try."""

from typing import Any, NamedTuple

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from bridge.push.jobs import JobKey
from bridge.store.failures import answering, classified
from bridge.store.push_statements import INTO_JOBS
from bridge.store.turnstile import first_in_line
from pabal.ids import ConvId, DeviceId, UserId

_COLUMNS = "user_id, device_id, seq, kind, conv_id, message_id, created_ts, due_ts, expires_ts, state, tries, service, answer"
_KEY = "user_id = :user AND device_id = :device AND seq = :seq AND kind = :kind"
_OPEN = text(f"SELECT {_COLUMNS} FROM push_job ORDER BY due_ts, user_id, device_id, seq LIMIT :limit")
_DEAD = text(
    f"SELECT {_COLUMNS} FROM push_log WHERE state IN ('dead', 'in_doubt')"
    " ORDER BY done_ts DESC, user_id, device_id, seq LIMIT :limit"
)
# A second try has as much time as the first had; one that is due already is not made twice.
_RETRY = text(
    f"{INTO_JOBS} SELECT user_id, device_id, seq, kind, type, conv_id, message_id, created_ts, :now,"
    " :now + (expires_ts - created_ts), 'queued', 0"
    f" FROM push_log WHERE {_KEY} AND state IN ('dead', 'in_doubt')"
    " ON CONFLICT (user_id, device_id, seq, kind) DO NOTHING"
)
_FORGET_DEAD = text(f"DELETE FROM push_log WHERE {_KEY} AND state IN ('dead', 'in_doubt')")
_FORGET_OPEN = text(f"DELETE FROM push_job WHERE {_KEY} AND state = 'queued'")


class PushEntry(NamedTuple):
    """`state`: queued, sending, dead (given up), in_doubt (nobody knows whether it was sent). Times are ms since 1970."""

    key: JobKey
    conv: ConvId | None
    message_id: int | None
    created_ts: int
    due_ts: int
    expires_ts: int
    state: str
    tries: int
    service: str | None
    answer: str | None


class PushDesk:
    """For commands: a few short transactions beside a server that is running or not."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def open_jobs(self, limit: int) -> list[PushEntry]:
        """Those that are due first come first. Raises: Unavailable."""
        return self._entries(_OPEN, limit)

    def dead(self, limit: int) -> list[PushEntry]:
        """The newest first. Raises: Unavailable."""
        return self._entries(_DEAD, limit)

    def retry(self, key: JobKey, now: int) -> bool:
        """Queue a dead letter again. Returns False if there is none. Raises: Unavailable."""
        asked = {**key._asdict(), "now": now}
        try:
            with first_in_line(self._engine), self._engine.begin() as connection:
                made = connection.execute(_RETRY, asked).rowcount
                if made:
                    connection.execute(_FORGET_DEAD, key._asdict())
        except SQLAlchemyError as error:
            raise classified(error) from error
        return bool(made)

    def forget(self, key: JobKey) -> bool:
        """Take a dead letter, or a job that nobody is sending, away. Returns False if there is none. Raises: Unavailable."""
        try:
            with first_in_line(self._engine), self._engine.begin() as connection:
                gone = connection.execute(_FORGET_DEAD, key._asdict()).rowcount
                gone += connection.execute(_FORGET_OPEN, key._asdict()).rowcount
        except SQLAlchemyError as error:
            raise classified(error) from error
        return bool(gone)

    def _entries(self, statement: Any, limit: int) -> list[PushEntry]:
        with answering(), self._engine.connect() as connection:
            return [_entry(row) for row in connection.execute(statement, {"limit": limit})]


def _entry(row: Any) -> PushEntry:
    user, device, seq, kind, conv, message_id, created, due, expires, state, tries, service, answer = row
    return PushEntry(
        JobKey(UserId(user), DeviceId(device), seq, kind),
        None if conv is None else ConvId(conv),
        message_id,
        created,
        due,
        expires,
        state,
        tries,
        service,
        answer,
    )
