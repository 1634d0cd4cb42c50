"""People: who has an account, and what it says of them."""

from msgspec import UNSET, UnsetType

from bridge.accounts.desk import Desk, existing
from bridge.accounts.origin import UNKNOWN, Origin
from bridge.accounts.values import Profile
from bridge.store.accounts import AccountRow
from pabal.errors import BadRequest, Conflict
from pabal.ids import UserId, parse_new_user
from pabal.privacy import DEFAULT, PrivacyPatch, changed, dump, folded, parse

MAX_DISPLAY_NAME = 64
MAX_ABOUT = 500


class People(Desk):
    """Sign-up, profiles, passwords, and the end of accounts."""

    def sign_up(
        self,
        user: str,
        password: str,
        *,
        display_name: str | None = None,
        admin: bool = False,
        origin: Origin = UNKNOWN,
    ) -> Profile:
        """A new account.

        Raises: BadRequest for a name or password that cannot be; Conflict if the name is or was somebody's.
        """
        name = parse_new_user(user)
        shown = _text(display_name, "display_name", MAX_DISPLAY_NAME)
        with self._store.reading() as tx:  # spare the hashing where it is already clear
            if tx.account(name) is not None:
                raise Conflict(f"the name {name!r} is taken", field="user")
        row = AccountRow(
            name,
            shown,
            None,
            self._passwords.hash(password),
            "active",
            admin,
            self._now_ms(),
            found_as=folded(shown or ""),
        )
        with self._store.writing() as tx:
            tx.insert_account(row)
            self._note(tx, name, "signed_up", origin)
        return _profile(row)

    def look_up(self, user: UserId) -> Profile:
        """Raises: NotFound if nobody has this name (any more)."""
        with self._store.reading() as tx:
            return _profile(existing(tx, user))

    def list_users(self, *, after: UserId | None = None, limit: int = 1000) -> list[Profile]:
        """Accounts by name, without deleted ones; the next page begins `after` the last name of this one."""
        with self._store.reading() as tx:
            return [_profile(row) for row in tx.accounts(after=after, limit=limit)]

    def update_profile(
        self,
        user: UserId,
        *,
        display_name: str | UnsetType | None = UNSET,
        about: str | UnsetType | None = UNSET,
        privacy: PrivacyPatch | UnsetType | None = UNSET,
    ) -> Profile:
        """Set what is given; None removes. Whoever may see less of the user from now on does within a second.

        Raises: NotFound; BadRequest for a text that is too long or has U+0000.
        """
        with self._store.writing() as tx:
            old = existing(tx, user, lock=True)
            shown = old.display_name if display_name is UNSET else display_name
            told = old.about if about is UNSET else about
            tx.set_profile(
                user, _text(shown, "display_name", MAX_DISPLAY_NAME), _text(told, "about", MAX_ABOUT)
            )
            now = existing(tx, user)
            chosen = before = parse(now.privacy)
            if privacy is not UNSET:
                chosen = DEFAULT if privacy is None else changed(before, privacy)
            tx.set_privacy(user, dump(chosen), folded(now.display_name or "") if chosen.search else None)
            if (chosen.presence, chosen.write) != (before.presence, before.write):
                tx.related(user, self._now_ms())
            return _profile(existing(tx, user))

    def set_password(
        self,
        user: UserId,
        password: str,
        *,
        keep_session: str | None = None,
        field: str = "password",
        origin: Origin = UNKNOWN,
    ) -> None:
        """A new password; ends all login sessions but `keep_session`. Device secrets stay good.

        Raises: NotFound; BadRequest for a password that cannot be, which the request calls `field`.
        """
        password_hash = self._passwords.hash(password, field=field)
        with self._store.writing() as tx:
            existing(tx, user, lock=True)
            tx.set_password_hash(user, password_hash)
            for session in tx.sessions(user):
                if session.session_id != keep_session:
                    self._end(tx, session, "password")
            self._note(tx, user, "password_changed", origin)

    def set_admin(self, user: UserId, admin: bool, *, origin: Origin = UNKNOWN) -> None:
        """Raises: NotFound."""
        with self._store.writing() as tx:
            existing(tx, user, lock=True)
            tx.set_admin(user, admin)
            self._note(tx, user, "admin_changed", origin, admin=admin)

    def disable(self, user: UserId, *, origin: Origin = UNKNOWN) -> None:
        """Nothing gets in any more: sessions end, device secrets rest until `enable`.

        Raises: NotFound.
        """
        with self._store.writing() as tx:
            existing(tx, user, lock=True)
            tx.set_state(user, "disabled")
            self._end_all(tx, user, "disabled")
            self._note(tx, user, "disabled", origin)

    def enable(self, user: UserId, *, origin: Origin = UNKNOWN) -> None:
        """Raises: NotFound."""
        with self._store.writing() as tx:
            existing(tx, user, lock=True)
            tx.set_state(user, "active")
            self._note(tx, user, "enabled", origin)

    def delete(self, user: UserId, *, origin: Origin = UNKNOWN) -> None:
        """The account, its devices and sessions go at once; the name is never given again. The relay then takes
        away what it wrote (`bridge.eraser`), at its next start if none runs.

        Raises: NotFound.
        """
        with self._store.writing() as tx:
            existing(tx, user, lock=True)
            tx.empty_account(user)
            self._end_all(tx, user, "deleted")
            tx.delete_devices(user)
            tx.gone(user, None, self._now_ms())
            self._note(tx, user, "deleted", origin)


def _profile(row: AccountRow) -> Profile:
    return Profile(
        row.user, row.display_name, row.about, row.state, row.admin, row.created_ts, parse(row.privacy)
    )


def _text(value: str | None, field: str, max_chars: int) -> str | None:
    if value is None:
        return None
    if len(value) > max_chars or "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
        raise BadRequest(f"at most {max_chars} characters, none of them U+0000", field=field)
    return value or None
