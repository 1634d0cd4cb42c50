"""All SQL about accounts: people, their devices, login sessions, and what the relay must hear of.

Transactions are short: the relay writes the same SQLite file. One about a user begins by locking the user's
account row (on SQLite all writers wait for one another anyway), so two logins of one user cannot interleave.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Self

from sqlalchemy import Connection, Engine, Row, delete, exc, insert, select, text, update

from bridge.store.audit_log import AuditLog
from bridge.store.engine import open_engine
from bridge.store.tables import (
    account,
    change_log,
    device,
    login_session,
    push_asked,
    push_job,
    push_log,
    push_shown,
    push_subscription,
    spent_refresh,
)
from bridge.store.turnstile import first_in_line
from pabal.errors import Conflict, Unavailable
from pabal.ids import DeviceId, UserId

AccountState = Literal["active", "disabled", "deleting", "deleted"]
# Of no use to anybody any more; what a `deleting` one wrote is still being taken away.
GONE = ("deleting", "deleted")
KickReason = Literal["logout", "replaced", "kicked", "disabled", "password", "deleted"]

# The relay reads changes twice a second; nobody reads one that is this many changes old.
_CHANGES_KEPT = 100_000
_ONE_AT_A_TIME = text("LOCK TABLE change_log IN SHARE ROW EXCLUSIVE MODE")


@dataclass(frozen=True, slots=True)
class AccountRow:
    """`created_ts` is in milliseconds since 1970, like every `…_ts`."""

    user: UserId
    display_name: str | None
    about: str | None
    password_hash: str | None
    state: AccountState
    admin: bool
    created_ts: int
    privacy: str | None = None
    found_as: str | None = ""


@dataclass(frozen=True, slots=True)
class DeviceRow:
    user: UserId
    device: DeviceId
    secret_hash: bytes | None
    allow: frozenset[str]
    created_ts: int
    seen_ts: int | None


@dataclass(frozen=True, slots=True)
class SessionRow:
    session_id: str
    user: UserId
    device: DeviceId
    refresh_hash: bytes
    created_ts: int
    expires_ts: int


class AccountStore:
    """Opens transactions on the account tables. Thread-safe."""

    def __init__(self, writer: Engine, reader: Engine, changed: Callable[[], None] = lambda: None) -> None:
        """Two engines of the same database; `reader` may be a read-only one, which never waits for a writer.

        `changed` is called after the commit of what the relay must hear of.
        """
        self._writer = writer
        self._reader = reader
        self._changed = changed

    @classmethod
    def open(cls, url: str, *, pool_size: int = 5, changed: Callable[[], None] = lambda: None) -> Self:
        """Own engines for this database; end with `close`. Connects to nothing yet."""
        return cls(
            open_engine(url, pool_size=pool_size),
            open_engine(url, read_only=True, pool_size=pool_size),
            changed,
        )

    def close(self) -> None:
        self._writer.dispose()
        self._reader.dispose()

    @contextmanager
    def writing(self) -> Iterator["AccountTransaction"]:
        """One transaction: committed at the end of the block, rolled back by whatever is raised in it.

        Raises: Unavailable if the database does not answer or stays locked.
        """
        with ExitStack() as stack:
            try:
                stack.enter_context(first_in_line(self._writer))
            except OSError as error:
                raise _unavailable() from error
            stack.enter_context(_answering())
            transaction = AccountTransaction(stack.enter_context(self._writer.begin()))
            yield transaction
        if transaction.has_told:
            self._changed()

    @contextmanager
    def reading(self) -> Iterator["AccountTransaction"]:
        """One snapshot to read from.

        Raises: Unavailable if the database does not answer.
        """
        with _answering(), self._reader.begin() as connection:
            yield AccountTransaction(connection)


class AccountTransaction:
    """The statements, inside one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.audit = AuditLog(connection)
        self.has_told = False
        """Whether there is anything in it that the relay must hear of."""

    # Accounts

    def account(self, user: UserId, *, lock: bool = False) -> AccountRow | None:
        """Returns None if the name was never given. With `lock` others' `lock` waits for our end."""
        query = select(account).where(account.c.user_id == user)
        row = self._connection.execute(query.with_for_update() if lock else query).first()
        return None if row is None else _account(row)

    def accounts(self, *, after: UserId | None, limit: int) -> list[AccountRow]:
        """By name, without the deleted ones."""
        query = select(account).where(account.c.state.not_in(GONE)).order_by(account.c.user_id).limit(limit)
        if after is not None:
            query = query.where(account.c.user_id > after)
        return [_account(row) for row in self._connection.execute(query)]

    def insert_account(self, row: AccountRow) -> None:
        """Raises: Conflict if the name is or was somebody's."""
        try:
            self._connection.execute(
                insert(account).values(
                    user_id=row.user,
                    display_name=row.display_name,
                    about=row.about,
                    password_hash=row.password_hash,
                    state=row.state,
                    admin=row.admin,
                    created_ts=row.created_ts,
                    privacy=row.privacy,
                    found_as=row.found_as,
                )
            )
        except exc.IntegrityError as error:
            raise Conflict(f"the name {row.user!r} is taken", field="user") from error

    def set_profile(self, user: UserId, display_name: str | None, about: str | None) -> None:
        self._set_account(user, display_name=display_name, about=about)

    def set_privacy(self, user: UserId, privacy: str | None, found_as: str | None) -> None:
        """`found_as`: the display name as search compares it, None for who does not want to be found."""
        self._set_account(user, privacy=privacy, found_as=found_as)

    def set_password_hash(self, user: UserId, password_hash: str) -> None:
        self._set_account(user, password_hash=password_hash)

    def set_state(self, user: UserId, state: AccountState) -> None:
        self._set_account(user, state=state)

    def set_admin(self, user: UserId, admin: bool) -> None:
        self._set_account(user, admin=admin)

    def empty_account(self, user: UserId) -> None:
        """The row stays, so that the name is never given again; what it said of the person goes. What it wrote
        is for the relay to take away.
        """
        self._set_account(
            user,
            state="deleting",
            display_name=None,
            about=None,
            password_hash=None,
            admin=False,
            privacy=None,
            found_as=None,
        )

    def _set_account(self, user: UserId, **values: Any) -> None:
        self._connection.execute(update(account).where(account.c.user_id == user).values(**values))

    # Devices

    def device(self, user: UserId, name: DeviceId) -> DeviceRow | None:
        query = select(device).where(device.c.user_id == user, device.c.device_id == name)
        row = self._connection.execute(query).first()
        return None if row is None else _device(row)

    def devices(self, user: UserId) -> list[DeviceRow]:
        """By name."""
        query = select(device).where(device.c.user_id == user).order_by(device.c.device_id)
        return [_device(row) for row in self._connection.execute(query)]

    def device_by_secret(self, secret_hash: bytes) -> DeviceRow | None:
        row = self._connection.execute(select(device).where(device.c.secret_hash == secret_hash)).first()
        return None if row is None else _device(row)

    def insert_device(self, row: DeviceRow) -> None:
        self._connection.execute(
            insert(device).values(
                user_id=row.user,
                device_id=row.device,
                cursor=0,
                secret_hash=row.secret_hash,
                allow=_words(row.allow),
                created_ts=row.created_ts,
                seen_ts=row.seen_ts,
            )
        )

    def set_secret(self, user: UserId, name: DeviceId, secret_hash: bytes, allow: frozenset[str]) -> None:
        self._connection.execute(
            update(device)
            .where(device.c.user_id == user, device.c.device_id == name)
            .values(secret_hash=secret_hash, allow=_words(allow))
        )

    def device_seen(self, user: UserId, name: DeviceId, ts: int) -> None:
        self._connection.execute(
            update(device).where(device.c.user_id == user, device.c.device_id == name).values(seen_ts=ts)
        )

    def delete_device(self, user: UserId, name: DeviceId) -> None:
        self.end_pushes(user, name)
        self._connection.execute(
            delete(push_log).where(push_log.c.user_id == user, push_log.c.device_id == name)
        )
        self._connection.execute(delete(device).where(device.c.user_id == user, device.c.device_id == name))

    def delete_devices(self, user: UserId) -> None:
        """What there is about pushes to them goes with what the account wrote."""
        self._connection.execute(delete(push_subscription).where(push_subscription.c.user_id == user))
        self._connection.execute(delete(device).where(device.c.user_id == user))

    def end_pushes(self, user: UserId, name: DeviceId) -> None:
        """Nothing is pushed to this device any longer, also not what waits."""
        for table in (push_subscription, push_job, push_shown, push_asked):
            self._connection.execute(delete(table).where(table.c.user_id == user, table.c.device_id == name))

    # Login sessions

    def session(self, session_id: str, *, lock: bool = False) -> SessionRow | None:
        query = select(login_session).where(login_session.c.session_id == session_id)
        row = self._connection.execute(query.with_for_update() if lock else query).first()
        return None if row is None else _session(row)

    def sessions(self, user: UserId) -> list[SessionRow]:
        query = (
            select(login_session).where(login_session.c.user_id == user).order_by(login_session.c.device_id)
        )
        return [_session(row) for row in self._connection.execute(query)]

    def insert_session(self, row: SessionRow) -> None:
        self._connection.execute(
            insert(login_session).values(
                session_id=row.session_id,
                user_id=row.user,
                device_id=row.device,
                refresh_hash=row.refresh_hash,
                created_ts=row.created_ts,
                expires_ts=row.expires_ts,
            )
        )

    def rotate_refresh(self, old: SessionRow, refresh_hash: bytes, *, now_ts: int, expires_ts: int) -> None:
        """The session goes on under a new refresh token; the old one is remembered as spent.

        Spent tokens are forgotten as old as a refresh token can get, so their number is bounded.
        """
        oldest = now_ts - (expires_ts - now_ts)
        self._connection.execute(
            delete(spent_refresh).where(
                spent_refresh.c.session_id == old.session_id, spent_refresh.c.spent_ts < oldest
            )
        )
        self._connection.execute(
            insert(spent_refresh).values(
                refresh_hash=old.refresh_hash, session_id=old.session_id, spent_ts=now_ts
            )
        )
        self._connection.execute(
            update(login_session)
            .where(login_session.c.session_id == old.session_id)
            .values(refresh_hash=refresh_hash, expires_ts=expires_ts)
        )

    def is_spent(self, session_id: str, refresh_hash: bytes) -> bool:
        """Whether this was a refresh token of this session, before the present one."""
        query = select(spent_refresh.c.session_id).where(
            spent_refresh.c.refresh_hash == refresh_hash, spent_refresh.c.session_id == session_id
        )
        return self._connection.execute(query).first() is not None

    def delete_session(self, session_id: str) -> None:
        """Its access token and its refresh tokens are no good any more."""
        self._connection.execute(delete(spent_refresh).where(spent_refresh.c.session_id == session_id))
        self._connection.execute(delete(login_session).where(login_session.c.session_id == session_id))

    # What the relay must hear of

    def kick(
        self,
        user: UserId,
        name: DeviceId | None,
        reason: KickReason,
        ts: int,
        *,
        credential: str | None = None,
    ) -> None:
        """Live connections of the device (None: of all the user's devices) end soon after the commit; with a
        credential, only those that came in by it, so that whoever comes after is left alone.
        """
        self._tell(kind="kicked", user_id=user, device_id=name, credential=credential, reason=reason, ts=ts)

    def gone(self, user: UserId, name: DeviceId | None, ts: int) -> None:
        """The MQTT sessions of the device (None: of all the user's devices) end soon after the commit."""
        self._tell(kind="gone", user_id=user, device_id=name, ts=ts)

    def related(self, user: UserId, ts: int) -> None:
        """What others may see of this user, or say to, is looked at again soon after the commit."""
        self._tell(kind="related", user_id=user, ts=ts)

    def _tell(self, **change: Any) -> None:
        self.has_told = True
        if self._connection.dialect.name == "postgresql":
            # The relay reads on from the highest number that it has seen, so numbers become visible in their order.
            self._connection.execute(_ONE_AT_A_TIME)
        result = self._connection.execute(insert(change_log).values(**change))
        (change_id,) = result.inserted_primary_key or (0,)
        self._connection.execute(
            delete(change_log).where(change_log.c.change_id <= change_id - _CHANGES_KEPT)
        )

    def ping(self) -> None:
        """Something that only a database that works can answer."""
        self._connection.execute(select(account.c.user_id).limit(1)).first()


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except (exc.OperationalError, exc.InterfaceError, exc.InternalError, exc.TimeoutError) as error:
        raise _unavailable() from error
    except exc.DatabaseError as error:
        # What is wrong with a damaged file has no class of its own.
        if type(error) is exc.DatabaseError:
            raise _unavailable() from error
        raise


def _unavailable() -> Unavailable:
    return Unavailable("the database does not answer", retry_after=1)


def _words(allow: frozenset[str]) -> str:
    return " ".join(sorted(allow))


def _account(row: Row[Any]) -> AccountRow:
    return AccountRow(
        UserId(row.user_id),
        row.display_name,
        row.about,
        row.password_hash,
        row.state,
        bool(row.admin),
        row.created_ts,
        row.privacy,
        row.found_as,
    )


def _device(row: Row[Any]) -> DeviceRow:
    return DeviceRow(
        UserId(row.user_id),
        DeviceId(row.device_id),
        row.secret_hash,
        frozenset(row.allow.split()),
        row.created_ts,
        row.seen_ts,
    )


def _session(row: Row[Any]) -> SessionRow:
    return SessionRow(
        row.session_id,
        UserId(row.user_id),
        DeviceId(row.device_id),
        row.refresh_hash,
        row.created_ts,
        row.expires_ts,
    )
