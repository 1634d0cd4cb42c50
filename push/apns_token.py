"""The token by which Apple knows us: a JWT under ES256, renewed between 20 and 60 minutes, as Apple asks for."""

from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

RENEWED_AFTER_S: Final = 40 * 60
# Apple answers TooManyProviderTokenUpdates to those who make them faster.
_SOONEST_S: Final = 20 * 60


def read_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """Of a .p8 file.

    Raises: ValueError if this is none.
    """
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError):
        raise ValueError("not a private key in PEM") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("not a key of the curve P-256")  # noqa: TRY004 -- a file has the wrong content, not a wrong type
    return key


class ApnsToken:
    """One token for all pushes, while it is good. `clock` tells seconds since 1970."""

    def __init__(
        self, key: ec.EllipticCurvePrivateKey, key_id: str, team_id: str, clock: Callable[[], float]
    ) -> None:
        self._key = key
        self._key_id = key_id
        self._team_id = team_id
        self._clock = clock
        self._token = ""
        self._made = 0.0
        self._renewed = 0.0

    def get(self) -> str:
        # A clock that was put back makes a new one too.
        if not self._token or not 0 <= self._clock() - self._made < RENEWED_AFTER_S:
            self._make()
        return self._token

    def renewed(self, expired: str) -> str:
        """Another than this, which Apple calls expired; the same again where that was so only just now."""
        if expired == self._token and not 0 <= self._clock() - self._renewed < _SOONEST_S:
            self._renewed = self._clock()
            self._make()
        return self._token

    def _make(self) -> None:
        import jwt  # noqa: PLC0415 -- not before it is needed

        self._made = self._clock()
        claims = {"iss": self._team_id, "iat": int(self._made)}
        self._token = jwt.encode(claims, self._key, algorithm="ES256", headers={"kid": self._key_id})
