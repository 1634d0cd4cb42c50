"""Unread messages and mentions counted one by one from the log, to compare with what the list of conversations says."""

import msgspec
from sqlalchemy import Engine, text

from bridge.build import Bridge
from pabal.ids import UserId, is_direct


def recounted(engine: Engine, user: str) -> dict[str, tuple[int, int]]:
    """`conv -> (unread, mentions)` of every conversation that this user is in, from the rows themselves."""
    found = {}
    with engine.begin() as connection:
        mine = connection.execute(
            text("SELECT conv_id, read_upto FROM member WHERE user_id = :user AND to_id IS NULL"),
            {"user": user},
        ).all()
        for conv, read in mine:
            table = "direct_message" if is_direct(conv) else "group_message"
            log = connection.execute(
                text(
                    f"SELECT sender, extra FROM {table}"
                    " WHERE conv_id = :conv AND message_id > :read AND type = 'message'"
                ),
                {"conv": conv, "read": read},
            ).all()
            named = [
                extra
                for sender, extra in log
                if not is_direct(conv)
                and sender != user
                and {user, "@all"} & set(msgspec.json.decode(extra or "{}").get("mentions", ()))
            ]
            found[conv] = len(log), len(named)
    return found


def listed(bridge: Bridge, user: str) -> dict[str, tuple[int, int]]:
    """The same as the list of conversations says it, page by page."""
    found: dict[str, tuple[int, int]] = {}
    after = None
    while True:
        page = msgspec.json.decode(bridge.reads.conversations(UserId(user), after, 200))
        found |= {row["conv"]: (row["unread"], row["mentions"]) for row in page["conversations"]}
        if not page["more"]:
            return found
        after = page["conversations"][-1]["conv"]


def check_counts(bridge: Bridge, engine: Engine, users: tuple[str, ...]) -> None:
    """Whatever happened before, both say the same for each of these users."""
    for user in users:
        assert listed(bridge, user) == recounted(engine, user), user
