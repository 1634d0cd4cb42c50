"""What a failure of the database means to those above, who do not know SQLAlchemy.

Unavailable
 ├── Conflicted     the database undid the transaction to let another pass: run it again
 ├── Disconnected   the connection went, and nothing of the transaction is stored: connect and run it again
 ├── InDoubt        COMMIT was sent and its outcome is not known: find out before anything else
 └── LeaseLost      another server has taken this database over: never write again
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError

from pabal.errors import Unavailable

RETRY_AFTER_S = 1
# Of PostgreSQL: serialization failure, deadlock.
_CONFLICTS: Final = frozenset({"40001", "40P01"})
# Shut down, crashed, starting up, ended for being idle; and class 08, connections.
_GONE: Final = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03"})
# A user that may not log in, a wrong password, no such database, no right to what is in it.
_NOT_FOR_YOU: Final = frozenset({"28000", "28P01", "3D000", "42501"})
# Parts of what PostgreSQL says when it takes nobody just now.
_LATER: Final = (
    "starting up",
    "shutting down",
    "recovery mode",
    "too many",
    "slots are reserved",
    "not accepting connections",
    "administrator command",
    "timeout",
)


class Conflicted(Unavailable):
    pass


class Disconnected(Unavailable):
    pass


class InDoubt(Unavailable):
    pass


class LeaseLost(Unavailable):
    pass


@contextmanager
def answering() -> Iterator[None]:
    """Turns any failure of the database inside into errors.Unavailable; the cause stays attached."""
    try:
        yield
    except SQLAlchemyError as error:
        raise Unavailable(reason(error), retry_after=RETRY_AFTER_S) from error


def reason(error: SQLAlchemyError) -> str:
    """One line for logs and details, without the statement and its values."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return (
        f"the database did not answer: {str(cause).splitlines()[0] if str(cause) else type(cause).__name__}"
    )


def is_ours(error: SQLAlchemyError) -> bool:
    """Whether the values of a batch are to blame, and not the state of the database."""
    if isinstance(error, DBAPIError):
        return isinstance(error, DataError | IntegrityError)
    return isinstance(error, StatementError)


def is_conflict(error: SQLAlchemyError) -> bool:
    return _sqlstate(error) in _CONFLICTS


def classified(error: SQLAlchemyError) -> Unavailable:
    """What a failure before COMMIT means; nothing is stored then."""
    kind: type[Unavailable] = Unavailable
    if is_conflict(error):
        kind = Conflicted
    elif _is_gone(error):
        kind = Disconnected
    return kind(reason(error), retry_after=RETRY_AFTER_S)


def is_refusal(error: SQLAlchemyError) -> bool:
    """Whether PostgreSQL answered, and does not let this user in or lets it do nothing."""
    if not isinstance(error, DBAPIError):
        return False
    state = _sqlstate(error)
    if state is not None:
        return state in _NOT_FOR_YOU
    # What is told while connecting carries no state. Refused for now is not refused.
    said = str(error.orig)
    return "fe_sendauth:" in said or ("FATAL:" in said and not any(later in said for later in _LATER))


def _sqlstate(error: SQLAlchemyError) -> str | None:
    orig = error.orig if isinstance(error, DBAPIError) else None
    found = getattr(orig, "sqlstate", None)
    return found if isinstance(found, str) else None


def _is_gone(error: SQLAlchemyError) -> bool:
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    state = _sqlstate(error)
    if state is not None:
        return state in _GONE or state.startswith("08")
    # psycopg's own errors of connecting carry no state; sqlite3's errors have no such attribute at all.
    return hasattr(error.orig, "sqlstate") and "OperationalError" in type(error.orig).__name__
