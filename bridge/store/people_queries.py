"""Look-ups about people, inside a snapshot."""

from typing import Any

from sqlalchemy import Connection, TextClause, text

from pabal.ids import UserId

# Behind everything that begins with what stands before it, in UTF-8 bytes as in code points.
_LAST = "\U0010ffff"
_FINDABLE = (
    "a.state = 'active' AND a.found_as IS NOT NULL AND a.user_id <> :viewer"
    " AND NOT EXISTS (SELECT 1 FROM block AS b WHERE b.user_id = a.user_id AND b.blocked_id = :viewer)"
    " AND NOT EXISTS (SELECT 1 FROM block AS b WHERE b.user_id = :viewer AND b.blocked_id = a.user_id)"
)
_CONTACTS = text(
    "SELECT c.other_id, c.state, c.ts, a.display_name, c.text FROM contact AS c"
    " JOIN account AS a ON a.user_id = c.other_id AND a.state = 'active'"
    " WHERE c.user_id = :user AND c.other_id > :after ORDER BY c.other_id LIMIT :limit"
)
_BLOCKS = text(
    "SELECT b.blocked_id, b.ts FROM block AS b"
    " JOIN account AS a ON a.user_id = b.blocked_id AND a.state IN ('active', 'disabled')"
    " WHERE b.user_id = :user AND b.blocked_id > :after ORDER BY b.blocked_id LIMIT :limit"
)
# Ranges instead of LIKE: they go by the index, and know no wildcards that somebody could type.
NAMED = text(
    "SELECT a.user_id, a.display_name FROM account AS a"
    f" WHERE a.user_id >= :low AND a.user_id < :high AND {_FINDABLE} ORDER BY a.user_id LIMIT :limit"
)
CALLED = text(
    "SELECT a.user_id, a.display_name FROM account AS a"
    f" WHERE a.found_as >= :low AND a.found_as < :high AND {_FINDABLE}"
    " ORDER BY a.found_as, a.user_id LIMIT :limit"
)
_PROFILE = text("SELECT display_name, about FROM account WHERE user_id = :user")
_ADMIN = text("SELECT admin FROM account WHERE user_id = :user AND state = 'active'")
_REPORTS = text(
    "SELECT report_id, ts, reporter, about, conv_id, message_id, reason, text, content FROM report"
    " WHERE report_id > :after ORDER BY report_id LIMIT :limit"
)


class PeopleQueries:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def contacts(self, user: UserId, after: str, limit: int) -> list[tuple[Any, ...]]:
        """`(other, state, ts, display_name, text)`, by name, of those whose account is active."""
        return self._rows(_CONTACTS, user=user, after=after, limit=limit)

    def blocks(self, user: UserId, after: str, limit: int) -> list[tuple[Any, ...]]:
        """`(blocked, ts)`, by name."""
        return self._rows(_BLOCKS, user=user, after=after, limit=limit)

    def named(self, viewer: UserId, prefix: str, limit: int) -> list[tuple[Any, ...]]:
        """`(user, display_name)` of those whose user name begins so and whom `viewer` may find, by name."""
        return self._rows(NAMED, viewer=viewer, low=prefix, high=prefix + _LAST, limit=limit)

    def called(self, viewer: UserId, prefix: str, limit: int) -> list[tuple[Any, ...]]:
        """Likewise of those whose folded display name begins so."""
        return self._rows(CALLED, viewer=viewer, low=prefix, high=prefix + _LAST, limit=limit)

    def profile(self, user: UserId) -> tuple[str | None, str | None]:
        """`(display_name, about)` of an account that there is."""
        name, about = self._connection.execute(_PROFILE, {"user": user}).one()
        return name, about

    def is_admin(self, user: UserId) -> bool:
        found = self._connection.execute(_ADMIN, {"user": user}).first()
        return found is not None and bool(found[0])

    def reports(self, after: int, limit: int) -> list[tuple[Any, ...]]:
        """`(number, ts, reporter, about, conv, message_id, reason, text, content)`, by number."""
        return self._rows(_REPORTS, after=after, limit=limit)

    def _rows(self, statement: TextClause, **asked: object) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self._connection.execute(statement, asked)]
