"""One's own account, over HTTP: profile, privacy, password, devices, export, and the end of it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from msgspec import UNSET, Struct, UnsetType

from pabal.errors import Unauthorized
from pabal_client.rest import Rest, segment

T = TypeVar("T")


class PasswordSource(Protocol):
    """Gives the password (access token or device secret) of the next connection.

    `refused`: the broker did not take the last one. Raises: Unreachable to be asked again later; Unauthorized
    to end the client.
    """

    def __call__(self, *, refused: bool) -> str: ...


class Privacy(Struct, frozen=True, kw_only=True):
    """Who may write to this user, add them to groups, see their presence and when they were last there:
    `everyone`, `contacts`, or (of the last two) `nobody`; and whether receipts tell what they have read, and a
    search finds them.
    """

    write: str = "everyone"
    groups: str = "everyone"
    presence: str = "contacts"
    last_seen: str = "contacts"
    read_receipts: bool = True
    search: bool = True


class Profile(Struct, frozen=True, kw_only=True):
    """`created_ts` is in milliseconds since 1970 UTC."""

    user: str
    display_name: str | None = None
    about: str | None = None
    admin: bool = False
    created_ts: int = 0
    privacy: Privacy = Privacy()


class DeviceRow(Struct, frozen=True, kw_only=True):
    """`seen_ts`: the last login or renewal of tokens; None where only a secret was ever used."""

    device: str
    allow: list[str] = []
    has_secret: bool = False
    logged_in: bool = False
    current: bool = False
    created_ts: int = 0
    seen_ts: int | None = None


class SecurityEvent(Struct, frozen=True, kw_only=True):
    """`detail` depends on the event. `ts` is in milliseconds since 1970 UTC."""

    id: int = 0
    event: str
    device: str | None = None
    address: str | None = None
    ts: int = 0
    detail: dict[str, Any] = {}


class _Events(Struct, frozen=True, kw_only=True):
    events: list[SecurityEvent] = []
    more: bool = False


class _Devices(Struct, frozen=True, kw_only=True):
    devices: list[DeviceRow] = []


class Authorised:
    """A `Rest` whose credential is renewed where it was refused.

    Args:
        password: an access token or device secret, or what gives one.
    """

    def __init__(self, rest: Rest, password: str | PasswordSource) -> None:
        self._rest = rest
        self._password = password

    def close(self) -> None:
        self._rest.close()

    def do(self, ask: Callable[[Rest], T], *, password: bool = False) -> T:
        """What `ask` does with it, once more with another credential if the first one was refused. `password`: a
        password is asked for as well, so that a refusal may be of that one.

        Raises: what `ask` raises; Unauthorized.
        """
        if isinstance(self._password, str) or password:
            source = self._password
            self._rest.token = source if isinstance(source, str) else source(refused=False)
            return ask(self._rest)
        self._rest.token = self._password(refused=False)
        try:
            return ask(self._rest)
        except Unauthorized:
            self._rest.token = self._password(refused=True)
            return ask(self._rest)


class Me:
    """The account that the credential is of. Each call raises: PabalError if it is refused; Unreachable."""

    def __init__(self, http: Authorised) -> None:
        self._http = http

    def show(self) -> Profile:
        return self._http.do(lambda rest: rest.call(Profile, "GET", "me"))

    def update(
        self,
        *,
        display_name: str | UnsetType | None = UNSET,
        about: str | UnsetType | None = UNSET,
        privacy: Mapping[str, str | bool] | None = None,
    ) -> Profile:
        """Change what is given; None removes a name or an `about`. Of `privacy` too, what is left out stays."""
        given: dict[str, Any] = {"display_name": display_name, "about": about, "privacy": privacy or UNSET}
        body = {name: value for name, value in given.items() if value is not UNSET}
        return self._http.do(lambda rest: rest.call(Profile, "PATCH", "me", body=body))

    def set_password(self, old: str, new: str) -> None:
        """All other sessions of the account end. Raises: Unauthorized if the old one is wrong."""
        body = {"old": old, "new": new}
        self._http.do(lambda rest: rest.call(None, "PUT", "me/password", body=body), password=True)

    def devices(self) -> Sequence[DeviceRow]:
        return self._http.do(lambda rest: rest.call(_Devices, "GET", "devices")).devices

    def remove_device(self, device: str) -> None:
        """It is logged out, its secret is good no more, and its connections end."""
        self._http.do(lambda rest: rest.call(None, "DELETE", f"devices/{segment(device)}"))

    def security(self, *, limit: int = 50, before: int | None = None) -> Sequence[SecurityEvent]:
        """What happened to the account, newest first, below the event `before`: logins, devices, passwords."""
        query = {"limit": limit, "before": before}
        return self._http.do(lambda rest: rest.call(_Events, "GET", "me/security", query=query)).events

    def export(self) -> bytes:
        """Everything that the server has of this user: a zip of JSON files."""
        return self._http.do(lambda rest: rest.content("me/export"))

    def delete(self, password: str) -> None:
        """The account is gone for good, and its name is never given again."""
        body = {"password": password}
        self._http.do(lambda rest: rest.call(None, "DELETE", "me", body=body), password=True)
