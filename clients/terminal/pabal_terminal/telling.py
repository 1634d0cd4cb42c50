"""What went wrong, in words for somebody at a terminal."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pabal.errors import Conflict, PabalError, RateLimited, Unauthorized, Unavailable
from pabal_client.errors import ClientError, Kicked, LoginRefused, StoreInUse, Unreachable
from pabal_terminal.errors import TerminalError

_AGAIN: Final = "run `pabal login` again"
_IS_IT_RUNNING: Final = "is the server running, and is the address right?"


@contextmanager
def told(*, login: bool = False, password: bool = False) -> Iterator[None]:
    """What is raised within comes out as a TerminalError. `login`, `password`: of a command that logs in, or that asks
    for the password all the same.
    """
    try:
        yield
    except PabalError as error:
        raise TerminalError(
            error.detail, hint=_hint(error, login=login, password=password), code=error.code
        ) from error
    except LoginRefused as error:
        raise TerminalError(error.detail, hint=_AGAIN, code="unauthorized") from error
    except Kicked as error:
        raise TerminalError(error.detail, hint=_AGAIN) from error
    except StoreInUse as error:
        hint = "is `pabal listen` running in another terminal? Log in with another --device there"
        raise TerminalError(error.detail, hint=hint) from error
    except Unreachable as error:
        raise TerminalError(error.detail, hint=_IS_IT_RUNNING) from error
    except ClientError as error:
        raise TerminalError(error.detail) from error


def _hint(error: PabalError, *, login: bool, password: bool) -> str | None:
    if isinstance(error, Unauthorized) and password:
        return f"is the password right? If it is, {_AGAIN}"
    if isinstance(error, Unauthorized):
        return "is the password right? A new account needs --sign-up" if login else _AGAIN
    if isinstance(error, Conflict) and login:
        return "the name is taken: log in without --sign-up, or choose another"
    if isinstance(error, RateLimited | Unavailable) and error.retry_after:
        return f"try again in {error.retry_after} s"
    return None
