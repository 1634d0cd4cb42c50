"""Keeps an access token fresh. The refresh token rotates, and an old one used again ends the session; so the
new pair is stored before it is used, and whoever shares the stored pair takes turns.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from msgspec import Struct

from pabal.errors import Unauthorized
from pabal_client.rest import LogIn, Rest

# Refreshed when less than this is left, in seconds.
MARGIN = 60.0


class Tokens(Struct, frozen=True, kw_only=True):
    """`expires_at`: when the access token ends, in seconds since 1970 UTC."""

    access_token: str
    refresh_token: str
    expires_at: float


class TokenStore(Protocol):
    """Where the pair is kept."""

    def locked(self) -> AbstractContextManager[object]:
        """Keeps everybody else who uses this store, in any process, from refreshing meanwhile."""
        ...

    def load(self) -> Tokens: ...

    def save(self, tokens: Tokens) -> None:
        """On disk when this returns."""
        ...


def tokens_of(login: LogIn, now: float) -> Tokens:
    return Tokens(
        access_token=login.access_token,
        refresh_token=login.refresh_token,
        expires_at=now + login.expires_in,
    )


class FreshToken:
    """An access token that is good now; usable as the `password` of a client."""

    def __init__(self, server: str, store: TokenStore, *, clock: Callable[[], float] = time.time) -> None:
        self._server = server
        self._store = store
        self._clock = clock
        self._given: str | None = None

    def __call__(self, *, refused: bool = False) -> str:
        """The stored access token, refreshed first if it is about to end, or if it was `refused`.

        Raises: Unauthorized if the session is over; Unreachable or another refusal if it cannot be told now.
        """
        tokens = self._store.load()
        if not self._is_good(tokens, refused):
            with self._store.locked():
                tokens = self._store.load()  # maybe somebody else has just done it
                if not self._is_good(tokens, refused):
                    tokens = self._refresh(tokens)
        self._given = tokens.access_token
        return tokens.access_token

    def _is_good(self, tokens: Tokens, refused: bool) -> bool:
        if refused and tokens.access_token == self._given:
            return False
        return tokens.expires_at - MARGIN > self._clock()

    def _refresh(self, tokens: Tokens) -> Tokens:
        if not tokens.refresh_token:
            raise Unauthorized("the session has ended")
        with Rest(self._server) as rest:
            fresh = tokens_of(rest.refresh(tokens.refresh_token), self._clock())
        self._store.save(fresh)
        return fresh
