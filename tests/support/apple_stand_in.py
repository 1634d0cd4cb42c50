"""What Apple checks: HTTP/2, the provider's token, and the headers that belong to each other."""

import json
import re
import time

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from push_stand_in import Answer, Received, StandIn

KEY_ID, TEAM_ID, TOPIC = "ABC123DEFG", "DEF123GHIJ", "example.chat"
_DEVICE = re.compile(r"/3/device/[0-9a-f]{32,200}\Z")


class Apple:
    """Plays APNs on a stand-in. `tokens`: the providers' tokens that came, in their order, without repetition."""

    def __init__(self, service: StandIn, clock=time.time) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._clock = clock
        self.tokens: list[str] = []
        service.rule = self.answer

    @property
    def pem(self) -> bytes:
        """What is in the .p8 file."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def answer(self, received: Received) -> Answer:
        reason = self._fault(received)
        if reason is not None:
            return refusal(*reason)
        return Answer(200, headers={"apns-id": received.headers["apns-id"]})

    def _fault(self, received: Received) -> tuple[int, str] | None:
        headers, body = received.headers, json.loads(received.body)
        scheme, _, token = headers.get("authorization", "").partition(" ")
        is_background = headers["apns-push-type"] == "background"
        has_only_what_it_may = headers["apns-priority"] == "5" and body["aps"] == {"content-available": 1}
        faults = {
            (505, "BadProtocol"): received.http_version != "2",
            (403, "InvalidProviderToken"): scheme != "bearer" or not self._knows(token),
            (400, "BadDeviceToken"): not _DEVICE.match(received.path),
            (400, "BadTopic"): headers["apns-topic"] != TOPIC,
            (400, "BadCollapseId"): len(headers["apns-collapse-id"].encode()) > 64,
            (413, "PayloadTooLarge"): len(received.body) > 4096,
            (400, "BadPriority"): is_background and not has_only_what_it_may,
        }
        return next((fault for fault, is_so in faults.items() if is_so), None)

    def _knows(self, token: str) -> bool:
        try:
            if jwt.get_unverified_header(token) != {"alg": "ES256", "kid": KEY_ID, "typ": "JWT"}:
                return False
            claims = jwt.decode(
                token, self._key.public_key(), algorithms=["ES256"], options={"verify_iat": False}
            )
        except jwt.PyJWTError:
            return False
        if token not in self.tokens:
            self.tokens.append(token)
        return claims["iss"] == TEAM_ID and -60 <= self._clock() - claims["iat"] <= 3600


def refusal(status: int, reason: str, headers: dict[str, str] | None = None) -> Answer:
    return Answer(status, json.dumps({"reason": reason}).encode(), headers or {})
