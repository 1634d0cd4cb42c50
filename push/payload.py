"""What a notification is on its way to an app: its fields, and its texts cut to what a service takes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec

from bridge.push.ports import Notification
from pabal.shortening import json_bytes, shortened


def fields(notification: Notification) -> dict[str, Any]:
    """What the app gets beside what is shown. What is not there is left out; nothing of it depends on privacy, which
    was decided before.
    """
    found: dict[str, Any] = {
        "push_id": notification.push_id,
        "kind": notification.kind,
        "seq": notification.seq or None,
        "conv": notification.conv,
        "message_id": notification.message_id,
        "badge": notification.badge,
        "ts": notification.ts,
    }
    return {name: value for name, value in found.items() if value is not None}


def fitted(notification: Notification, limit: int, form: Callable[[Notification], bytes]) -> bytes | None:
    """The form of the notification in at most `limit` bytes, its body shortened if need be, and then its title.

    `form` writes JSON in UTF-8 with each text in it once. Returns None if nothing helps.
    """
    formed = form(notification)
    if notification.body and len(formed) > limit:
        notification = replace(notification, body=_less(notification.body, len(formed) - limit))
        formed = form(notification)
    if notification.title and len(formed) > limit:
        notification = replace(notification, title=_less(notification.title, len(formed) - limit))
        formed = form(notification)
    return formed if len(formed) <= limit else None


def as_json(notification: Notification) -> bytes:
    """The payload of Web Push, UnifiedPush and webhooks."""
    shown = {"title": notification.title, "body": notification.body, "collapse": notification.collapse}
    return msgspec.json.encode(
        fields(notification) | {name: text for name, text in shown.items() if text is not None}
    )


def _less(text: str, by: int) -> str:
    return shortened(text, json_bytes(text) - by)
