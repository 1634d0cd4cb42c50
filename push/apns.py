"""APNs: Apple's devices, over HTTP/2.

What the app must do for itself: what has no text (a clear, a wake, or a message that may show nothing) is a
background push, and Apple allows nothing in one but the reason to wake. The badge is then in `pabal.badge`.
"""

import re
import uuid
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec

from bridge.push.ports import Gone, Notification, Outcome, Refused, Sent, Subscription
from push import answers, fields, payload
from push.apns_token import ApnsToken
from push.posting import PostFailed, Posts, Reply

URL: Final = "https://api.push.apple.com"
LIMIT: Final = 4096
_TOKEN: Final = re.compile(r"(?:[0-9a-fA-F]{2}){16,100}")
_COLLAPSE_BYTES: Final = 64
_IDS: Final = uuid.UUID("6d7a1d0c-5a0e-4d0a-9a53-9d3f6f3c7f10")
# Whatever is 410 is gone too (Unregistered, ExpiredToken).
_GONE: Final = frozenset({"BadDeviceToken", "DeviceTokenNotForTopic", "Unregistered", "ExpiredToken"})
_CREDENTIAL: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


class Apns:
    """A `PushService`. Its subscriptions have a `token`."""

    name = "apns"

    def __init__(
        self, posts: Posts, token: ApnsToken, topic: str, clock: answers.Clock, url: str = URL
    ) -> None:
        """`topic` is the app's bundle id; `clock` tells seconds since 1970."""
        self._posts = posts
        self._token = token
        self._topic = topic
        self._clock = clock
        self._url = f"{url.rstrip('/')}/3/device/"

    def check(self, target: Mapping[str, Any]) -> dict[str, Any]:
        """Raises: BadRequest."""
        token = fields.text(target, "token", _TOKEN, "a device token, 32 to 200 hexadecimal digits")
        return {"token": token.lower()}

    async def send(self, subscription: Subscription, notification: Notification) -> Outcome:
        body = payload.fitted(notification, LIMIT, _payload)
        if body is None:
            return Refused("larger than APNs takes, and no text to shorten")
        url = f"{self._url}{subscription.target.get('token', '')}"
        headers = self._headers(notification)
        try:
            token = self._token.get()
            reply = await self._post(url, headers, body, token)
            if _reason(reply) == "ExpiredProviderToken":
                reply = await self._post(url, headers, body, self._token.renewed(token))
        except PostFailed as failure:
            return answers.unanswered(failure)
        return self._outcome(reply)

    async def close(self) -> None:
        await self._posts.close()

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes, token: str) -> Reply:
        """Raises: PostFailed."""
        return await self._posts.post(url, {**headers, "authorization": f"bearer {token}"}, body)

    def _headers(self, notification: Notification) -> dict[str, str]:
        is_alert = _is_alert(notification)
        expires = int(self._clock()) + notification.ttl_s if notification.ttl_s > 0 else 0
        return {
            "apns-id": str(uuid.uuid5(_IDS, notification.push_id)),
            "apns-topic": self._topic,
            "apns-push-type": "alert" if is_alert else "background",
            "apns-priority": "10" if is_alert and notification.urgent else "5",
            "apns-expiration": str(expires),
            "apns-collapse-id": notification.collapse[:_COLLAPSE_BYTES],
            "content-type": "application/json",
        }

    def _outcome(self, reply: Reply) -> Outcome:
        if reply.status == HTTPStatus.OK:
            return Sent(f"{reply.status} {reply.headers.get('apns-id', '')[:64]}".rstrip())
        reason = _reason(reply)
        if reason in _GONE or reply.status == HTTPStatus.GONE:
            return Gone(reply.told(reason))
        if reply.status in _CREDENTIAL or answers.is_passing(reply):
            # What is wrong with our own credential may be mended while the pushes wait.
            return answers.later(reply, self._clock, reason)
        return Refused(reply.told(reason))


def _is_alert(notification: Notification) -> bool:
    return notification.kind in {"message", "contact"} and bool(notification.title or notification.body)


def _payload(notification: Notification) -> bytes:
    aps: dict[str, Any] = {"content-available": 1}
    if _is_alert(notification):
        shown = {"title": notification.title, "body": notification.body}
        aps = {
            "alert": {name: text for name, text in shown.items() if text is not None},
            "badge": notification.badge,
            "thread-id": notification.collapse,
            "sound": "default",
            "mutable-content": 1,
        }
    return msgspec.json.encode({"aps": aps, "pabal": payload.fields(notification)})


def _reason(reply: Reply) -> str:
    said = None if reply.status == HTTPStatus.OK else reply.json()
    reason = said.get("reason") if isinstance(said, dict) else None
    return reason if isinstance(reason, str) else ""
