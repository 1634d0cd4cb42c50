"""Forgetting what became of pushes, in short steps."""

from typing import Final

from sqlalchemy import Connection, text

from bridge.commands import ForgetPushes

# However many days are asked for: no more than so many are looked back at.
MAX_KEPT: Final = 500_000
NOBODY: Final = "nobody sent it in time"
_COLUMNS: Final = (
    "user_id, device_id, seq, kind, type, conv_id, message_id, created_ts, due_ts, expires_ts, tries, service,"
    " sending_ts"
)
_KEY: Final = "user_id, device_id, seq, kind"

_OLDEST_KEPT = text("SELECT done_ts FROM push_log ORDER BY done_ts DESC LIMIT 1 OFFSET :kept")
_FORGET = text(
    f"DELETE FROM push_log WHERE ({_KEY}) IN (SELECT {_KEY} FROM push_log WHERE done_ts < :before"
    " ORDER BY done_ts LIMIT :limit)"
)
# What was due long ago, and nobody is there who would send it.
_LATE: Final = f"SELECT {_KEY} FROM push_job WHERE due_ts < :before ORDER BY due_ts LIMIT :limit"
_LOG_LATE = text(
    f"INSERT INTO push_log ({_COLUMNS}, state, answer, done_ts) SELECT {_COLUMNS}, 'dropped', '{NOBODY}', :now"
    f" FROM push_job WHERE ({_KEY}) IN ({_LATE}) ON CONFLICT ({_KEY}) DO NOTHING"
)
_FORGET_LATE = text(f"DELETE FROM push_job WHERE ({_KEY}) IN ({_LATE})")


def forget_old(connection: Connection, command: ForgetPushes, now: int) -> int:
    """Returns how many went, of both."""
    asked = {"before": command.open_before_ts, "limit": command.limit}
    connection.execute(_LOG_LATE, {**asked, "now": now})
    gone = connection.execute(_FORGET_LATE, asked).rowcount
    many = connection.execute(_OLDEST_KEPT, {"kept": MAX_KEPT}).scalar()
    before = command.before_ts if many is None else max(command.before_ts, many)
    return gone + connection.execute(_FORGET, {"before": before, "limit": command.limit}).rowcount
