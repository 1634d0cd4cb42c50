"""What tests of the push services say, and to whom."""

import base64
import os
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bridge.push.ports import Notification, Subscription
from pabal.ids import ConvId, DeviceId, UserId

NOW = 1_795_694_400.0

HELLO = Notification(
    push_id="p1",
    kind="message",
    seq=17,
    conv=ConvId("alice~bob"),
    message_id=4,
    title="Alice",
    body="안녕, Bob",
    collapse="c0ffee",
    badge=3,
    ttl_s=3600,
    urgent=True,
    ts=1_795_694_399_000,
)
CLEAR = Notification(
    "p2", "clear", 18, ConvId("alice~bob"), None, None, None, "c0ffee", 0, 600, False, 1_795_694_399_500
)


def subscription(service: str, **target: Any) -> Subscription:
    return Subscription(UserId("bob"), DeviceId("phone"), service, target)


class Receiver:
    """A browser's keys, and the reading of what is encrypted for them."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.auth = os.urandom(16)

    @property
    def keys(self) -> dict[str, str]:
        point = self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return {"p256dh": base64url(point), "auth": base64url(self.auth)}

    def read(self, body: bytes) -> bytes:
        import http_ece  # noqa: PLC0415 -- it has no types, and few tests need it

        plain: bytes = http_ece.decrypt(
            body, private_key=self.key, auth_secret=self.auth, version="aes128gcm"
        )
        return plain

    def read_text(self, text: str) -> bytes:
        """Of what a service hands on as URL-safe base64."""
        return self.read(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
