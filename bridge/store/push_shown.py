"""What may be seen of pushes on a device now, so that it can be taken away: of a conversation the newest message, and
apart from it the newest request to be a contact.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, text

from bridge.push.jobs import ASKS, Job, other_of
from bridge.store.dialect import Dialect, rows
from bridge.store.push_statements import INTO_JOBS
from pabal.ids import ConvId, UserId


class ShownPushes:
    """In the transactions of others; what they raise is sqlalchemy.exc.SQLAlchemyError."""

    def __init__(self, d: Dialect) -> None:
        self._show, self._show_request = (
            text(
                f"INSERT INTO {table} (user_id, device_id, conv_id, {newest})"
                f" SELECT {d.fields('text', 'text', 'text', 'bigint')} FROM {d.each('rows')} WHERE true"
                " ON CONFLICT (user_id, device_id, conv_id) DO UPDATE SET"
                f" {newest} = {d.greatest}({table}.{newest}, excluded.{newest})"
            )
            for table, newest in (("push_shown", "message_id"), ("push_asked", "seq"))
        )
        self._unshow, self._unshow_request = (
            text(
                f"DELETE FROM {table} WHERE (user_id, device_id, conv_id) IN"
                f" (SELECT {d.fields('text', 'text', 'text')} FROM {d.each('rows')}"
                f" WHERE {table}.{newest} <= {d.field(3, 'bigint')})"
            )
            for table, newest in (("push_shown", "message_id"), ("push_asked", "seq"))
        )
        # What was read while it was on its way.
        self._clear_read = text(
            f"{INTO_JOBS} SELECT {d.field(0)}, {d.field(1)}, {d.field(2, 'bigint')}, 'clear', 'read', m.conv_id,"
            f" m.read_upto, :now, :now, {d.field(5, 'bigint')}, 'queued', 0"
            f" FROM {d.each('rows')} CROSS JOIN member AS m"
            f" WHERE m.conv_id = {d.field(3)} AND m.user_id = {d.field(0)}"
            f" AND m.read_upto >= {d.field(4, 'bigint')}"
            " ON CONFLICT (user_id, device_id, seq, kind) DO NOTHING"
        )
        # What was answered, or taken back.
        self._clear_answered = text(
            f"{INTO_JOBS} SELECT {d.field(0)}, {d.field(1)}, {d.field(2, 'bigint')}, 'clear', '{ASKS}', {d.field(3)},"
            f" NULL, :now, :now, {d.field(5, 'bigint')}, 'queued', 0 FROM {d.each('rows')}"
            f" WHERE NOT EXISTS (SELECT 1 FROM contact AS c WHERE c.user_id = {d.field(0)}"
            f" AND c.other_id = {d.field(4)} AND c.state = 'received')"
            " ON CONFLICT (user_id, device_id, seq, kind) DO NOTHING"
        )

    def show(self, connection: Connection, jobs: Iterable[Job]) -> None:
        """Those that are about to be sent: from here on they may be seen, whatever becomes of the try."""
        told = [job for job in jobs if job.key.kind == "message"]
        messages = [(*job.key.lane, job.conv, job.message_id) for job in told if job.message_id is not None]
        requests = [(*job.key.lane, job.conv, job.key.seq) for job in told if job.asks]
        if messages:
            connection.execute(self._show, {"rows": rows(sorted(messages))})
        if requests:
            connection.execute(self._show_request, {"rows": rows(sorted(requests))})

    def settle(self, connection: Connection, sent: Sequence[Mapping[str, Any]], now: int) -> None:
        """`sent` are jobs that the services took, as the log has them: what was cleared is seen no more, and what was
        told needs a clear if it is not wanted any more by now.
        """
        by_kind: dict[tuple[str, bool], list[Mapping[str, Any]]] = {}
        for row in sent:
            by_kind.setdefault((row["kind"], row["type"] == ASKS), []).append(row)
        if cleared := by_kind.get(("clear", False)):
            gone = [(*_place(row), row["message_id"]) for row in cleared]
            connection.execute(self._unshow, {"rows": rows(sorted(gone))})
        if cleared := by_kind.get(("clear", True)):
            gone = [(*_place(row), row["seq"]) for row in cleared]
            connection.execute(self._unshow_request, {"rows": rows(sorted(gone))})
        if told := by_kind.get(("message", False)):
            read = [
                (
                    row["user_id"],
                    row["device_id"],
                    row["seq"],
                    row["conv_id"],
                    row["message_id"],
                    row["expires_ts"],
                )
                for row in told
            ]
            connection.execute(self._clear_read, {"rows": rows(sorted(read)), "now": now})
        if told := by_kind.get(("message", True)):
            answered = [
                (row["user_id"], row["device_id"], row["seq"], row["conv_id"], _asker(row), row["expires_ts"])
                for row in told
            ]
            connection.execute(self._clear_answered, {"rows": rows(sorted(answered)), "now": now})


def _place(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["user_id"], row["device_id"], row["conv_id"]


def _asker(row: Mapping[str, Any]) -> UserId:
    return other_of(ConvId(row["conv_id"]), UserId(row["user_id"]))
