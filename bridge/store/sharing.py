"""Who shares what with whom, as far as receipts and typing hang on it: the one place for live news and for history."""

from collections.abc import Collection

from sqlalchemy import Connection, TextClause, text

from bridge.store.dialect import Dialect, rows
from pabal import privacy
from pabal.ids import UserId

Pairs = frozenset[tuple[UserId, UserId]]


class SharingStatements:
    def __init__(self, d: Dialect) -> None:
        self.privacy: TextClause = text(
            f"SELECT user_id, privacy FROM account WHERE user_id {d.among('keys')}"
            " AND (privacy IS NOT NULL OR state IN ('deleting', 'deleted'))"
        )
        self.blocks: TextClause = text(
            f"SELECT user_id, blocked_id FROM block WHERE user_id {d.among('keys')}"
        )


def silent(connection: Connection, sql: SharingStatements, users: Collection[UserId]) -> frozenset[UserId]:
    """Those who keep how far they have read to themselves, and those who are gone, with whatever they had chosen."""
    found = connection.execute(sql.privacy, {"keys": rows(sorted(users))}) if users else ()
    return frozenset(
        UserId(user) for user, kept in found if kept is None or not privacy.parse(kept).read_receipts
    )


def apart(connection: Connection, sql: SharingStatements, users: Collection[UserId]) -> Pairs:
    """Pairs of these users of whom the first has blocked the second."""
    if len(users) < 2:  # noqa: PLR2004 -- it takes two
        return frozenset()
    found = connection.execute(sql.blocks, {"keys": rows(sorted(users))})
    return frozenset((UserId(user), UserId(blocked)) for user, blocked in found if blocked in users)
