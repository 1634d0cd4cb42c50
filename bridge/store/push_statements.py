"""The statements of the push worker, made once for a dialect; their text never changes after that."""

from typing import Final

from sqlalchemy import TextClause, text

from bridge.store.dialect import Dialect

_JOB: Final = (
    "user_id, device_id, seq, kind, type, conv_id, message_id, created_ts, due_ts, expires_ts, tries, service,"
    " answer, sending_ts"
)
# What a job has from its beginning.
INTO_JOBS: Final = (
    "INSERT INTO push_job (user_id, device_id, seq, kind, type, conv_id, message_id, created_ts, due_ts,"
    " expires_ts, state, tries)"
)
# Jobs of one lane that are looked at in one turn; others wait for the next.
JOBS_A_TURN: Final = 2_000
IN_DOUBT: Final = "the worker ended while it was being sent"
UNSUBSCRIBED: Final = "unsubscribed"


def _prefixed(alias: str) -> str:
    return ", ".join(f"{alias}.{column.strip()}" for column in _JOB.split(","))


class PushStatements:
    def __init__(self, d: Dialect) -> None:
        one_lane = f"s.user_id = {d.field(0)} AND s.device_id = {d.field(1)}"
        its_job = one_lane.replace("s.", "j.")
        one_job = f"{its_job} AND j.seq = {d.field(2, 'bigint')} AND j.kind = {d.field(3)}"
        # Which lanes are busy or wait is in the lane; of what is due before them there is never more than what they have.
        self.waiting = text(
            "SELECT j.user_id, j.device_id, s.service, s.host FROM push_job AS j CROSS JOIN push_subscription AS s"
            " WHERE j.due_ts <= :now AND s.user_id = j.user_id AND s.device_id = j.device_id"
            " AND s.ended IS NULL AND s.leased_until <= :now AND s.not_before <= :now"
            f" AND NOT (s.service {d.among('services')}) AND NOT (s.host {d.among('hosts')})"
            " ORDER BY j.due_ts LIMIT :limit"
        )
        self.lease = text(
            f"UPDATE push_subscription AS s SET leased_by = :worker, leased_until = :until FROM {d.each('keys')}"
            f" WHERE {one_lane} AND s.ended IS NULL AND s.leased_until <= :now AND s.not_before <= :now"
            # Whoever saw the lane wait may have had that look some time ago.
            " AND EXISTS (SELECT 1 FROM push_job AS j WHERE j.user_id = s.user_id"
            " AND j.device_id = s.device_id AND j.due_ts <= :now)"
            " RETURNING user_id, device_id, service, target, preview, lang, quiet, subscribed_ts, failures,"
            " host"
        )
        self.renew = text(
            f"UPDATE push_subscription AS s SET leased_until = :until FROM {d.each('keys')}"
            f" WHERE {one_lane} AND s.leased_by = :worker AND s.leased_until > :now"
        )
        self.due = text(
            f"SELECT {_prefixed('j')}, j.state FROM {d.each('keys')} CROSS JOIN push_job AS j"
            f" WHERE {its_job} AND j.due_ts <= :now"
            " ORDER BY j.user_id, j.device_id, j.seq LIMIT :limit"
        )
        # Whatever was being sent in a lane that is leased anew: its worker is gone.
        self.doubt = log_of(d, f"{its_job} AND j.state = 'sending'", "'in_doubt'", f"'{IN_DOUBT}'")
        self.drop = log_of(d, f"{one_job} AND j.state = 'queued'", d.field(5), d.field(4))
        self.finish = log_of(
            d,
            f"{one_job} AND j.state = 'sending' AND j.tries = {d.field(6, 'bigint')}",
            d.field(5),
            d.field(4),
        )
        self.unsubscribe = log_of(d, its_job, "'dropped'", f"'{UNSUBSCRIBED}'")
        # Of those only what the log has by now: what was not found there was not ours to end.
        self.forget_done = text(
            "DELETE FROM push_job WHERE (user_id, device_id, seq, kind) IN"
            f" (SELECT {d.fields('text', 'text', 'bigint', 'text')} FROM {d.each('rows')})"
        )
        self.begin = text(
            f"UPDATE push_job AS j SET state = 'sending', tries = tries + 1, service = {d.field(4)}, sending_ts = :now"
            f" FROM {d.each('rows')} WHERE {one_job} AND j.state = 'queued'"
            " AND EXISTS (SELECT 1 FROM push_subscription AS s WHERE s.user_id = j.user_id"
            " AND s.device_id = j.device_id AND s.leased_by = :worker AND s.leased_until > :now)"
            " RETURNING user_id, device_id, seq, kind"
        )
        self.release = text(
            f"UPDATE push_subscription AS s SET leased_by = NULL, leased_until = 0 FROM {d.each('rows')}"
            f" WHERE {one_lane} AND s.leased_by = :worker"
        )
        self.retry = text(
            f"UPDATE push_job AS j SET state = 'queued', answer = {d.field(4)} FROM {d.each('rows')}"
            f" WHERE {one_job} AND j.state = 'sending' AND j.tries = {d.field(6, 'bigint')}"
        )
        self.settle = text(
            f"UPDATE push_subscription AS s SET not_before = {d.field(3, 'bigint')},"
            f" failures = {d.field(4, 'bigint')}, ended = {d.field(5)}, reason = {d.field(6)}"
            f" FROM {d.each('rows')} WHERE {one_lane} AND s.subscribed_ts = {d.field(2, 'bigint')}"
            " AND s.ended IS NULL"
        )
        # A late answer is better than none.
        self.correct = text(
            f"UPDATE push_log AS j SET state = {d.field(5)}, answer = {d.field(4)} FROM {d.each('rows')}"
            f" WHERE {one_job} AND j.state = 'in_doubt' AND j.tries = {d.field(6, 'bigint')}"
        )
        self.depth = text("SELECT count(*), min(due_ts) FROM push_job")
        self.dead = text(
            f"SELECT {_JOB}, done_ts FROM push_log WHERE state IN ('dead', 'in_doubt')"
            " AND done_ts < :before ORDER BY done_ts DESC, user_id, device_id, seq LIMIT :limit"
        )


def log_of(d: Dialect, which: str, state: str, answer: str) -> TextClause:
    """Copies jobs `j` into the log, and returns their rows; `now` is when. With the same number again (a restored backup) the newer one is kept."""
    columns = _prefixed("j").replace("j.answer", answer)
    return text(
        f"INSERT INTO push_log ({_JOB}, state, done_ts)"
        f" SELECT {columns}, {state}, :now FROM {d.each('rows')} CROSS JOIN push_job AS j WHERE {which}"
        " ON CONFLICT (user_id, device_id, seq, kind) DO UPDATE SET created_ts = excluded.created_ts,"
        " due_ts = excluded.due_ts, expires_ts = excluded.expires_ts, state = excluded.state,"
        " tries = excluded.tries, service = excluded.service, answer = excluded.answer,"
        " sending_ts = excluded.sending_ts, done_ts = excluded.done_ts"
        " RETURNING user_id, device_id, seq, kind, type, conv_id, message_id, expires_ts, state"
    )
