"""All tables. Each is keyed so that it could be sharded by its first column.

The migrations in `migrations/` make the same schema; a test holds the two together.
"""

from bridge.store.tables.accounts import account, audit, change_log, device, login_session, spent_refresh
from bridge.store.tables.base import metadata
from bridge.store.tables.conversations import (
    conversation,
    direct_message,
    group_message,
    hidden_message,
    inbox,
    inbox_head,
    invite,
    member,
    mention,
    outbox,
    reaction,
)
from bridge.store.tables.database import meta
from bridge.store.tables.people import block, contact, report
from bridge.store.tables.push import (
    followed,
    push_asked,
    push_job,
    push_log,
    push_shown,
    push_subscription,
    quiet_hours,
)
from bridge.store.tables.sessions import mqtt_delivery, mqtt_incoming, mqtt_message, mqtt_session, retained

__all__ = [
    "account",
    "audit",
    "block",
    "change_log",
    "contact",
    "conversation",
    "device",
    "direct_message",
    "followed",
    "group_message",
    "hidden_message",
    "inbox",
    "inbox_head",
    "invite",
    "login_session",
    "member",
    "mention",
    "meta",
    "metadata",
    "mqtt_delivery",
    "mqtt_incoming",
    "mqtt_message",
    "mqtt_session",
    "outbox",
    "push_asked",
    "push_job",
    "push_log",
    "push_shown",
    "push_subscription",
    "quiet_hours",
    "reaction",
    "report",
    "retained",
    "spent_refresh",
]
