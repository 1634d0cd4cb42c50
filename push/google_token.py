"""Access tokens of Google for a service account: google-auth makes the assertion, our own HTTP client sends it."""

import asyncio
import concurrent.futures
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from push.posting import PostFailed, Posts

SCOPE: Final = "https://www.googleapis.com/auth/firebase.messaging"
TOKEN_URL: Final = "https://oauth2.googleapis.com/token"  # noqa: S105 -- an address
# google-auth asks again by itself after some answers, with pauses; together they get this long.
_TOTAL_S: Final = 20.0
# After a failure nobody asks again for a moment: all who wait would ask one after another.
_PAUSE_S: Final = 5.0
_LONGEST_REASON: Final = 300


class TokenUnavailable(Exception):  # noqa: N818 -- named like the outcomes
    """Google gave none. Its text is a line for people."""


class GoogleToken:
    """One account's token, fetched once for all who wait for it. Used in one event loop."""

    def __init__(
        self,
        info: Mapping[str, Any],
        posts: Posts,
        token_url: str | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`info` is what a service account's file says. `token_url` goes before the one that is in there."""
        self._info = {"token_uri": TOKEN_URL, **info}
        if token_url is not None:
            self._info["token_uri"] = token_url
        self._posts = posts
        self._monotonic = monotonic
        self._lock = asyncio.Lock()
        self._credentials: Any = None
        self._token: str | None = None
        self._failed: tuple[float, str] | None = None

    async def get(self) -> str:
        """Raises: TokenUnavailable."""
        async with self._lock:
            if self._token is not None and self._credentials.valid:
                return self._token
            if self._failed is not None and self._monotonic() < self._failed[0]:
                raise TokenUnavailable(self._failed[1])
            self._token = await self._fetch()
            return self._token

    def forget(self, token: str) -> None:
        """It was not taken: whoever asks next gets another."""
        if token == self._token:
            self._token = None

    async def _fetch(self) -> str:
        """Raises: TokenUnavailable."""
        request = _Request(self._posts, asyncio.get_running_loop())
        try:
            async with asyncio.timeout(_TOTAL_S):
                # google-auth waits where it is called.
                await asyncio.to_thread(self._refresh, request)
        except TimeoutError:
            raise self._failure("no answer in time") from None
        except Exception as error:  # noqa: BLE001 -- google-auth trips over answers that it did not expect, in any way
            said = str(error.args[0]) if error.args else ""
            raise self._failure(said or type(error).__name__) from None
        finally:
            request.abandon()
        return str(self._credentials.token)

    def _refresh(self, request: "_Request") -> None:
        from google.oauth2.service_account import Credentials  # noqa: PLC0415 -- not before it is needed

        if self._credentials is None:
            make: Any = Credentials.from_service_account_info
            self._credentials = make(self._info, scopes=[SCOPE])
        self._credentials.refresh(request)

    def _failure(self, why: str) -> TokenUnavailable:
        reason = f"no access token from Google: {why}"[:_LONGEST_REASON]
        self._failed = (self._monotonic() + _PAUSE_S, reason)
        return TokenUnavailable(reason)


class _Response(NamedTuple):
    """google.auth.transport.Response."""

    status: int
    headers: Mapping[str, str]
    data: bytes


class _Request:
    """google.auth.transport.Request: called in a thread, answered by the loop."""

    def __init__(self, posts: Posts, loop: asyncio.AbstractEventLoop) -> None:
        self._posts = posts
        self._loop = loop
        self._waiting: concurrent.futures.Future[_Response] | None = None
        self._abandoned = False

    def __call__(
        self, url: str, method: str = "GET", body: bytes | None = None, headers: Any = None, **_: object
    ) -> _Response:
        """Raises: google.auth's TransportError."""
        from google.auth import exceptions  # noqa: PLC0415 -- not before it is needed

        failed: Any = exceptions.TransportError

        if method != "POST" or self._abandoned:
            raise failed(f"{method} {url} is not asked for here")
        self._waiting = asyncio.run_coroutine_threadsafe(
            self._post(url, headers or {}, body or b""), self._loop
        )
        try:
            return self._waiting.result(_TOTAL_S)
        except (PostFailed, TimeoutError, concurrent.futures.CancelledError) as error:
            raise failed(str(error)) from None

    def abandon(self) -> None:
        """Nobody waits any more: the thread is not to either."""
        self._abandoned = True
        if self._waiting is not None:
            self._waiting.cancel()

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> _Response:
        reply = await self._posts.post(url, headers, body)
        return _Response(reply.status, reply.headers, reply.body)
