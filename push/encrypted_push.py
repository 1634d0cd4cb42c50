"""The sending that Web Push and UnifiedPush share: RFC 8030, encrypted as in RFC 8291, with a VAPID token.

Only the device can read what is sent; the service in between sees its size, its urgency and its topic.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec

from bridge.push.ports import Gone, Notification, Outcome, Refused, Sent, SubscribeAgain, Subscription
from pabal.errors import BadRequest
from push import answers, fields, payload
from push.endpoints import EndpointRules
from push.posting import PostFailed, Posts, Reply
from push.vapid import Vapid

POINT_BYTES: Final = 65
AUTH_BYTES: Final = 16
# What every service must take (RFC 8030, section 7.2), and what of it is header, padding delimiter and tag.
BODY_BYTES: Final = 4096
_OVERHEAD: Final = 16 + 4 + 1 + POINT_BYTES + 1 + 16
PLAIN_BYTES: Final = BODY_BYTES - _OVERHEAD
_GONE: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_CREDENTIAL: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


class EncryptedPush:
    """Checks subscriptions with keys, and sends to them. `longest`: characters of an endpoint."""

    def __init__(
        self, posts: Posts, vapid: Vapid, rules: EndpointRules, clock: answers.Clock, longest: int
    ) -> None:
        self._posts = posts
        self._vapid = vapid
        self._rules = rules
        self._clock = clock
        self._longest = longest

    def check(self, target: Mapping[str, Any]) -> dict[str, Any]:
        """As a browser's `PushSubscription.toJSON()` gives it, with `keys` in it, or with the keys beside the endpoint.

        Raises: BadRequest.
        """
        keys = target.get("keys", target)
        if not isinstance(keys, Mapping):
            raise BadRequest("expected an object with p256dh and auth", field="keys")
        endpoint = self._rules.checked(target.get("endpoint"), "endpoint", self._longest)
        p256dh = fields.base64url(keys.get("p256dh"), "p256dh", POINT_BYTES)
        auth = fields.base64url(keys.get("auth"), "auth", AUTH_BYTES)
        try:
            ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), fields.decoded(p256dh))
        except ValueError:
            raise BadRequest("expected an uncompressed point of the curve P-256", field="p256dh") from None
        return {"endpoint": endpoint, "p256dh": p256dh, "auth": auth}

    async def send(
        self, subscription: Subscription, notification: Notification, headers: Mapping[str, str]
    ) -> Outcome:
        target = subscription.target
        plain = payload.fitted(notification, PLAIN_BYTES, payload.as_json)
        if plain is None:
            return Refused("larger than the service takes, and no text to shorten")
        try:
            endpoint = str(target["endpoint"])
            body = encrypted(target, plain)
            authorization = self._vapid.authorization(endpoint)
        except (KeyError, ValueError, TypeError) as error:
            return Refused(f"the subscription cannot be used: {error!r}")
        sent = {
            "authorization": authorization,
            "content-encoding": "aes128gcm",
            "content-type": "application/octet-stream",
            "ttl": str(max(notification.ttl_s, 0)),
            **headers,
        }
        try:
            reply = await self._posts.post(endpoint, sent, body)
        except PostFailed as failure:
            return answers.unanswered(failure)
        return self._outcome(reply)

    async def close(self) -> None:
        await self._posts.close()

    def _outcome(self, reply: Reply) -> Outcome:
        if answers.is_good(reply):
            return Sent(f"{reply.status} {reply.headers.get('location', '')[:200]}".rstrip())
        if reply.status in _GONE:
            return Gone(reply.told())
        if reply.status in _CREDENTIAL:
            return SubscribeAgain(reply.told())
        if answers.is_passing(reply):
            return answers.later(reply, self._clock)
        return Refused(reply.told())


def urgency(notification: Notification) -> str:
    """What a device that saves its battery still wants to be woken for."""
    if notification.urgent:
        return "high"
    return "low" if notification.kind == "clear" else "normal"


def encrypted(target: Mapping[str, Any], plain: bytes) -> bytes:
    """The body for the holder of these keys, with a fresh key and salt each time.

    Raises: KeyError, ValueError, TypeError if the keys are none.
    """
    from pywebpush import WebPusher, WebPushException  # noqa: PLC0415 -- it takes most of a second to load

    keys = {"p256dh": target["p256dh"], "auth": target["auth"]}
    try:
        body: bytes = WebPusher({"endpoint": target["endpoint"], "keys": keys}).encode(plain)["body"]
    except WebPushException as error:
        raise ValueError(error.message) from None
    return body
