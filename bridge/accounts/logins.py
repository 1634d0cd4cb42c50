"""Login sessions: each belongs to a device, and lives as long as its refresh token is renewed."""

import hmac
import secrets

from bridge.accounts.bearer import bad_refresh, hash_of, new_refresh, split_refresh
from bridge.accounts.desk import Desk
from bridge.accounts.origin import UNKNOWN, Origin
from bridge.accounts.values import Session
from bridge.ports import Login
from bridge.store.accounts import AccountTransaction, SessionRow
from pabal.errors import BadRequest, Conflict, Forbidden, NotFound, Unauthorized
from pabal.ids import DeviceId, UserId, parse_device, parse_user


class Logins(Desk):
    """Logging in, staying so, and logging out."""

    def log_in(self, user: str, password: str, device: str, *, origin: Origin = UNKNOWN) -> Session:
        """A session of this device. An older one of the same device ends, with its tokens and connections.

        An unknown name takes as long as a wrong password. Whoever calls counts the failures.

        Raises: BadRequest for a device name that cannot be; Unauthorized for a wrong name or password;
        Forbidden if the account is disabled; Conflict if there are too many devices; Unavailable if too many
        log in at once.
        """
        device_id = parse_device(device)
        name = UserId(user)
        with self._store.reading() as tx:
            row = tx.account(name) if _is_name(user) else None
        stored = row.password_hash if row is not None else None
        if not self._passwords.verify(stored, password) or stored is None:
            if stored is not None:
                self.note_failure(name, origin)
            raise Unauthorized("wrong user name or password")
        self._write_noted(name)
        newer = self._passwords.hash(password) if self._passwords.is_outdated(stored) else None
        with self._store.writing() as tx:
            row = tx.account(name, lock=True)
            if row is None or row.password_hash != stored:
                raise Unauthorized("wrong user name or password")
            if row.state != "active":
                raise Forbidden("this account is disabled")
            if newer is not None:
                tx.set_password_hash(name, newer)
            session = self._begin(tx, name, device_id)
            self._note(tx, name, "logged_in", origin, device=device_id)
            return session

    def refresh(self, refresh_token: str, *, origin: Origin = UNKNOWN) -> Session:
        """The same session with new tokens. The refresh token that was given is spent.

        Raises: Unauthorized if it is not good. If it was spent before, somebody has a copy of it, and the
        device's session ends.
        """
        session_id, given = split_refresh(refresh_token)
        with self._store.writing() as tx:
            session = self._locked_session(tx, session_id)
            if session is not None and hmac.compare_digest(session.refresh_hash, given):
                return self._renew(tx, session)
            if session is not None and tx.is_spent(session_id, given):
                self._end(tx, session, "logout")
                self._note(tx, session.user, "refresh_reused", origin, device=session.device)
        # Raised out here, so that the end of the session is committed.
        raise bad_refresh()

    def log_out(self, login: Login, *, origin: Origin = UNKNOWN) -> None:
        """End this session; a device with a secret has none.

        Raises: Conflict for a device secret; NotFound if the session has ended already.
        """
        if login.session_id is None:
            raise Conflict("a device secret is no login; delete the device instead")
        with self._store.writing() as tx:
            session = self._locked_session(tx, login.session_id)
            if session is None:
                raise NotFound("no such session")
            self._end(tx, session, "logout")
            self._note(tx, session.user, "logged_out", origin, device=session.device)

    # Steps inside a transaction

    def _begin(self, tx: AccountTransaction, user: UserId, device: DeviceId) -> Session:
        now = self._now_ms()
        for session in tx.sessions(user):
            if session.device == device:
                self._end(tx, session, "replaced")
            elif session.expires_ts <= now:
                tx.delete_session(session.session_id)
        if tx.device(user, device) is None:
            self._add_row(tx, user, device, seen_ts=now)
        else:
            tx.device_seen(user, device, now)
        session_id = secrets.token_hex(16)
        refresh_token = new_refresh(session_id)
        expires_ts = now + self._refresh_ttl_s * 1000
        tx.insert_session(SessionRow(session_id, user, device, hash_of(refresh_token), now, expires_ts))
        return self._session(user, device, session_id, refresh_token)

    def _renew(self, tx: AccountTransaction, session: SessionRow) -> Session:
        now = self._now_ms()
        owner = tx.account(session.user)
        if session.expires_ts <= now or owner is None or owner.state != "active":
            raise bad_refresh()
        refresh_token = new_refresh(session.session_id)
        tx.rotate_refresh(
            session, hash_of(refresh_token), now_ts=now, expires_ts=now + self._refresh_ttl_s * 1000
        )
        tx.device_seen(session.user, session.device, now)
        return self._session(session.user, session.device, session.session_id, refresh_token)

    def _session(self, user: UserId, device: DeviceId, session_id: str, refresh_token: str) -> Session:
        access_token = self._tokens.issue(user, device, session_id, self._clock())
        return Session(user, device, session_id, access_token, refresh_token, self._tokens.ttl_s)

    def _locked_session(self, tx: AccountTransaction, session_id: str) -> SessionRow | None:
        """The session as it is once its user's row is locked."""
        session = tx.session(session_id)
        if session is None:
            return None
        tx.account(session.user, lock=True)
        return tx.session(session_id)


def _is_name(text: str) -> bool:
    try:
        parse_user(text)
    except BadRequest:
        return False
    return True
