"""How the secrets that a bearer shows look, and what is stored of them: never more than a hash."""

import hashlib
import re
import secrets

from pabal.errors import Unauthorized

SECRET_PREFIX = "pds_"  # noqa: S105 -- how a device secret begins, not one
REFRESH_PREFIX = "prt_"
# Names the logins by client certificate of a device among its others.
CERTIFICATE = "certificate"
_REFRESH = re.compile(REFRESH_PREFIX + r"([0-9a-f]{32})\.")


def hash_of(secret: str) -> bytes:
    """Enough for 256 random bits: nobody can try them all, however fast the hash is."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def new_secret() -> str:
    """Of a device."""
    return SECRET_PREFIX + secrets.token_urlsafe(32)


def new_refresh(session_id: str) -> str:
    return f"{REFRESH_PREFIX}{session_id}.{secrets.token_urlsafe(32)}"


def split_refresh(refresh_token: str) -> tuple[str, bytes]:
    """Session and hash. Raises: Unauthorized if it was never one of ours."""
    if (found := _REFRESH.match(refresh_token)) is None:
        raise bad_refresh()
    return found[1], hash_of(refresh_token)


def bad_refresh() -> Unauthorized:
    return Unauthorized("the refresh token is not good; log in again")


def credential_of(secret_hash: bytes) -> str:
    """A name for a device secret that tells nothing of it."""
    return hash_of(secret_hash.hex()).hex()[:32]
