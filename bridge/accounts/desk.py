"""What all use cases of accounts share: where they look, and the steps that several of them take."""

import time
from collections.abc import Callable

from bridge.accounts.passwords import Passwords
from bridge.accounts.tokens import Tokens
from bridge.store.accounts import (
    AccountRow,
    AccountStore,
    AccountTransaction,
    DeviceRow,
    KickReason,
    SessionRow,
)
from pabal.acl import EVERYTHING
from pabal.errors import Conflict, NotFound, Unauthorized
from pabal.ids import DeviceId, UserId

REFRESH_TTL_S = 30 * 24 * 3600
MAX_DEVICES = 200


class Desk:
    """Thread-safe; every method of those who work at it may block on the database or on hashing.

    Raises (each method, besides its own): Unavailable if the database does not answer.
    """

    def __init__(
        self,
        store: AccountStore,
        tokens: Tokens,
        passwords: Passwords,
        *,
        clock: Callable[[], float] = time.time,
        refresh_ttl_s: int = REFRESH_TTL_S,
        max_devices: int = MAX_DEVICES,
    ) -> None:
        """`clock` tells seconds since 1970."""
        self._store = store
        self._tokens = tokens
        self._passwords = passwords
        self._clock = clock
        self._refresh_ttl_s = refresh_ttl_s
        self._max_devices = max_devices

    def check_password(self, user: UserId, password: str) -> None:
        """Raises: Unauthorized unless this is the account's password, and the account is active."""
        with self._store.reading() as tx:
            row = tx.account(user)
        known = row is not None and row.state == "active"
        if not self._passwords.verify(row.password_hash if row and known else None, password):
            raise Unauthorized("wrong password")

    # Steps inside a transaction

    def _end(self, tx: AccountTransaction, session: SessionRow, reason: KickReason) -> None:
        tx.delete_session(session.session_id)
        tx.kick(session.user, session.device, reason, self._now_ms(), credential=session.session_id)

    def _end_all(self, tx: AccountTransaction, user: UserId, reason: KickReason) -> None:
        for session in tx.sessions(user):
            tx.delete_session(session.session_id)
        tx.kick(user, None, reason, self._now_ms())

    def _add_row(
        self, tx: AccountTransaction, user: UserId, device: DeviceId, *, seen_ts: int | None
    ) -> None:
        if len(tx.devices(user)) >= self._max_devices:
            raise Conflict(f"at most {self._max_devices} devices; delete one first", field="device")
        tx.insert_device(DeviceRow(user, device, None, EVERYTHING, self._now_ms(), seen_ts))

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


def existing(tx: AccountTransaction, user: UserId, *, lock: bool = False) -> AccountRow:
    """Raises: NotFound if there is no such account, or no more."""
    row = tx.account(user, lock=lock)
    if row is None or row.state == "deleted":
        raise NotFound(f"no user {user!r}")
    return row
