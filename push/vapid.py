"""The key by which push services know this server (RFC 8292), and the tokens that it signs.

Subscriptions are made for one key: lose it, and every browser has to subscribe again. It is made at its first use,
in one file of the data folder that only its owner reads.
"""

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from bridge.accounts.key_errors import KeyFileError
from push.fields import encoded

FILE_NAME: Final = "vapid.pem"
# At most 24 hours by the RFC; clocks that differ have their share.
TOKEN_S: Final = 12 * 3600
# A token is not used for its last hour.
_SPARE_S: Final = 3600
_MOST_TOKENS: Final = 1024
_NOT_FOR_OTHERS: Final = 0o077


def open_key(folder: Path, file: Path | None = None) -> ec.EllipticCurvePrivateKey:
    """The key of this data folder, or the one in a file that was chosen instead; it is made if it is missing.

    Raises: KeyFileError if the file is no such key, readable by others, or cannot be read or made.
    """
    path = file or folder / FILE_NAME
    try:
        if not path.exists():
            _make(path)
        if path.stat().st_mode & _NOT_FOR_OTHERS:
            raise KeyFileError(f"{path} can be read by other users of this machine", f"chmod 600 {path}")
        key = load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise KeyFileError(
            f"{path} cannot be used: {error.strerror or error}",
            "give the data folder and this file to the user that runs pabal",
        ) from error
    except (ValueError, TypeError) as error:
        raise _malformed(path) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise _malformed(path)
    return key


def public_text(key: ec.EllipticCurvePrivateKey) -> str:
    """What browsers want as `applicationServerKey`."""
    return encoded(key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))


class Vapid:
    """Makes the Authorization header for an endpoint. A token is good for all endpoints of one origin, and is signed
    once in eleven hours.
    """

    def __init__(self, key: ec.EllipticCurvePrivateKey, subject: str, clock: Callable[[], float]) -> None:
        """`subject` is how the push service reaches who runs this server; `clock` tells seconds since 1970."""
        self._key = key
        self._subject = subject
        self._clock = clock
        self._public = public_text(key)
        self._headers: dict[str, tuple[float, str]] = {}

    def authorization(self, endpoint: str) -> str:
        parts = urlsplit(endpoint)
        audience = f"{parts.scheme}://{parts.netloc}"
        now = self._clock()
        until, header = self._headers.get(audience, (0.0, ""))
        if now < until - _SPARE_S and until - now <= TOKEN_S:
            return header
        return self._signed(audience, now)

    def _signed(self, audience: str, now: float) -> str:
        from py_vapid.jwt import sign  # noqa: PLC0415 -- not before it is needed: a server without pushes starts sooner

        until = int(now) + TOKEN_S
        # Fresh claims for each: nothing is shared that a library could write into.
        token = sign({"aud": audience, "exp": until, "sub": self._subject}, self._key)  # type: ignore[no-untyped-call]  # py-vapid has no types
        header = f"vapid t={token},k={self._public}"
        if len(self._headers) >= _MOST_TOKENS:
            self._headers.pop(next(iter(self._headers)))
        self._headers[audience] = (float(until), header)
        return header


def _make(path: Path) -> None:
    """Whoever comes second takes the key of who came first."""
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        # A link fails where a file is, unlike a rename.
        os.link(scratch, path)
    except FileExistsError:
        pass
    finally:
        scratch.unlink(missing_ok=True)


def _malformed(path: Path) -> KeyFileError:
    return KeyFileError(
        f"{path} is no P-256 private key in PEM",
        "restore it from a backup, or delete it: every browser then has to subscribe again",
    )
