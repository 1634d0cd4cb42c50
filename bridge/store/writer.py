"""The one transaction at a time in which everything about conversations is written, fenced and numbered.

Each begins by moving `meta.batch` from the number of the transaction before to its own (compare and swap, the
row stays locked until the end). That one statement is three things:

- the fence: a server that was paused, and replaced meanwhile, finds a number that is not its own and stops;
- idempotence: a transaction that was committed already finds its own number, and is not run a second time;
- the highest number ever committed, which tells a restored backup (`bridge.witness`).

Numbers are `generation << 32 | count`. Each start of a server is a generation, so a number is never used again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from bridge.store import dialect, failures
from bridge.store.failures import Disconnected, InDoubt, LeaseLost
from bridge.store.faults import NO_FAULTS, Faults
from pabal.errors import Unavailable

T = TypeVar("T")

_SWAP = text("UPDATE meta SET value = :own WHERE key = 'batch' AND value = :before")
_LOST = "another server has taken this database over"


class Held(Protocol):
    """Whether this server still is the one that commits, as far as it knows."""

    @property
    def held(self) -> bool: ...


@dataclass(slots=True)
class _Doubt:
    """A transaction of which only the database knows whether it was committed."""

    subject: object
    number: int
    result: Any


class Writer:
    """Used by one thread at a time. `last` is the number of the transaction before the first."""

    def __init__(self, engine: Engine, lease: Held, last: int, faults: Faults = NO_FAULTS) -> None:
        self.engine = engine
        self.last = last
        self._lease = lease
        self._faults = faults
        self._doubt: _Doubt | None = None
        lock = dialect.of(engine).row_lock
        self._look = text(f"SELECT value FROM meta WHERE key = 'batch'{lock}")

    def transact(self, subject: object, work: Callable[[Connection, int], T]) -> T:
        """Run `work` with a connection and the transaction's number, and commit.

        `subject` names what is done: after InDoubt, calling again with the same one finds out first, and gives
        back the earlier result if it was committed after all.

        Raises: InDoubt; LeaseLost; Conflicted, Disconnected or another Unavailable, and nothing is stored;
        whatever `work` raises, likewise; SQLAlchemyError where the values to be written are to blame, likewise.
        """
        if self._doubt is not None:
            doubt, stored = self._doubt, self._settle(self._doubt)
            if doubt.subject is subject:
                if stored:
                    result: T = doubt.result
                    return result
                raise Disconnected("the transaction was not committed", retry_after=failures.RETRY_AFTER_S)
        if not self._lease.held:
            raise Disconnected("the lock on the database is being taken again", retry_after=1)
        return self._run(subject, work)

    def _run(self, subject: object, work: Callable[[Connection, int], T]) -> T:
        number = self.last + 1
        committing = False
        try:
            with self.engine.connect() as connection:
                transaction = connection.begin()
                swapped = connection.execute(_SWAP, {"own": str(number), "before": str(self.last)})
                if swapped.rowcount != 1:
                    raise LeaseLost(_LOST, retry_after=failures.RETRY_AFTER_S)
                result = work(connection, number)
                committing = True
                try:
                    self._faults.reach("before_commit")
                    transaction.commit()
                except BaseException:
                    connection.invalidate()  # whatever state it is in, nobody else gets it
                    raise
        except SQLAlchemyError as error:
            if committing and not failures.is_conflict(error):
                self._doubt = _Doubt(subject, number, result)
                raise InDoubt(failures.reason(error), retry_after=failures.RETRY_AFTER_S) from error
            if failures.is_ours(error):
                raise
            if not failures.is_conflict(error):
                # A file that could only be read when it was opened stays so for that connection.
                self.engine.dispose()
            raise failures.classified(error) from error
        except OSError as error:
            # Of the turnstile's file, before the transaction has begun.
            raise Unavailable(f"the database did not answer: {error}", retry_after=1) from error
        self._faults.reach("after_commit")
        self.last = number
        return result

    def _settle(self, doubt: _Doubt) -> bool:
        """Whether it was committed. The lock waits for a transaction whose COMMIT may still be under way.

        Raises: InDoubt while the database does not answer; LeaseLost.
        """
        try:
            with self.engine.begin() as connection:
                found = int(connection.execute(self._look).scalar_one())
        except (SQLAlchemyError, OSError) as error:
            why = failures.reason(error) if isinstance(error, SQLAlchemyError) else str(error)
            raise InDoubt(why, retry_after=failures.RETRY_AFTER_S) from error
        if found not in {self.last, doubt.number}:
            raise LeaseLost(_LOST, retry_after=failures.RETRY_AFTER_S)
        self._doubt = None
        self.last = found
        return found == doubt.number
