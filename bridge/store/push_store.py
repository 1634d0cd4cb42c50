"""The push worker's side of the database: `bridge.push.worker.JobStore`, and what people are shown of it.

The jobs are written by the committer, in the message's own transaction (`bridge.store.push_jobs`). Here they are
leased, sent and done with, in transactions of their own, many lanes in each. On SQLite each of them goes through the
turnstile, because the committer would leave no gap for it.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Self

import msgspec
from sqlalchemy import Connection, Engine, TextClause
from sqlalchemy.exc import SQLAlchemyError

from bridge.push.jobs import Drop, Job, JobKey, Known, Lane, Result, Start, Taken, Waiting
from bridge.push.ports import Subscription
from bridge.store import dialect
from bridge.store.dialect import rows
from bridge.store.engine import open_engine
from bridge.store.failures import answering, classified
from bridge.store.followed import FollowedMessages
from bridge.store.push_facts import PushFacts
from bridge.store.push_shown import ShownPushes
from bridge.store.push_statements import JOBS_A_TURN, PushStatements
from bridge.store.turnstile import first_in_line
from pabal.errors import Unavailable
from pabal.ids import ConvId, DeviceId, UserId
from pabal.push import QuietHours
from pabal.trace import Trace


class Depth(NamedTuple):
    """How many jobs are open, and since when the oldest of them is due (ms since 1970; None: there are none)."""

    jobs: int
    oldest_due: int | None


class DeadPush(NamedTuple):
    """A job that was given up, or of which nobody knows whether it was sent."""

    user: UserId
    device: DeviceId
    seq: int
    conv: ConvId | None
    message_id: int | None
    service: str | None
    tries: int
    reason: str
    done_ts: int


class PushStore:
    """Safe for use by several threads, and by several processes beside each other."""

    def __init__(self, writer: Engine, reader: Engine) -> None:
        self._writer = writer
        self._reader = reader
        self._sql = PushStatements(dialect.of(writer))
        self._shown = ShownPushes(dialect.of(writer))
        self._facts = PushFacts(reader)
        self._followed = FollowedMessages(dialect.of(reader))

    @classmethod
    def open(cls, url: str) -> Self:
        """Own engines for this database; end with `close`. Connects to nothing yet."""
        return cls(open_engine(url, pool_size=2), open_engine(url, read_only=True, pool_size=2))

    def close(self) -> None:
        self._writer.dispose()
        self._reader.dispose()

    # -- bridge.push.worker.JobStore

    def waiting(
        self, now: int, limit: int, services: Collection[str], hosts: Collection[str]
    ) -> list[Waiting]:
        asked = {
            "now": now,
            "limit": limit,
            "services": rows(sorted(services)),
            "hosts": rows(sorted(hosts)),
        }
        with answering(), self._reader.begin() as connection:
            found = connection.execute(self._sql.waiting, asked).all()
        return [
            Waiting(Lane(UserId(user), DeviceId(device)), service, host)
            for user, device, service, host in found
        ]

    def take(self, lanes: Sequence[Lane], worker: str, now: int, until: int) -> list[Taken]:
        asked = {"keys": rows(sorted(lanes)), "worker": worker, "now": now, "until": until}
        with self._writing() as connection:
            leased = {(row[0], row[1]): row for row in connection.execute(self._sql.lease, asked).all()}
            if not leased:
                return []
            its = {"keys": rows(sorted(leased)), "now": now, "limit": JOBS_A_TURN}
            due = connection.execute(self._sql.due, its).all()
            doubtful = sorted({(row[0], row[1]) for row in due if row[-1] == "sending"})
            if doubtful:
                self._move(connection, self._sql.doubt, {"rows": rows(doubtful), "now": now})
        jobs: dict[tuple[str, str], list[Job]] = {key: [] for key in leased}
        for row in due:
            if row[-1] == "queued":
                jobs[row[0], row[1]].append(_job(row))
        return [_taken(row, jobs[key]) for key, row in leased.items()]

    def known(self, taken: Sequence[Taken], now: int) -> dict[Lane, Known]:
        with answering():
            return self._facts.known(taken, now)

    def followed(self, messages: Collection[tuple[ConvId, int]]) -> dict[tuple[str, int], Trace]:
        with answering(), self._reader.begin() as connection:
            return self._followed.read(connection, messages)

    def begin(
        self, worker: str, starts: Sequence[Start], drops: Sequence[Drop], idle: Sequence[Lane], now: int
    ) -> set[JobKey]:
        sql = self._sql
        may: set[JobKey] = set()
        with self._writing() as connection:
            if drops:
                dropped = [(*drop.key, drop.reason, "dead" if drop.is_dead else "dropped") for drop in drops]
                self._move(connection, sql.drop, {"rows": rows(sorted(dropped)), "now": now})
            if starts:
                named = sorted((*start.job.key, start.taken.subscription.service) for start in starts)
                asked = {"rows": rows(named), "worker": worker, "now": now}
                may = {_key(row) for row in connection.execute(sql.begin, asked).all()}
                self._shown.show(connection, (start.job for start in starts if start.job.key in may))
            if idle:
                connection.execute(sql.release, {"rows": rows(sorted(idle)), "worker": worker})
        return may

    def renew(self, lanes: Sequence[Lane], worker: str, now: int, until: int) -> None:
        asked = {"keys": rows(sorted(lanes)), "worker": worker, "now": now, "until": until}
        with self._writing() as connection:
            connection.execute(self._sql.renew, asked)

    def finish(self, worker: str, results: Sequence[Result], now: int) -> None:
        done = sorted(_row(result) for result in results if result.state != "queued")
        again = sorted(_row(result) for result in results if result.state == "queued")
        sql = self._sql
        with self._writing() as connection:
            if done:
                self._finish(connection, done, now)
            if again:
                connection.execute(sql.retry, {"rows": rows(again)})
            settled = sorted(
                (
                    *r.key.lane,
                    r.subscribed_ts,
                    r.not_before,
                    r.failures,
                    r.ended,
                    r.answer if r.ended else None,
                )
                for r in results
                if r.settles
            )
            if settled:
                connection.execute(sql.settle, {"rows": rows(settled)})
            ended = sorted(r.key.lane for r in results if r.ended is not None)
            if ended:
                self._move(connection, sql.unsubscribe, {"rows": rows(ended), "now": now})
            lanes = sorted(r.key.lane for r in results)
            connection.execute(sql.release, {"rows": rows(lanes), "worker": worker})

    def _finish(self, connection: Connection, done: list[tuple[Any, ...]], now: int) -> None:
        sql = self._sql
        moved = self._move(connection, sql.finish, {"rows": rows(done), "now": now})
        if len(moved) < len(done):
            # What came after the lease is in the log by now.
            connection.execute(sql.correct, {"rows": rows(done)})
        # A job is about something, or about nothing that could be taken away.
        sent = [row for row in moved if row["state"] == "sent" and row["conv_id"] is not None]
        self._shown.settle(connection, sent, now)

    def _move(self, connection: Connection, into_log: TextClause, asked: dict[str, Any]) -> list[Any]:
        """Jobs into the log. Returns their rows."""
        moved = connection.execute(into_log, asked).mappings().all()
        if moved:
            keys = sorted((row["user_id"], row["device_id"], row["seq"], row["kind"]) for row in moved)
            connection.execute(self._sql.forget_done, {"rows": rows(keys)})
        return list(moved)

    # -- for people

    def depth(self) -> Depth:
        """Raises: Unavailable."""
        with answering(), self._reader.begin() as connection:
            jobs, oldest = connection.execute(self._sql.depth).one()
        return Depth(jobs, oldest)

    def dead(self, *, before_ts: int, limit: int) -> list[DeadPush]:
        """The newest from before that time, newest first. Raises: Unavailable."""
        asked = {"before": before_ts, "limit": limit}
        with answering(), self._reader.begin() as connection:
            found = connection.execute(self._sql.dead, asked).mappings().all()
        return [
            DeadPush(
                UserId(row["user_id"]),
                DeviceId(row["device_id"]),
                row["seq"],
                None if row["conv_id"] is None else ConvId(row["conv_id"]),
                row["message_id"],
                row["service"],
                row["tries"],
                row["answer"] or "",
                row["done_ts"],
            )
            for row in found
        ]

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        try:
            with first_in_line(self._writer), self._writer.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise classified(error) from error
        except OSError as error:
            # Of the turnstile's file.
            raise Unavailable(f"the database did not answer: {error}", retry_after=1) from error


def _row(result: Result) -> tuple[Any, ...]:
    return (*result.key, result.answer, result.state, result.tries)


def _key(row: Any) -> JobKey:
    user, device, seq, kind = row
    return JobKey(UserId(user), DeviceId(device), seq, kind)


def _job(row: Any) -> Job:
    (
        user,
        device,
        seq,
        kind,
        type_,
        conv,
        message_id,
        created,
        due,
        expires,
        tries,
        _service,
        answer,
        _ts,
        _state,
    ) = row
    return Job(
        JobKey(UserId(user), DeviceId(device), seq, kind),
        type_,
        None if conv is None else ConvId(conv),
        message_id,
        created,
        due,
        expires,
        tries,
        answer,
    )


def _taken(row: Any, jobs: list[Job]) -> Taken:
    user, device, service, target, preview, lang, quiet, subscribed, failures, host = row
    return Taken(
        Subscription(UserId(user), DeviceId(device), service, msgspec.json.decode(target)),
        preview,
        lang,
        None if quiet is None else msgspec.json.decode(quiet, type=QuietHours),
        subscribed,
        failures,
        jobs,
        host,
    )
