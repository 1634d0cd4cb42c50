"""Passwords: argon2id, at most a few at once, so that logins cannot eat the machine's memory or processors.

A password is compared in Unicode form NFKC, because the same key strokes give composed or decomposed
characters on different machines (Hangul above all), and full-width or half-width ones.
"""

import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from pabal.errors import BadRequest, Unavailable

MIN_CHARS = 8
MAX_CHARS = 256
# Decomposed Hangul takes three characters where NFKC takes one.
_MAX_RAW_CHARS = 4 * MAX_CHARS
_MEMORY_KIB = 19 * 1024
_WAIT_S = 10.0


class Passwords:
    """Hashes and verifies; `parallel` at once, `waiting` more in line, the next is told to come back.

    One hash takes about 45 ms and 19 MiB.
    """

    def __init__(
        self, *, parallel: int = 2, waiting: int = 64, memory_kib: int = _MEMORY_KIB, time_cost: int = 2
    ) -> None:
        self._hasher = PasswordHasher(time_cost=time_cost, memory_cost=memory_kib, parallelism=1)
        self._turn = threading.BoundedSemaphore(parallel)
        self._guard = threading.Lock()
        self._room = parallel + waiting
        # Made with the same parameters, so that a login of nobody takes as long as one of somebody.
        self._of_nobody = self._hasher.hash("nobody's password")

    def hash(self, password: str, *, field: str = "password") -> str:
        """The hash of a new password.

        Raises: BadRequest unless it has 8 to 256 characters; Unavailable if too many are in line.
        """
        prepared = check_new(password, field=field)
        with self._in_turn():
            return self._hasher.hash(prepared)

    def verify(self, stored: str | None, password: str) -> bool:
        """Whether this is the password. Takes the same time when there is none (`stored` is None).

        Raises: Unavailable if too many are in line.
        """
        prepared = prepare(password)
        possible = stored is not None and prepared is not None
        with self._in_turn():
            try:
                self._hasher.verify(stored if stored and possible else self._of_nobody, prepared or "")
            except (VerificationError, InvalidHashError):
                return False
        return possible

    def is_outdated(self, stored: str) -> bool:
        """Whether the hash was made with other parameters than a new one would be."""
        return self._hasher.check_needs_rehash(stored)

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        with self._guard:
            if self._room <= 0:
                raise _busy()
            self._room -= 1
        try:
            if not self._turn.acquire(timeout=_WAIT_S):
                raise _busy()
            try:
                yield
            finally:
                self._turn.release()
        finally:
            with self._guard:
                self._room += 1


def check_new(password: str, *, field: str = "password") -> str:
    """A new password as it is hashed.

    Raises: BadRequest unless it has 8 to 256 characters.
    """
    prepared = prepare(password)
    if prepared is None:
        raise BadRequest(f"{MIN_CHARS} to {MAX_CHARS} characters", field=field)
    return prepared


def prepare(password: str) -> str | None:
    """The password as it is hashed. Returns None if it is too short, too long or no Unicode text."""
    if len(password) > _MAX_RAW_CHARS:
        return None
    prepared = unicodedata.normalize("NFKC", password)
    if not MIN_CHARS <= len(prepared) <= MAX_CHARS or any("\ud800" <= c <= "\udfff" for c in prepared):
        return None
    return prepared


def _busy() -> Unavailable:
    return Unavailable("too many logins at once", retry_after=2)
