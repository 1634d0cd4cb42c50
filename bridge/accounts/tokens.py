"""Access tokens: short-lived, signed, checked by the broker and by webapi alike (JWT, EdDSA)."""

from dataclasses import dataclass

import jwt

from bridge.accounts.keys import ACCESS_TTL_S, Keyring
from pabal.errors import BadRequest, Unauthorized
from pabal.ids import DeviceId, UserId, parse_device, parse_user

ALGORITHM = "EdDSA"
ISSUER = "pabal"
# Ours are about 300 characters; whoever sends more does not send one of ours.
_MAX_CHARS = 2048


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What a token says. It says nothing about whether the session is still alive."""

    user: UserId
    device: DeviceId
    session_id: str
    expires_at: int


class TokenExpired(Unauthorized):
    """It was good once: no sign of an attack."""


class Tokens:
    """Makes and checks access tokens. Thread-safe."""

    def __init__(self, keyring: Keyring, *, issuer: str = ISSUER, ttl_s: int = ACCESS_TTL_S) -> None:
        self._keyring = keyring
        self._issuer = issuer
        self.ttl_s = ttl_s

    def issue(self, user: UserId, device: DeviceId, session_id: str, now: float) -> str:
        """A token that is good until `ttl_s` seconds after `now` (seconds since 1970).

        Raises: KeyFileError if the keys cannot be used any more.
        """
        key = self._keyring.signing()
        claims = {
            "sub": user,
            "dev": device,
            "sid": session_id,
            "iat": int(now),
            "exp": int(now) + self.ttl_s,
            "iss": self._issuer,
        }
        return jwt.encode(claims, key.private, algorithm=ALGORITHM, headers={"kid": key.kid})

    def verify(self, token: str, now: float) -> AccessToken:
        """What the token says, if it is ours, intact and not expired at `now`.

        Raises: Unauthorized otherwise; KeyFileError if the keys cannot be used any more.
        """
        claims = self._claims(token, now)
        try:
            expires_at = claims["exp"]
            if type(expires_at) is not int or not isinstance(claims["sid"], str):
                raise _not_good()
            read = AccessToken(
                parse_user(claims["sub"]), parse_device(claims["dev"]), claims["sid"], expires_at
            )
        except (KeyError, BadRequest) as error:
            raise _not_good() from error
        if now >= read.expires_at:
            raise TokenExpired("the access token has expired")
        return read

    def _claims(self, token: str, now: float) -> dict[str, object]:
        if len(token) > _MAX_CHARS:
            raise _not_good()
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            public = self._keyring.verifying(kid, now) if isinstance(kid, str) else None
            if public is None:
                raise _not_good()
            # The library would ask the machine's clock, so the times are checked by the caller.
            claims: dict[str, object] = jwt.decode(
                token,
                public,
                algorithms=[ALGORITHM],
                issuer=self._issuer,
                options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
            )
        except (jwt.InvalidTokenError, UnicodeError) as error:
            raise _not_good() from error
        return claims


def _not_good() -> Unauthorized:
    return Unauthorized("the access token is not good")
