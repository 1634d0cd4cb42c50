"""The profile file: which server, who, and the tokens of this terminal's session."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from pabal_client.tokens import Tokens
from pabal_terminal.errors import TerminalError

_LOG_IN = "run `pabal login` first"


class Profile(msgspec.Struct, kw_only=True, frozen=True):
    """What a login leaves behind. `expires_at` is seconds since 1970 UTC, `mqtt` the broker's address."""

    server: str
    user: str
    device: str
    access_token: str
    refresh_token: str
    expires_at: float
    mqtt: str


def default_path() -> Path:
    """$PABAL_PROFILE, or `pabal/profile.json` in the user's configuration folder."""
    if given := os.environ.get("PABAL_PROFILE"):
        return Path(given)
    config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(config) / "pabal" / "profile.json"


class ProfileFile:
    """The file, readable by its owner alone and replaced in one step. Serves as the store of fresh tokens."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path if path is not None else default_path()

    def read(self) -> Profile:
        """Raises: TerminalError if there is none, or if it cannot be read."""
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=Profile)
        except FileNotFoundError:
            raise TerminalError(f"not logged in: there is no {self.path}", hint=_LOG_IN) from None
        except OSError as error:
            raise TerminalError(f"cannot read {self.path}: {error.strerror}") from error
        except msgspec.DecodeError as error:
            raise TerminalError(f"{self.path} is no profile: {error}", hint=_LOG_IN) from error

    def write(self, profile: Profile) -> None:
        """On disk, whole, when this returns; to be called while it is locked. Raises: TerminalError if it cannot be written."""
        try:
            beside = self.path.with_name(f".{self.path.name}.{os.getpid()}")
            with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123 -- a mode from the first byte on
                file.write(msgspec.json.format(msgspec.json.encode(profile), indent=2) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self.path)
        except OSError as error:
            raise TerminalError(f"cannot write {self.path}: {error.strerror}") from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other commands of this profile from refreshing meanwhile."""
        lock = self.path.with_name(f".{self.path.name}.lock")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise TerminalError(f"cannot write {lock}: {error.strerror}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def load(self) -> Tokens:
        profile = self.read()
        return Tokens(
            access_token=profile.access_token,
            refresh_token=profile.refresh_token,
            expires_at=profile.expires_at,
        )

    def save(self, tokens: Tokens) -> None:
        self.write(msgspec.structs.replace(self.read(), **msgspec.structs.asdict(tokens)))

    def store(self, profile: Profile) -> Path:
        """Where the position of this device in its inbox is kept, beside the profile."""
        return self.path.with_name(f"{self.path.stem}-{profile.user}-{profile.device}.sqlite")
