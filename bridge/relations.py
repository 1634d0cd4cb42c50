"""Who sees what of whom: contacts, blocks, small groups that two share, and what each has chosen.

Asked when somebody subscribes or asks, and again when any of it changes; never for a message.
"""

from collections.abc import Collection
from typing import NamedTuple

from bridge.store.read_store import Snapshot
from pabal.ids import UserId


class Shown(NamedTuple):
    """Users who show one viewer their state, and those who show when they were here last."""

    state: set[UserId]
    last_seen: set[UserId]


def who_sees(snapshot: Snapshot, of: UserId, viewers: Collection[UserId]) -> set[UserId]:
    """Which of them may follow this user's presence; everybody sees themselves."""
    asked = set(viewers)
    return (asked & {of}) | snapshot.sharing(of, asked - {of})


def shown_to(snapshot: Snapshot, viewer: UserId, users: Collection[UserId]) -> Shown:
    asked = set(users)
    own = asked & {viewer}
    return Shown(own | snapshot.sharing(viewer, asked - own), own)
