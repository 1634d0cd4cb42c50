"""Credentials: the device behind an access token or a device secret, checked against live rows each time."""

import hmac
from dataclasses import replace

from bridge.accounts.bearer import CERTIFICATE, SECRET_PREFIX, credential_of, hash_of
from bridge.accounts.desk import Desk
from bridge.ports import Login
from pabal.acl import EVERYTHING
from pabal.errors import Unauthorized
from pabal.ids import DeviceId, UserId


class Credentials(Desk):
    """Who shows a token or a secret, and whether what it rests on still lives."""

    def authenticate_mqtt(self, username: str, password: str) -> Login:
        """The device behind an MQTT login: `password` is its access token or its secret, never the account's.

        Raises: Unauthorized if it is not good, or not this user's.
        """
        login = self.authenticate_bearer(password)
        if login.user != username:
            raise Unauthorized("the credential is another user's")
        with self._store.reading() as tx:
            row = tx.account(login.user)
        return login if row is None else replace(login, admin=row.admin)

    def authenticate_vouched(self, user: UserId, device: DeviceId) -> Login:
        """A device for which something else vouches than a credential of ours: a client certificate.

        Raises: Unauthorized if there is no such device (any more), or the account is not active.
        """
        with self._store.reading() as tx:
            owner, row = tx.account(user), tx.device(user, device)
        if owner is None or owner.state != "active" or row is None:
            raise Unauthorized("no such device")
        return Login(user, device, row.allow, credential=CERTIFICATE, admin=owner.admin)

    def standing(self, user: UserId, device: DeviceId) -> Login:
        """A device that came in elsewhere, by a login or a secret of ours that has to be good still.

        Raises: Unauthorized if none of the device's is, or the account is not active.
        """
        now = self._now_ms()
        with self._store.reading() as tx:
            owner, row = tx.account(user), tx.device(user, device)
            live = any(one.device == device and one.expires_ts > now for one in tx.sessions(user))
        if owner is None or owner.state != "active" or row is None:
            raise Unauthorized("no such device")
        if not live and row.secret_hash is None:
            raise Unauthorized("this device has logged out")
        return Login(user, device, EVERYTHING if live else row.allow, admin=owner.admin)

    def authenticate_bearer(self, token: str) -> Login:
        """The device behind an access token or a device secret.

        Raises: Unauthorized if it is not good (any more).
        """
        if token.startswith(SECRET_PREFIX):
            login = self._by_secret(token)
        else:
            said = self._tokens.verify(token, self._clock())
            login = Login(said.user, said.device, EVERYTHING, said.session_id, said.session_id)
            self.check_live(login)
        return login

    def check_live(self, login: Login) -> None:
        """Raises: Unauthorized if what this login rests on has ended since."""
        with self._store.reading() as tx:
            row = tx.account(login.user)
            if login.session_id is None:
                device = tx.device(login.user, login.device)
                alive = device is not None and device.secret_hash is not None
            else:
                session = tx.session(login.session_id)
                alive = (
                    session is not None
                    and (session.user, session.device) == (login.user, login.device)
                    and session.expires_ts > self._now_ms()
                )
        if row is None or row.state != "active" or not alive:
            raise Unauthorized("this session has ended")

    def _by_secret(self, secret: str) -> Login:
        given = hash_of(secret)
        with self._store.reading() as tx:
            row = tx.device_by_secret(given)
            owner = None if row is None else tx.account(row.user)
        if (
            row is None
            or owner is None
            or owner.state != "active"
            or not hmac.compare_digest(row.secret_hash or b"", given)
        ):
            raise Unauthorized("the device secret is not good")
        return Login(row.user, row.device, row.allow, credential=credential_of(given))
