"""What all use cases of accounts share: where they look, and the steps that several of them take."""

import logging
import time
from collections.abc import Callable

from bridge.accounts.failure_notes import FailureNotes, Failures
from bridge.accounts.origin import UNKNOWN, Origin
from bridge.accounts.passwords import Passwords
from bridge.accounts.tokens import Tokens
from bridge.store.accounts import (
    GONE,
    AccountRow,
    AccountStore,
    AccountTransaction,
    DeviceRow,
    KickReason,
    SessionRow,
)
from pabal.acl import EVERYTHING
from pabal.errors import Conflict, NotFound, Unauthorized, Unavailable
from pabal.ids import DeviceId, UserId

logger = logging.getLogger("pabal.bridge")

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
        self._failures = FailureNotes(clock)

    def check_password(
        self, user: UserId, password: str, *, field: str | None = None, origin: Origin = UNKNOWN
    ) -> None:
        """`field` is what a request calls it.

        Raises: Unauthorized unless this is the account's password, and the account is active.
        """
        with self._store.reading() as tx:
            row = tx.account(user)
        known = row is not None and row.state == "active"
        if not self._passwords.verify(row.password_hash if row and known else None, password):
            if known:
                self.note_failure(user, origin)
            raise Unauthorized("wrong password", field=field)

    def note_failure(self, user: UserId, origin: Origin) -> None:
        """A login of this user failed. However many do, few of them are written at once, and the others later
        together. Never raises.
        """
        failures = self._failures.add(user, origin)
        if failures is not None:
            self._write_failures(user, failures)

    def _write_noted(self, user: UserId) -> None:
        """What was noted of this user and has not been written yet. Never raises."""
        failures = self._failures.take(user)
        if failures is not None:
            self._write_failures(user, failures)

    def _write_failures(self, user: UserId, failures: Failures) -> None:
        try:
            with self._store.reading() as tx:
                row = tx.account(user)
            if row is None or row.state in GONE:
                return
            with self._store.writing() as tx:
                tx.audit.add_failures(
                    user, self._now_ms(), failures.count, list(failures.addresses), failures.via
                )
        except Unavailable as error:
            logger.warning("failed logins could not be noted: %s", error)

    # Steps inside a transaction

    def _end(self, tx: AccountTransaction, session: SessionRow, reason: KickReason) -> None:
        tx.delete_session(session.session_id)
        tx.kick(session.user, session.device, reason, self._now_ms(), credential=session.session_id)
        if reason != "replaced":
            device = tx.device(session.user, session.device)
            if device is None or device.secret_hash is None:
                # Whoever is logged out there should not read on its lock screen what is written to others.
                tx.end_pushes(session.user, session.device)

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

    def _note(
        self,
        tx: AccountTransaction,
        user: UserId,
        event: str,
        origin: Origin,
        *,
        device: DeviceId | None = None,
        **detail: object,
    ) -> None:
        """Into the audit log, which its user and the operators can read: nothing secret. `device` is the one that it
        is about, where that is not the one that asked.
        """
        told = {**detail, **({} if origin.via is None else {"via": origin.via})}
        if device is not None and origin.device not in {None, device}:
            told["by"] = origin.device
        tx.audit.add(
            user,
            event,
            self._now_ms(),
            device=device or origin.device,
            address=origin.address,
            detail=told,
        )

    def now_ms(self) -> int:
        return self._now_ms()

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


def existing(tx: AccountTransaction, user: UserId, *, lock: bool = False) -> AccountRow:
    """Raises: NotFound if there is no such account, or no more."""
    row = tx.account(user, lock=lock)
    if row is None or row.state in GONE:
        raise NotFound(f"no user {user!r}")
    return row
