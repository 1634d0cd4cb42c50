"""Forgets updates that are older than is promised, in steps too short to be felt.

Two reasons make an inbox too long: more updates than are kept, which is known from what was just delivered,
and age, for which all inboxes are looked through from time to time, a page at a time. A step deletes a bounded
number of rows of a few inboxes and moves their `min_seq` in the same transaction.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, text

from bridge.store.failures import answering
from bridge.store.writer import Writer
from pabal.ids import UserId

DAY_MS = 24 * 3600 * 1000
ROWS_A_STEP = 1_000
INBOXES_A_STEP = 20
PAGE = 200
STEP_S = 0.003
# How often all inboxes are looked through for what is too old.
ROUND_S = 3600.0
# Inboxes whose oldest update is remembered; beyond it all are forgotten and looked up again.
_REMEMBERED = 100_000

_OLDEST = text("SELECT head, min_seq FROM inbox_head WHERE user_id = :user")
_PAGE = text(
    "SELECT h.user_id, i.ts FROM inbox_head h LEFT JOIN inbox i"
    " ON i.user_id = h.user_id AND i.seq = h.min_seq"
    " WHERE h.user_id > :after ORDER BY h.user_id LIMIT :limit"
)
# The first of the oldest updates that is young enough, if there is one among so many.
_YOUNG = text(
    "SELECT min(seq) FROM (SELECT seq, ts FROM inbox WHERE user_id = :user AND seq >= :first"
    " ORDER BY seq LIMIT :limit) AS oldest WHERE ts >= :before"
)
_DELETE = text("DELETE FROM inbox WHERE user_id = :user AND seq >= :first AND seq < :keep")
_MOVE = text("UPDATE inbox_head SET min_seq = :keep WHERE user_id = :user")


@dataclass(frozen=True, slots=True)
class Retention:
    """What is kept of each inbox: so many updates, of so many days; of the audit log, and of what became of pushes: so
    many days.
    """

    updates: int = 10_000
    days: int = 30
    events_days: int = 180
    pushes_days: int = 3


class Trimmer:
    """Used by the committer's thread alone."""

    def __init__(
        self,
        writer: Writer,
        retention: Retention,
        clock_ms: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._writer = writer
        self._retention = retention
        self._clock_ms = clock_ms
        self._monotonic = monotonic
        # An inbox that gets one more update each second should not be trimmed each second.
        self._slack = retention.updates // 100
        self._oldest: dict[UserId, int] = {}
        self._due: dict[UserId, None] = {}
        self._after = ""
        self._round_at = monotonic()

    def note(self, heads: Mapping[UserId, int]) -> None:
        """Updates were delivered up to these seqs."""
        kept = self._retention.updates + self._slack
        for user, head in heads.items():
            if head - self._oldest.get(user, 1) >= kept:
                self._due[user] = None

    def step(self) -> bool:
        """Returns whether there was anything to do. Raises: as `Writer.transact`."""
        if not self._due and self._monotonic() >= self._round_at:
            self._look_through()
        if not self._due:
            return False
        done = self._writer.transact(self, lambda connection, _number: self._trim(connection))
        for user, (oldest, more) in done.items():
            if len(self._oldest) >= _REMEMBERED:
                self._oldest.clear()
            self._oldest[user] = oldest
            if not more:
                self._due.pop(user, None)
        return True

    def _look_through(self) -> None:
        """One page of the inboxes: which of them begin with an update that is too old?"""
        before = self._before_ms()
        with answering(), self._writer.engine.begin() as connection:
            page = connection.execute(_PAGE, {"after": self._after, "limit": PAGE}).all()
        for user, ts in page:
            if ts is not None and ts < before:
                self._due[UserId(user)] = None
        if len(page) < PAGE:
            self._after = ""
            self._round_at = self._monotonic() + ROUND_S
        else:
            self._after = page[-1][0]

    def _before_ms(self) -> int:
        return self._clock_ms() - self._retention.days * DAY_MS

    def _trim(self, connection: Connection) -> dict[UserId, tuple[int, bool]]:
        """`user -> (oldest seq kept, whether there is more to do)` of the inboxes that were looked at."""
        done: dict[UserId, tuple[int, bool]] = {}
        budget, until = ROWS_A_STEP, time.perf_counter() + STEP_S
        for user in list(self._due)[:INBOXES_A_STEP]:
            head, first = connection.execute(_OLDEST, {"user": user}).first() or (0, 1)
            keep = self._kept_from(connection, user, head, first, budget)
            if keep > first:
                connection.execute(_DELETE, {"user": user, "first": first, "keep": keep})
                connection.execute(_MOVE, {"user": user, "keep": keep})
            budget -= keep - first
            done[user] = (keep, budget <= 0)
            if budget <= 0 or time.perf_counter() > until:
                break
        return done

    def _kept_from(self, connection: Connection, user: UserId, head: int, first: int, budget: int) -> int:
        """The oldest seq to keep, at most `budget` above the oldest there is. Times rise with seqs wherever the
        clock does, so that a run of old updates ends at the first that is young enough.
        """
        keep = max(first, min(head - self._retention.updates + 1, first + budget))
        limit = min(budget - (keep - first), head - keep + 1)
        if limit <= 0:
            return keep
        wanted = {"user": user, "first": keep, "limit": limit, "before": self._before_ms()}
        young = connection.execute(_YOUNG, wanted).scalar()
        return keep + limit if young is None else int(young)
