"""What Google checks: the assertion of a service account at the token endpoint, and the token of each push."""

import functools
import json
import time
import urllib.parse
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from push_stand_in import Answer, Received, StandIn

AUDIENCE = "https://oauth2.googleapis.com/token"  # whatever the endpoint
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"


@functools.cache
def _key() -> rsa.RSAPrivateKey:
    """One for all tests: it takes long to make."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Google:
    """Plays the token endpoint (`/token`) and FCM of the project `chat` on a stand-in. Tokens are `token-1` and so on."""

    def __init__(self, service: StandIn) -> None:
        self._service = service
        self._key = _key()
        self.given: list[str] = []
        self.lifetime_s = 3600
        service.rule = self.answer

    @property
    def token_url(self) -> str:
        return f"{self._service.url}/token"

    @property
    def account(self) -> dict[str, Any]:
        """What is in the service account's file."""
        pem = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return {
            "type": "service_account",
            "project_id": "chat",
            "private_key_id": "k1",
            "private_key": pem,
            "client_email": "push@chat.iam.gserviceaccount.com",
            "token_uri": self.token_url,
        }

    def answer(self, received: Received) -> Answer:
        if received.path == "/token":
            return self._token(received)
        if received.path != "/v1/projects/chat/messages:send":
            return _error(404, "NOT_FOUND", None)
        if received.headers.get("authorization") != f"Bearer {self.given[-1] if self.given else None}":
            return _error(401, "UNAUTHENTICATED", None)
        return _json(200, {"name": f"projects/chat/messages/{len(self._service.requests)}"})

    def _token(self, received: Received) -> Answer:
        form = dict(urllib.parse.parse_qsl(received.body.decode()))
        claims = jwt.decode(
            form["assertion"], self._key.public_key(), algorithms=["RS256"], audience=AUDIENCE
        )
        if claims["scope"] != SCOPE or not time.time() - 60 <= claims["iat"] <= time.time() + 60:
            return _json(400, {"error": "invalid_grant"})
        self.given.append(f"token-{len(self.given) + 1}")
        return _json(
            200, {"access_token": self.given[-1], "expires_in": self.lifetime_s, "token_type": "Bearer"}
        )


def refusal(status: int, name: str, code: str | None = None, headers: dict[str, str] | None = None) -> Answer:
    """An error as FCM tells it; `code` is its own."""
    return _error(status, name, code, headers)


def _error(status: int, name: str, code: str | None, headers: dict[str, str] | None = None) -> Answer:
    kind = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
    details = [] if code is None else [{"@type": "type.googleapis.com/x"}, {"@type": kind, "errorCode": code}]
    told = {"error": {"code": status, "message": "as it is.", "status": name, "details": details}}
    return Answer(status, json.dumps(told).encode(), {"content-type": "application/json", **(headers or {})})


def _json(status: int, body: dict[str, Any]) -> Answer:
    return Answer(status, json.dumps(body).encode(), {"content-type": "application/json"})
