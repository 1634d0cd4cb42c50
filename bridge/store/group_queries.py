"""Look-ups of groups, their members and links, by key range."""

from typing import Any

from sqlalchemy import Connection, text

_GROUP = text("SELECT name, mode, history, posting FROM conversation WHERE conv_id = :conv")
_ROLE = text("SELECT role FROM member WHERE conv_id = :conv AND user_id = :user AND to_id IS NULL")
_MEMBERS = text(
    "SELECT user_id, role, silenced_until FROM member"
    " WHERE conv_id = :conv AND user_id > :after AND to_id IS NULL ORDER BY user_id LIMIT :limit"
)
_INVITES = text(
    "SELECT code, created_by, created_ts, expires_ts, uses, used FROM invite"
    " WHERE conv_id = :conv AND ended_ts IS NULL ORDER BY code LIMIT 1000"
)


class GroupQueries:
    """Inside one snapshot."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def group(self, conv: str) -> tuple[str | None, Any, Any, Any] | None:
        """`(name, mode, history, posting)`; None if there is no such group."""
        found = self._connection.execute(_GROUP, {"conv": conv}).first()
        return None if found is None else (found[0], found[1], found[2], found[3])

    def role(self, conv: str, user: str) -> str | None:
        """None for who is no member."""
        found: str | None = self._connection.execute(_ROLE, {"conv": conv, "user": user}).scalar()
        return found

    def members(self, conv: str, after: str, limit: int) -> list[tuple[str, Any, int | None]]:
        """`(user, role, silenced until)` of those after this name."""
        found = self._connection.execute(_MEMBERS, {"conv": conv, "after": after, "limit": limit})
        return [tuple(row) for row in found]

    def invites(self, conv: str) -> list[tuple[str, str, int, int | None, int | None, int]]:
        """`(code, by, ts, expires, uses, used)` of those that nobody took back."""
        return [tuple(row) for row in self._connection.execute(_INVITES, {"conv": conv})]
