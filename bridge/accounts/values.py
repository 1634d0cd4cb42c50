"""What the account service answers with. Times are milliseconds since 1970 UTC, durations seconds."""

from dataclasses import dataclass, field

from bridge.store.accounts import AccountState
from pabal.ids import DeviceId, UserId
from pabal.privacy import DEFAULT, Privacy


@dataclass(frozen=True, slots=True)
class Profile:
    """An account, without anything secret."""

    user: UserId
    display_name: str | None
    about: str | None
    state: AccountState
    admin: bool
    created_ts: int
    privacy: Privacy = DEFAULT


@dataclass(frozen=True, slots=True)
class Session:
    """A login. Both tokens are secrets, so they are left out of `repr`."""

    user: UserId
    device: DeviceId
    session_id: str
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int
    """Seconds until the access token has to be refreshed."""


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """A device as its owner sees it."""

    device: DeviceId
    allow: frozenset[str]
    has_secret: bool
    logged_in: bool
    created_ts: int
    seen_ts: int | None


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """A login as its owner sees it."""

    device: DeviceId
    created_ts: int
    expires_ts: int


@dataclass(frozen=True, slots=True)
class NewDevice:
    """A device with its secret, which is shown this once."""

    device: DeviceId
    allow: frozenset[str]
    secret: str = field(repr=False)
