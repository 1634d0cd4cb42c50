"""The server's HTTP interface, typed. Each call is one request; nothing is tried again by itself."""

import re
from collections.abc import Callable
from typing import Any, Self, TypeVar

import httpx2
import msgspec
from msgspec import Struct

from pabal import messages as m
from pabal.errors import REFUSALS, PabalError
from pabal_client.errors import Unreachable
from pabal_client.session import refusal
from pabal_client.updates import ConversationList, HistoryPage, SyncPage, read_history

T = TypeVar("T")
_BY_STATUS = {kind.http_status: kind.code for kind in reversed(REFUSALS)}
# What a load balancer says when nobody is behind it.
_GATEWAY = frozenset({502, 504})
_OK = frozenset({200, 201, 202, 204})


class Topics(Struct, frozen=True, kw_only=True):
    up: str = ""
    down: str = ""
    inbox: str = ""
    live: str = ""
    status: str = ""


class Mqtt(Struct, frozen=True, kw_only=True):
    """Where and as whom to connect. `tcp` and `ws` are addresses; either may be missing."""

    tcp: str | None = None
    ws: str | None = None
    client_id: str = ""
    username: str = ""
    topics: Topics = Topics()


class LogIn(Struct, frozen=True, kw_only=True):
    """A session of a device. `expires_in` is in seconds and about the access token."""

    access_token: str
    refresh_token: str
    expires_in: float
    user: str = ""
    device: str = ""
    mqtt: Mqtt = Mqtt()


class Secret(Struct, frozen=True, kw_only=True):
    """A device with a long-lived secret; it is shown this once."""

    secret: str
    device: str = ""
    user: str = ""


