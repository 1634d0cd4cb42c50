"""The keys that sign access tokens: Ed25519, each under a `kid`, in one file that only its owner reads.

The newest key signs. One that was replaced verifies until the tokens that it signed are gone, and is then
dropped. Several processes hold a `Keyring` of the same file; each sees a rotation with its next token.
"""

import base64
import errno
import fcntl
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from bridge.accounts.exposure import OTHERS_AND_GROUP, is_exposed
from bridge.accounts.key_errors import KeyFileError

FILE_NAME = "keys.json"
ACCESS_TTL_S = 900
_SEED_BYTES = 32
_READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


class _StoredKey(msgspec.Struct, frozen=True, omit_defaults=True):
    kid: str
    seed: str
    created: int
    retired: int | None = None


class _StoredKeys(msgspec.Struct, frozen=True):
    keys: list[_StoredKey]


@dataclass(frozen=True, slots=True)
class SigningKey:
    kid: str
    private: Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class _Key:
    stored: _StoredKey
    private: Ed25519PrivateKey
    public: Ed25519PublicKey


class Keyring:
    """The keys of one file. Safe to use from several threads and processes at once."""

    def __init__(self, path: Path, token_ttl_s: int = ACCESS_TTL_S) -> None:
        """Use `Keyring.open`, which makes the file if there is none."""
        self._path = path
        self._token_ttl_s = token_ttl_s
        self._guard = threading.Lock()
        self._stamp: tuple[int, int, int] | None = None
        self._keys: list[_Key] = []

    @classmethod
    def open(cls, path: Path, *, now: float, token_ttl_s: int = ACCESS_TTL_S) -> Self:
        """The keyring of this file; folder (mode 700) and first key are made if they are missing. Where the file is
        there and its folder cannot be written, it is used as it is.

        `now` is in seconds since 1970; `token_ttl_s` is how long a token that was signed stays good.

        Raises: KeyFileError if the file is malformed, readable by others, or cannot be read or made.
        """
        ring = cls(path, token_ttl_s)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with ring._writing():
                if not path.exists():
                    ring._write([_new_key(now)])
                ring._prune(now)
        except OSError as error:
            if error.errno not in _READ_ONLY or not path.exists():
                raise ring._unusable(error) from error
            return cls.existing(path, token_ttl_s)
        return ring

    @classmethod
    def existing(cls, path: Path, token_ttl_s: int = ACCESS_TTL_S) -> Self:
        """The keyring of a file that somebody else makes and keeps: nothing is written.

        Raises: KeyFileError if it is not there, or as `open`.
        """
        if not path.exists():
            raise KeyFileError(
                f"the key file {path} is not there",
                "name the broker's with keys_file: it is made when the broker starts for the first time",
            )
        ring = cls(path, token_ttl_s)
        ring.signing()
        return ring

    def signing(self) -> SigningKey:
        """The newest key.

        Raises: KeyFileError if the file changed and cannot be used any more.
        """
        newest = self._current()[-1]
        return SigningKey(newest.stored.kid, newest.private)

    def verifying(self, kid: str, now: float) -> Ed25519PublicKey | None:
        """The public half of a key. Returns None if it is not known, or its tokens are all gone by now.

        Raises: KeyFileError if the file changed and cannot be used any more.
        """
        for key in self._current():
            if key.stored.kid == kid and self._is_live(key.stored, now):
                return key.public
        return None

    def rotate(self, now: float) -> str:
        """A new key signs from now on. Returns its `kid`.

        Raises: KeyFileError if the file cannot be used or written.
        """
        try:
            with self._writing():
                kept = [key.stored for key in self._load() if self._is_live(key.stored, now)]
                retired = [
                    key if key.retired is not None else msgspec.structs.replace(key, retired=int(now))
                    for key in kept
                ]
                fresh = _new_key(now)
                self._write([*retired, fresh])
        except OSError as error:
            raise self._unusable(error) from error
        return fresh.kid

    def _is_live(self, key: _StoredKey, now: float) -> bool:
        # A second more, because the time of retiring is kept in whole seconds.
        return key.retired is None or now <= key.retired + self._token_ttl_s + 1

    def _prune(self, now: float) -> None:
        stored = [key.stored for key in self._load()]
        kept = [key for key in stored if self._is_live(key, now)]
        if len(kept) < len(stored):
            self._write(kept)

    def _current(self) -> list[_Key]:
        """The keys, read again when the file is another one than last time."""
        try:
            found = self._path.stat()
            stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
            with self._guard:
                if stamp != self._stamp:
                    self._keys = self._load()
                    self._stamp = stamp
                return self._keys
        except OSError as error:
            raise self._unusable(error) from error

    def _load(self) -> list[_Key]:
        if is_exposed(self._path, OTHERS_AND_GROUP):
            raise KeyFileError(
                f"{self._path} can be read by other users of this machine",
                f"chmod 600 {self._path}, and then 'pabal keys rotate' if somebody may have read it",
            )
        try:
            stored = msgspec.json.decode(self._path.read_bytes(), type=_StoredKeys).keys
            keys = [_opened(key) for key in stored]
        except (msgspec.DecodeError, ValueError) as error:
            raise self._malformed(str(error)) from error
        if not keys or keys[-1].stored.retired is not None:
            raise self._malformed("no key in it signs")
        return keys

    def _write(self, keys: list[_StoredKey]) -> None:
        """Replace the file in one step, so that no reader sees half of it, and a power cut loses neither."""
        scratch = self._path.with_name(f".{self._path.name}.{secrets.token_hex(8)}")
        handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(_StoredKeys(keys)), indent=1))
                file.flush()
                os.fsync(file.fileno())
            scratch.replace(self._path)
        except OSError:
            scratch.unlink(missing_ok=True)
            raise

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One process at a time makes or rotates keys; readers are not held up."""
        handle = os.open(self._path.with_name(f".{self._path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _malformed(self, why: str) -> KeyFileError:
        return KeyFileError(
            f"{self._path} is no key file: {why}",
            "restore it from a backup, or delete it: everybody then has to log in again",
        )

    def _unusable(self, error: OSError) -> KeyFileError:
        return KeyFileError(
            f"{self._path} cannot be used: {error.strerror or error}",
            "give the data folder and this file to the user that runs pabal",
        )


def _new_key(now: float) -> _StoredKey:
    seed = base64.urlsafe_b64encode(secrets.token_bytes(_SEED_BYTES)).decode()
    return _StoredKey(kid=secrets.token_hex(8), seed=seed, created=int(now))


def _opened(stored: _StoredKey) -> _Key:
    """Raises: ValueError if the seed is none."""
    seed = base64.b64decode(stored.seed, altchars=b"-_", validate=True)
    private = Ed25519PrivateKey.from_private_bytes(seed)
    return _Key(stored, private, private.public_key())
