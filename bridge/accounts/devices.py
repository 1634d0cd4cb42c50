"""Devices: what a user has, and the secrets of those that cannot log in."""

from collections.abc import Collection

from bridge.accounts.bearer import CERTIFICATE, credential_of, hash_of, new_secret
from bridge.accounts.desk import Desk, existing
from bridge.accounts.origin import UNKNOWN, Origin
from bridge.accounts.values import DeviceInfo, NewDevice
from pabal.acl import EVERYTHING
from pabal.errors import BadRequest, Conflict, NotFound
from pabal.ids import DeviceId, UserId, parse_device


class Devices(Desk):
    """Listing, adding and kicking."""

    def list_devices(self, user: UserId) -> list[DeviceInfo]:
        """By name."""
        now = self._now_ms()
        with self._store.reading() as tx:
            live = {session.device for session in tx.sessions(user) if session.expires_ts > now}
            return [
                DeviceInfo(
                    row.device,
                    row.allow,
                    row.secret_hash is not None,
                    row.device in live,
                    row.created_ts,
                    row.seen_ts,
                )
                for row in tx.devices(user)
            ]

    def add_device(
        self,
        user: UserId,
        password: str,
        device: str,
        allow: Collection[str] | None = None,
        *,
        origin: Origin = UNKNOWN,
    ) -> NewDevice:
        """A long-lived secret for a thing that cannot log in. It is told this once and stored hashed.

        A device that has logged in can have a secret beside it.

        Raises: BadRequest for a device name or a right that cannot be; Unauthorized for a wrong account
        password; Conflict if the device has a secret already, or there are too many.
        """
        device_id = parse_device(device)
        rights = EVERYTHING if allow is None else frozenset(allow)
        if not rights or not rights <= EVERYTHING:
            raise BadRequest(f"one or both of {', '.join(sorted(EVERYTHING))}", field="allow")
        self.check_password(user, password, origin=origin)
        secret = new_secret()
        with self._store.writing() as tx:
            existing(tx, user, lock=True)
            known = tx.device(user, device_id)
            if known is not None and known.secret_hash is not None:
                raise Conflict(f"{device_id!r} has a secret; delete the device first", field="device")
            if known is None:
                self._add_row(tx, user, device_id, seen_ts=None)
            tx.set_secret(user, device_id, hash_of(secret), rights)
            self._note(tx, user, "device_added", origin, device=device_id, allow=sorted(rights))
        return NewDevice(device_id, rights, secret)

    def renew_secret(self, user: UserId, device: DeviceId, *, origin: Origin = UNKNOWN) -> NewDevice:
        """A new secret, for an operator who hands it to the device; a secret of before is good no longer. The device is
        made if there is none, with all rights.

        Raises: NotFound for a user; Conflict if there are too many devices.
        """
        secret = new_secret()
        with self._store.writing() as tx:
            existing(tx, user, lock=True)
            known = tx.device(user, device)
            if known is None:
                self._add_row(tx, user, device, seen_ts=None)
            elif known.secret_hash is not None:
                tx.kick(user, device, "kicked", self._now_ms(), credential=credential_of(known.secret_hash))
            rights = EVERYTHING if known is None else known.allow
            tx.set_secret(user, device, hash_of(secret), rights)
            self._note(tx, user, "device_added", origin, device=device, allow=sorted(rights))
        return NewDevice(device, rights, secret)

    def secret_rights(self, user: UserId, device: DeviceId) -> frozenset[str] | None:
        """What a device with a secret may do. Returns None if it has none, or its user is kept out."""
        with self._store.reading() as tx:
            owner, row = tx.account(user), tx.device(user, device)
        if owner is None or owner.state != "active" or row is None or row.secret_hash is None:
            return None
        return row.allow

    def delete_device(self, user: UserId, device: DeviceId, *, origin: Origin = UNKNOWN) -> None:
        """The device's session, secret and live connections end.

        Raises: NotFound.
        """
        with self._store.writing() as tx:
            existing(tx, user, lock=True)
            row = tx.device(user, device)
            if row is None:
                raise NotFound(f"no device {device!r}")
            for session in tx.sessions(user):
                if session.device == device:
                    self._end(tx, session, "kicked")
            if row.secret_hash is not None:
                tx.kick(user, device, "kicked", self._now_ms(), credential=credential_of(row.secret_hash))
            tx.kick(user, device, "kicked", self._now_ms(), credential=CERTIFICATE)
            tx.delete_device(user, device)
            tx.gone(user, device, self._now_ms())
            self._note(tx, user, "device_removed", origin, device=device)