class User(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A name; to those who know them also what they say of themselves."""

    user: str
    display_name: str | None = None
    about: str | None = None


class FoundUsers(Struct, frozen=True, kw_only=True):
    """Who a search found; with `more` there are others."""

    users: list[User] = []
    more: bool = False


class _Problem(Struct, frozen=True):
    code: str = ""
    title: str = ""
    detail: str = ""
    retry_after: float | None = None


class Rest:
    """A server's `/v1`. Set `token` to the access token or device secret to speak as a device.

    `base_url` is the server's address, `http://127.0.0.1:8080`; a `/v1` at its end is taken for part of the paths.

    Every call raises: the PabalError that the server refused it with; Unreachable if there was no usable
    answer, in which case a call that writes may or may not have been done.
    """

    def __init__(
        self,
        base_url: str,
        *,
        token: str | None = None,
        timeout: float = 10.0,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        # A host may be called v1.
        self.base_url = re.sub(r"(?<!/)/v1$", "", base_url.rstrip("/"))
        self.token = token
        self._timeout = timeout
        try:
            self._http = httpx2.Client(base_url=f"{self.base_url}/v1/", timeout=timeout, transport=transport)
        except httpx2.InvalidURL as error:
            raise Unreachable(f"{base_url!r} is no address: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def sign_up(self, user: str, password: str, display_name: str | None = None) -> User:
        body = {"user": user, "password": password}
        if display_name is not None:
            body["display_name"] = display_name
        return self.call(User, "POST", "users", body=body)

    def log_in(self, user: str, password: str, device: str) -> LogIn:
        """A session for this device; an older one on the same device name ends."""
        return self.call(
            LogIn, "POST", "sessions", body={"user": user, "password": password, "device": device}
        )

    def refresh(self, refresh_token: str) -> LogIn:
        """New tokens for old. An old refresh token used again ends the session: keep the new one at once."""
        return self.call(LogIn, "POST", "sessions/refresh", body={"refresh_token": refresh_token})

    def log_out(self) -> None:
        self.call(None, "DELETE", "sessions/current")

    def add_device(self, device: str, password: str, allow: list[str] | None = None) -> Secret:
        """A long-lived secret for a thing without a login."""
        body: dict[str, Any] = {"device": device, "password": password}
        if allow is not None:
            body["allow"] = allow
        return self.call(Secret, "POST", "devices", body=body)

    def user(self, name: str) -> User:
        """Raises: NotFound if there is no such user."""
        return self.call(User, "GET", f"users/{segment(name)}")

    def search_users(self, text: str, *, limit: int = 20) -> FoundUsers:
        """Whose user name or display name begins so; who does not want to be found is not."""
        return self.call(FoundUsers, "GET", "users", query={"q": text, "limit": limit})

    def conversations(self, *, after: str | None = None, limit: int = 100) -> ConversationList:
        return self.call(ConversationList, "GET", "conversations", query={"after": after, "limit": limit})

    def history(
        self, conv: str, *, before: int | None = None, after: int | None = None, limit: int = 50
    ) -> HistoryPage:
        query = {"before": before, "after": after, "limit": limit}
        content = self._send("GET", f"conversations/{segment(conv)}/messages", None, query, None)
        return self._read(content, read_history)

    def send(self, conv: str, message: m.Send, *, timeout: float | None = None) -> m.Committed:
        """Send to a conversation, or to a user as `@name`. With an `id` it may safely be called again."""
        body = msgspec.to_builtins(message)
        for elsewhere in ("op", "conv", "to"):
            body.pop(elsewhere, None)
        path = f"conversations/{segment(conv)}/messages"
        return self.call(m.Committed, "POST", path, body=body, timeout=timeout)

    def sync(self, after: int, *, epoch: str | None = None, limit: int = 500, wait: int = 0) -> SyncPage:
        """A page of the inbox; `wait` seconds of long polling, 0 to 60."""
        query = {"after": after, "epoch": epoch, "limit": limit, "wait": wait}
        return self.call(SyncPage, "GET", "sync", query=query, timeout=self._timeout + wait)

    def request(self, request: m.AnyRequest) -> bytes:
        """Any request of the protocol; its reply as it came."""
        return self.request_as_it_is(msgspec.json.encode(request))

    def request_as_it_is(self, payload: bytes, *, timeout: float | None = None) -> bytes:
        """The same, with a request that is bytes already."""
        return self._send("POST", "requests", payload, {}, timeout)

    def content(self, path: str) -> bytes:
        """What is there, as it is."""
        return self._send("GET", path, None, {}, None)

    def call(
        self,
        kind: type[T] | None,
        method: str,
        path: str,
        *,
        body: dict[str, Any] | None = None,
        query: dict[str, Any] | None = None,
        timeout: float | None = None,
    ) -> T:
        """Any call, for what has no method here. With None as `kind` its answer is not read."""
        payload = None if body is None else msgspec.json.encode(body)
        content = self._send(method, path, payload, query or {}, timeout)
        if kind is None:
            return None  # type: ignore[return-value] # whoever passes None takes nothing
        return self._read(content, msgspec.json.Decoder(kind).decode)

    def _read(self, content: bytes, read: Callable[[bytes], T]) -> T:
        try:
            return read(content)
        except msgspec.DecodeError as error:
            raise Unreachable(f"{self.base_url} does not answer like a Pabal server: {error}") from error

    def _send(
        self,
        method: str,
        path: str,
        body: bytes | None,
        query: dict[str, Any],
        timeout: float | None,
    ) -> bytes:
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            response = self._http.request(
                method,
                path,
                content=body,
                params={key: value for key, value in query.items() if value is not None},
                headers=headers,
                timeout=self._timeout if timeout is None else timeout,
            )
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            said = str(error) or type(error).__name__
            raise Unreachable(f"cannot reach {self.base_url}: {said}") from error
        if response.status_code not in _OK:
            raise _problem(self.base_url, response)
        return response.content


def _problem(base_url: str, response: httpx2.Response) -> Exception:
    """The refusal that a problem document (RFC 9457) stands for."""
    try:
        problem = msgspec.json.decode(response.content, type=_Problem)
    except msgspec.DecodeError:
        problem = _Problem()
    status = response.status_code
    code = problem.code or _BY_STATUS.get(status, "")
    if status in _GATEWAY or not code:
        return Unreachable(f"{base_url} answered {status}, not like a Pabal server")
    header = response.headers.get("Retry-After", "")
    wait = int(header) if header.isdecimal() else None
    if problem.retry_after is not None:
        wait = int(problem.retry_after)
    error: PabalError = refusal(code, problem.detail or problem.title, wait)
    return error


def segment(text: str) -> str:
    """One segment of a path, whatever somebody typed."""
    return "".join(
        chr(byte) if chr(byte).isascii() and (chr(byte).isalnum() or chr(byte) in "-_.~@") else f"%{byte:02X}"
        for byte in text.encode()
    )
