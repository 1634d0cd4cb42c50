"""The thread that commits, one batch at a time.

Natural batching, without timers here: while one transaction commits, what arrives next gathers in the relay, and
the end of the one begins the next (`bridge.gathering` says what may wait a moment more).

When the database fails: a transaction that was undone for another's sake, or whose connection went, is run again
a few times, the whole batch; one whose COMMIT has no known outcome is neither answered nor run again before that is
known; whatever else fails is refused at once as `unavailable`. An outage is logged when it begins and when it
ends, and while it lasts the tries are spaced out.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import Protocol

from bridge.figures import Figures
from bridge.store.failures import Conflicted, Disconnected, InDoubt, LeaseLost, answering
from bridge.store.relay_store import Batch, Committed
from pabal.errors import PabalError, Unavailable
from pabal.ids import ConvId, UserId

logger = logging.getLogger("pabal.bridge")

TRIES = 5
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 0.5
# How long the thread waits for work before it looks whether there is anything to tidy up, and how often it does
# so when there is no end of work.
IDLE_S = 0.5
TRIM_EVERY_S = 0.05


class Store(Protocol):
    def commit(self, batch: Batch) -> Committed: ...

    def trim(self) -> bool: ...


Finished = Callable[[Batch, Committed | PabalError], None]


class Committer:
    """Owns the thread. `finished` is called in it, once for each batch, in order."""

    def __init__(self, store: Store, finished: Finished) -> None:
        self._store = store
        self._finished = finished
        self.figures = Figures()
        self._queue: SimpleQueue[Batch | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
        self._stopping = threading.Event()
        self._outage_since: float | None = None
        self._pause_s = FIRST_PAUSE_S
        self._trim_at = 0.0

    def start(self) -> None:
        self._thread.start()

    def submit(self, batch: Batch) -> None:
        """The relay keeps at most one batch here, so the queue needs no bound of its own."""
        self._queue.put(batch)

    def stop(self, timeout_s: float) -> bool:
        """After the batches submitted so far; what is in doubt is not waited for. Returns whether the thread ended
        in time.
        """
        self._stopping.set()
        self._queue.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            try:
                batch = self._queue.get(timeout=IDLE_S)
            except Empty:
                self._tidy()
                continue
            if batch is None:
                return
            if self._outage_since is not None:
                self._pause()  # a database that is gone is not asked as fast as requests come
            began = time.monotonic()
            result = self._commit(batch)
            self.figures.batches.add(len(batch.commands))
            self.figures.commits.add(time.monotonic() - began)
            self._finished(batch, result)
            if time.monotonic() >= self._trim_at:
                self._tidy()

    def _tidy(self) -> None:
        """Steps of forgetting old updates: one beside other work, as many as there are without."""
        if self._outage_since is not None or self._stopping.is_set():
            return
        try:
            with answering():
                while self._store.trim() and self._queue.empty():
                    pass
        except Unavailable as error:
            logger.warning("old updates could not be forgotten: %s", error)
            self._trim_at = time.monotonic() + 60 * TRIM_EVERY_S
        else:
            self._trim_at = time.monotonic() + TRIM_EVERY_S

    def _commit(self, batch: Batch) -> Committed | PabalError:
        try:
            committed = self._persist(batch)
        except Unavailable as refusal:
            return refusal
        except Exception:
            logger.exception("a batch of %d failed", len(batch.commands))
            if len(batch.commands) > 1:
                return self._commit_each(batch)
            return Unavailable("this request could not be processed", retry_after=60)
        self._outage_ends()
        return committed

    def _persist(self, batch: Batch) -> Committed:
        """Raises: Unavailable when nothing of it is stored, or it is given up; whatever a bug raises."""
        tries = 0
        while True:
            try:
                with answering():
                    return self._store.commit(batch)
            except InDoubt as doubt:
                self._outage(doubt)
                if self._stopping.is_set():
                    raise
            except (Conflicted, Disconnected) as failure:
                tries += 1
                if tries >= TRIES or (self._outage_since is not None and tries > 1):
                    self._outage(failure)
                    raise
            except LeaseLost:
                raise
            except Unavailable as failure:
                self._outage(failure)
                raise
            self._pause()

    def _pause(self) -> None:
        self._stopping.wait(self._pause_s)
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def _outage(self, failure: Unavailable) -> None:
        if self._outage_since is None:
            self._outage_since = time.monotonic()
            logger.error("nothing can be committed: %s; trying again", failure)

    def _outage_ends(self) -> None:
        self._pause_s = FIRST_PAUSE_S
        if self._outage_since is not None:
            lasted, self._outage_since = time.monotonic() - self._outage_since, None
            logger.warning("the database commits again after %.1f s", lasted)

    def _commit_each(self, batch: Batch) -> Committed | PabalError:
        """One command that breaks the whole batch must not take the others with it."""
        outcomes: list[bytes | PabalError | int | None] = []
        whole: Committed | None = None
        alone = replace(batch, commands=(), traces={})
        for command in batch.commands:
            done = self._commit(replace(alone, commands=(command,)))
            if isinstance(done, PabalError):
                outcomes.append(done)
                if self._outage_since is not None:
                    outcomes.extend([done] * (len(batch.commands) - len(outcomes)))
                    break
                continue
            outcomes.extend(done.outcomes)
            whole = done if whole is None else merged(whole, done)
        if whole is None:
            return Unavailable("these requests could not be processed", retry_after=60)
        return replace(whole, outcomes=outcomes)


def merged(one: Committed, other: Committed) -> Committed:
    """Two commits in a row as one; `other` came after."""
    deliveries = dict(one.deliveries)
    for user, updates in other.deliveries.items():
        deliveries[user] = [*deliveries.get(user, ()), *updates]
    return Committed(
        other.batch_id,
        [*one.outcomes, *other.outcomes],
        deliveries,
        [*one.rooms, *other.rooms],
        [*one.left, *other.left],
        [*one.related, *other.related],
        _either(one.moved, other.moved),
        {user: max(seq, one.arrived.get(user, 0)) for user, seq in (one.arrived | other.arrived).items()},
        one.is_regrouped or other.is_regrouped,
        one.is_pushed or other.is_pushed,
    )


def _either(
    one: dict[tuple[ConvId, UserId], int], other: dict[tuple[ConvId, UserId], int]
) -> dict[tuple[ConvId, UserId], int]:
    return {key: one.get(key, 0) | other.get(key, 0) for key in one | other}
