"""Webhooks: a signed POST to a server of somebody's own, for services that have no adapter here.

Signed as in Standard Webhooks: the base64 of HMAC-SHA256 over `id.timestamp.body`, under the subscription's own
secret or the server's. Whoever receives it compares the signature, refuses old timestamps, and takes an id once.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from bridge.push.ports import Gone, Notification, Outcome, Refused, Sent, Subscription
from pabal.errors import BadRequest
from push import answers, payload
from push.endpoints import EndpointRules
from push.posting import PostFailed, Posts, Reply

PREFIX: Final = "whsec_"
SHORTEST_SECRET: Final = 24
LONGEST_SECRET: Final = 64
LIMIT: Final = 16 * 1024
SECRET: Final = f"{PREFIX} and the base64 of {SHORTEST_SECRET} to {LONGEST_SECRET} bytes"
_GONE: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})


class Webhook:
    """A `PushService`."""

    name = "webhook"

    def __init__(
        self, posts: Posts, rules: EndpointRules, clock: answers.Clock, secret: str | None = None
    ) -> None:
        """`secret` is for subscriptions without one of their own."""
        self._posts = posts
        self._rules = rules
        self._clock = clock
        self._secret = secret

    def check(self, target: Mapping[str, Any]) -> dict[str, Any]:
        """Raises: BadRequest."""
        kept = {"url": self._rules.checked(target.get("url"), "url")}
        secret = target.get("secret")
        if secret is None:
            if self._secret is None:
                raise BadRequest(f"is missing; expected {SECRET}", field="secret")
            return kept
        try:
            secret_bytes(secret)
        except ValueError:
            raise BadRequest(f"expected {SECRET}", field="secret") from None
        return kept | {"secret": secret}

    async def send(self, subscription: Subscription, notification: Notification) -> Outcome:
        body = payload.fitted(notification, LIMIT, payload.as_json)
        if body is None:
            return Refused("larger than a webhook takes, and no text to shorten")
        moment = int(self._clock())
        try:
            url = str(subscription.target["url"])
            secret = secret_bytes(subscription.target.get("secret", self._secret))
        except (KeyError, ValueError) as error:
            return Refused(f"the subscription cannot be used: {error!r}")
        headers = {
            "content-type": "application/json",
            "user-agent": "pabal",
            "webhook-id": notification.push_id,
            "webhook-timestamp": str(moment),
            "webhook-signature": signature(secret, notification.push_id, moment, body),
        }
        try:
            reply = await self._posts.post(url, headers, body)
        except PostFailed as failure:
            return answers.unanswered(failure)
        return self._outcome(reply)

    def _outcome(self, reply: Reply) -> Outcome:
        if answers.is_good(reply):
            return Sent(str(reply.status))
        if reply.status in _GONE:
            return Gone(reply.told())
        if answers.is_passing(reply):
            return answers.later(reply, self._clock)
        return Refused(reply.told())

    async def close(self) -> None:
        await self._posts.close()


def signature(secret: bytes, push_id: str, moment: int, body: bytes) -> str:
    """`moment` is in whole seconds since 1970."""
    signed = hmac.new(secret, f"{push_id}.{moment}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"


def secret_bytes(text: object) -> bytes:
    """Raises: ValueError if this is no secret of the right size."""
    if not isinstance(text, str) or not text.startswith(PREFIX):
        raise ValueError("no secret")
    try:
        secret = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
    if not SHORTEST_SECRET <= len(secret) <= LONGEST_SECRET:
        raise ValueError("no secret of the right size")
    return secret
