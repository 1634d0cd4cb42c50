"""Jobs of pushes, written in the transaction of the message that they are about: one statement for a batch, and none
where nobody among the recipients is pushed to.

Who is, is remembered here. Subscriptions are made by this one committer alone, so that nobody is ever missing; who
has given up the last one is remembered until the next start, and costs a statement that finds nothing.
"""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, Engine, text

from bridge.plan import Plan
from bridge.push.jobs import ASKS
from bridge.push.making import PushTimes, answered, jobs, taken_back
from bridge.store.dialect import Dialect, rows
from bridge.store.push_statements import INTO_JOBS
from bridge.store.subscription_store import SubscriptionStatements
from pabal.ids import UserId


class PushJobs:
    """Used by the committer's thread alone."""

    def __init__(
        self, d: Dialect, sql: SubscriptionStatements, times: PushTimes, reached: Callable[[UserId], bool]
    ) -> None:
        """`reached` is asked in the committer's thread, whether a user has a device connected."""
        self._load = sql.load_users
        self._times = times
        self._reached = reached
        self._pushed: set[UserId] = set()
        kind = d.field(2)
        self._insert = text(
            f"{INTO_JOBS} SELECT s.user_id, s.device_id, {d.field(1, 'bigint')}, {kind}, {d.field(3)}, {d.field(4)},"
            f" {d.field(5, 'bigint')}, :now, {d.field(6, 'bigint')}, {d.field(7, 'bigint')}, 'queued', 0"
            f" FROM {d.each('rows')} CROSS JOIN push_subscription AS s"
            f" WHERE s.user_id = {d.field(0)} AND s.ended IS NULL AND s.device_id <> {d.field(8)}"
            f" AND ({kind} <> 'clear' OR EXISTS (SELECT 1 FROM push_shown AS p WHERE p.user_id = s.user_id"
            f" AND p.device_id = s.device_id AND p.conv_id = {d.field(4)}"
            f" AND p.message_id >= {d.field(9, 'bigint')} AND p.message_id <= {d.field(5, 'bigint')}))"
            # After a restored backup the same numbers come again.
            " ON CONFLICT (user_id, device_id, seq, kind) DO NOTHING"
        )
        # What is taken back in a large group comes into nobody's inbox: its seq is that of what is shown.
        self._clear = [
            text(
                f"{INTO_JOBS} SELECT p.user_id, p.device_id, j.seq, 'clear', 'recalled', p.conv_id, p.message_id, :now, :now,"
                f" :expires, 'queued', 0 FROM {d.each('rows')} CROSS JOIN push_shown AS p"
                f" CROSS JOIN push_subscription AS s CROSS JOIN {table} AS j"
                f" WHERE p.conv_id = {d.field(0)} AND p.message_id = {d.field(1, 'bigint')}"
                " AND s.user_id = p.user_id AND s.device_id = p.device_id AND s.ended IS NULL"
                " AND j.user_id = p.user_id AND j.device_id = p.device_id AND j.kind = 'message'"
                " AND j.conv_id = p.conv_id AND j.message_id = p.message_id"
                " ON CONFLICT (user_id, device_id, seq, kind) DO NOTHING"
            )
            for table in ("push_log", "push_job")
        ]

        # Who asked may have blocked who was asked, of which no inbox tells: the seq is that of what is shown.
        self._clear_asked = text(
            f"{INTO_JOBS} SELECT p.user_id, p.device_id, p.seq, 'clear', '{ASKS}', p.conv_id, NULL, :now, :now, :expires,"
            f" 'queued', 0 FROM {d.each('rows')} CROSS JOIN push_subscription AS s CROSS JOIN push_asked AS p"
            f" WHERE s.user_id = {d.field(0)} AND s.ended IS NULL AND s.device_id <> {d.field(2)}"
            f" AND p.user_id = s.user_id AND p.device_id = s.device_id AND p.conv_id = {d.field(1)}"
            " ON CONFLICT (user_id, device_id, seq, kind) DO NOTHING"
        )

    def load(self, engine: Engine) -> None:
        """Before the first batch. Raises: sqlalchemy.exc.SQLAlchemyError."""
        with engine.connect() as connection:
            self._pushed = {UserId(user) for (user,) in connection.execute(self._load)}

    def write(self, connection: Connection, plan: Plan, seqs: Sequence[int], ts: int) -> bool:
        """`seqs` are those of `plan.inbox`. Returns whether any job may have been made."""
        pushed = self._pushed
        pushed.update(user for (user, _device), row in plan.push.subscriptions.items() if row is not None)
        if not pushed:
            return False
        made = list(jobs(plan, seqs, ts, pushed=pushed, times=self._times, reached=self._reached))
        if made:
            connection.execute(self._insert, {"rows": rows(made), "now": ts})
        back = taken_back(plan)
        for statement in self._clear if back else ():
            asked = {"rows": rows(back), "now": ts, "expires": ts + self._times.ttl_ms}
            connection.execute(statement, asked)
        done = answered(plan, pushed)
        if done:
            asked = {"rows": rows(done), "now": ts, "expires": ts + self._times.ttl_ms}
            connection.execute(self._clear_asked, asked)
        return bool(made or back or done)
