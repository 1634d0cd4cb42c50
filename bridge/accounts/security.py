"""What happened to an account, for its owner and for operators; and its sessions, without anything secret."""

from bridge.accounts.desk import Desk, existing
from bridge.accounts.origin import UNKNOWN, Origin
from bridge.accounts.values import SessionInfo
from bridge.store.audit_log import AuditEvent
from pabal.ids import UserId


class Security(Desk):
    """Reading the audit log."""

    def events(
        self, user: UserId | None, *, before: int | None = None, limit: int = 100
    ) -> tuple[list[AuditEvent], bool]:
        """Newest first, of one user or (None) of all, and whether there are more; the next page is `before` the last
        event_id of this one.
        """
        if user is not None:
            self._write_noted(user)
        with self._store.reading() as tx:
            found = tx.audit.page(user, before=before, limit=limit + 1)
        return found[:limit], len(found) > limit

    def list_sessions(self, user: UserId) -> list[SessionInfo]:
        """Those that live, by device."""
        now = self._now_ms()
        with self._store.reading() as tx:
            return [
                SessionInfo(row.device, row.created_ts, row.expires_ts)
                for row in tx.sessions(user)
                if row.expires_ts > now
            ]

    def note_export(self, user: UserId, *, origin: Origin = UNKNOWN) -> None:
        """Somebody has asked for all that the account has. Raises: NotFound."""
        with self._store.writing() as tx:
            existing(tx, user, lock=True)
            self._note(tx, user, "exported", origin)

    def session_began(self, session_id: str) -> int | None:
        """When, in milliseconds since 1970. Returns None if there is no such session (any more)."""
        with self._store.reading() as tx:
            row = tx.session(session_id)
        return None if row is None else row.created_ts
