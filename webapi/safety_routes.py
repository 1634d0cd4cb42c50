"""What keeps an account safe: its password, what happened to it, all that it has, and its end."""

import itertools
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from msgspec import UnsetType

from bridge.accounts.passwords import check_new
from bridge.accounts.service import Accounts
from bridge.archive import zipped
from bridge.export import Export
from bridge.ports import Login
from pabal.errors import BadRequest, Unavailable
from pabal.ids import UserId
from webapi import schemas as s
from webapi.limits import Limits
from webapi.ports import Reads
from webapi.routing import Answer, Api, Call, Download

ZIP = "application/zip"
# Each keeps a thread for as long as it is read.
MAX_EXPORTS = 4
# So long after a login its password need not be given once more.
FRESH_MS = 5 * 60 * 1000


class SafetyRoutes:
    """The views; `register` says which call each of them answers."""

    def __init__(self, accounts: Accounts, reads: Reads, limits: Limits) -> None:
        self._accounts = accounts
        self._limits = limits
        self._export = Export(accounts, reads, reads.people, _shown)
        self._exporting = threading.BoundedSemaphore(MAX_EXPORTS)

    def register(self, api: Api) -> None:
        api.route(
            "PUT",
            "/v1/me/password",
            self.change_password,
            {204: None},
            tag="me",
            body=s.PutPassword,
            refuses=(403, 404),
        )
        api.route(
            "GET",
            "/v1/me/security",
            self.list_events,
            {200: s.SecurityBody},
            tag="me",
            query=s.SecurityQuery,
            refuses=(403,),
        )
        api.route(
            "GET",
            "/v1/me/export",
            self.export_account,
            {200: None},
            tag="me",
            refuses=(403, 404),
            streams=True,
        )
        api.route(
            "DELETE",
            "/v1/me",
            self.delete_me,
            {204: None},
            tag="me",
            body=s.DeleteMe,
            may_be_empty=True,
            refuses=(403, 404),
        )

    def change_password(self, call: Call) -> Answer:
        """A new password. All other sessions end, and their connections; this one stays, and device secrets do."""
        body: s.PutPassword = call.body
        call.must_be_logged_in()
        check_new(body.new, field="new")
        self._check_password(call, body.old, "old")
        self._accounts.set_password(
            call.login.user,
            body.new,
            keep_session=call.login.session_id,
            field="new",
            origin=call.origin,
        )
        return Answer(204, None)

    def list_events(self, call: Call) -> Answer:
        """What happened to one's account, newest first."""
        query: s.SecurityQuery = call.query
        call.must_be_logged_in()
        found, more = self._accounts.events(call.login.user, before=query.before, limit=query.limit)
        events = [
            s.SecurityEvent(
                id=one.event_id,
                event=one.event,
                device=one.device,
                address=one.address,
                ts=one.ts,
                detail=one.detail,
            )
            for one in found
        ]
        return Answer(200, s.SecurityBody(events=events, more=more))

    def export_account(self, call: Call) -> Answer:
        """All that one's account has, as a zip archive of JSON files."""
        call.must_be_logged_in()
        user = call.login.user
        if not self._exporting.acquire(blocking=False):
            raise Unavailable("too many exports at once", retry_after=10)
        try:
            self._limits.export(user)
            self._accounts.note_export(user, origin=call.origin)
            chunks = self._chunks(user)
            first = next(chunks)  # what can be refused, is refused here
        except BaseException:
            self._exporting.release()
            raise
        return Answer(200, Download(ZIP, f"{user}.zip", _Released(first, chunks, self._exporting)))

    def delete_me(self, call: Call) -> Answer:
        """Delete the account and what it wrote. Its name is never given again."""
        body: s.DeleteMe = call.body
        call.must_be_logged_in()
        if not isinstance(body.password, UnsetType):
            self._check_password(call, body.password, "password")
        elif not self._is_fresh(call.login):
            raise BadRequest("needed, because the login is older than five minutes", field="password")
        self._accounts.delete(call.login.user, origin=call.origin)
        return Answer(204, None)

    def _check_password(self, call: Call, password: str, field: str) -> None:
        """Raises: Unauthorized; RateLimited after too many failures."""
        user = call.login.user
        with self._limits.failed_logins.attempt(user, call.address):
            self._accounts.check_password(user, password, field=field, origin=call.origin)

    def _is_fresh(self, login: Login) -> bool:
        began = self._accounts.session_began(login.session_id or "")
        return began is not None and self._accounts.now_ms() - began <= FRESH_MS

    def _chunks(self, user: UserId) -> Iterator[bytes]:
        now_ms = time.time_ns() // 1_000_000
        date = datetime.fromtimestamp(now_ms / 1000, UTC)
        made = (date.year, date.month, date.day, date.hour, date.minute, date.second)
        return zipped(self._export.files(user, now_ms), made)


class _Released:
    """The chunks; the place among the exports is free again when they are all sent, or nobody wants them any more."""

    def __init__(self, first: bytes, rest: Iterator[bytes], place: threading.BoundedSemaphore) -> None:
        self._chunks = itertools.chain([first], rest)
        self._place: threading.BoundedSemaphore | None = place

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._chunks
        finally:
            self.close()

    def close(self) -> None:
        """Called by the web server in any case (PEP 3333), also where nothing was read."""
        place, self._place = self._place, None
        if place is not None:
            place.release()


def _shown(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
