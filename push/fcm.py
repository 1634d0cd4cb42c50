"""FCM HTTP v1: Android with Google, and whatever else an app has registered there.

What its errors mean for us: only UNREGISTERED, and FCM's own "not found", end a subscription. INVALID_ARGUMENT does
not, since a fault of ours looks the same. A sender that does not match is a token of another project: the app must
get a new one. What is wrong with our own credential may be mended while the pushes wait.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import msgspec

from bridge.push.ports import (
    Gone,
    Notification,
    Outcome,
    Refused,
    Sent,
    SubscribeAgain,
    Subscription,
    TryLater,
)
from push import answers, fields, payload
from push.google_token import GoogleToken, TokenUnavailable
from push.posting import PostFailed, Posts, Reply

URL: Final = "https://fcm.googleapis.com"
LIMIT: Final = 4096
_TOKEN: Final = re.compile(r"[!-~]{1,4096}")
_LONGEST_TTL_S: Final = 28 * 24 * 3600
# What Google asks for where it says nothing (its guide to 429).
_QUOTA_PAUSE_S: Final = 60.0
_CREDENTIAL: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


@dataclass(frozen=True, slots=True)
class _Error:
    """`code` is FCM's own where there is one, or else the status by its name in Google's APIs; empty: neither."""

    code: str
    message: str


class Fcm:
    """A `PushService`. Its subscriptions have a `token`."""

    name = "fcm"

    def __init__(
        self, posts: Posts, token: GoogleToken, project: str, clock: answers.Clock, url: str = URL
    ) -> None:
        """`project` is Google's id of it; `clock` tells seconds since 1970."""
        self._posts = posts
        self._token = token
        self._clock = clock
        self._url = f"{url.rstrip('/')}/v1/projects/{project}/messages:send"

    def check(self, target: Mapping[str, Any]) -> dict[str, Any]:
        """Raises: BadRequest."""
        return {"token": fields.text(target, "token", _TOKEN, "a registration token, up to 4096 characters")}

    async def send(self, subscription: Subscription, notification: Notification) -> Outcome:
        fitted = payload.fitted(notification, LIMIT, message)
        if fitted is None:
            return Refused("larger than FCM takes, and no text to shorten")
        to = msgspec.json.encode(str(subscription.target.get("token", "")))
        body = b'{"message":{"token":' + to + b"," + fitted[1:] + b"}"
        try:
            token = await self._token.get()
            headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
            reply = await self._posts.post(self._url, headers, body)
        except TokenUnavailable as error:
            return TryLater(str(error))
        except PostFailed as failure:
            return answers.unanswered(failure)
        if reply.status in _CREDENTIAL:
            self._token.forget(token)
        return self._outcome(reply)

    async def close(self) -> None:
        await self._posts.close()

    def _outcome(self, reply: Reply) -> Outcome:
        if answers.is_good(reply):
            return _taken(reply)
        error = _error(reply)
        told = f"{error.code} {error.message}".strip()
        if error.code in {"UNREGISTERED", "NOT_FOUND"}:
            return Gone(reply.told(told))
        if error.code == "SENDER_ID_MISMATCH":
            return SubscribeAgain(reply.told(told))
        if answers.is_passing(reply) or reply.status in _CREDENTIAL:
            return self._later(reply, told)
        return Refused(reply.told(told))

    def _later(self, reply: Reply, told: str) -> TryLater:
        later = answers.later(reply, self._clock, told)
        if later.after_s is None and reply.status == HTTPStatus.TOO_MANY_REQUESTS:
            return TryLater(later.reason, _QUOTA_PAUSE_S)
        return later


def message(notification: Notification) -> bytes:
    """All of FCM's `message` but the token."""
    shown = {"title": notification.title, "body": notification.body}
    texts = {name: text for name, text in shown.items() if text is not None}
    ttl = min(max(notification.ttl_s, 0), _LONGEST_TTL_S)
    android: dict[str, Any] = {
        "collapse_key": notification.collapse,
        "priority": "HIGH" if notification.urgent else "NORMAL",
        "ttl": f"{ttl}s",
    }
    made: dict[str, Any] = {
        "data": {name: str(value) for name, value in payload.fields(notification).items()}
        | {"collapse": notification.collapse},
        "android": android,
    }
    if texts:
        made["notification"] = texts
        # The newest of a conversation takes the place of what is shown of it.
        android["notification"] = {"tag": notification.collapse, "notification_count": notification.badge}
    return msgspec.json.encode(made)


def _taken(reply: Reply) -> Outcome:
    said = reply.json()
    name = said.get("name") if isinstance(said, dict) else None
    if isinstance(name, str):
        return Sent(f"{reply.status} {name[:200]}")
    # It may have been taken, so that it is not sent a second time.
    return Refused(f"not an answer of FCM: {reply.told()}")


def _error(reply: Reply) -> _Error:
    said = reply.json()
    error = said.get("error") if isinstance(said, dict) else None
    if not isinstance(error, dict):
        return _Error("", "")
    details = error.get("details")
    codes = [
        detail["errorCode"]
        for detail in (details if isinstance(details, list) else [])
        if isinstance(detail, dict) and isinstance(detail.get("errorCode"), str)
    ]
    code = codes[0] if codes else error.get("status")
    words = error.get("message")
    return _Error(code if isinstance(code, str) else "", words if isinstance(words, str) else "")
