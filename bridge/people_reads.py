"""What people may know of each other: contacts and blocks of their own, profiles, search; and reports for moderators.

Each answer is a reply of `pabal.messages`, with `re` as given.
"""

from collections.abc import Sequence

from bridge.store.failures import answering
from bridge.store.read_store import ReadStore
from bridge.updates import raw_body, within_bytes
from pabal import codec
from pabal import messages as m
from pabal.errors import BadRequest, Forbidden, NotFound
from pabal.ids import UserId
from pabal.privacy import folded


class PeopleReads:
    """Safe for use by several threads. Every method raises errors.Unavailable if the database fails."""

    def __init__(self, store: ReadStore) -> None:
        self._store = store

    def contacts(
        self, user: UserId, after: UserId | None, limit: int, re: str | None = None
    ) -> m.ContactPage:
        """By user and at most MAX_PAGE_BYTES; without people whose account is not active."""
        with answering(), self._store.snapshot() as snapshot:
            found = snapshot.people.contacts(user, after or "", limit + 1)
        listed = [
            m.Contact(
                user=other,
                state=state,
                since=ts,
                display_name=None if state == "requested" else name,
                text=text,
            )
            for other, state, ts, name, text in found[:limit]
        ]
        fitting = within_bytes([codec.encode(one) for one in listed], m.MAX_PAGE_BYTES)
        return m.ContactPage(re=re, contacts=listed[:fitting], more=fitting < len(found))

    def blocks(self, user: UserId, after: UserId | None, limit: int, re: str | None = None) -> m.BlockPage:
        """By user."""
        with answering(), self._store.snapshot() as snapshot:
            found = snapshot.people.blocks(user, after or "", limit + 1)
        listed = [m.BlockedUser(user=other, since=ts) for other, ts in found[:limit]]
        return m.BlockPage(re=re, blocks=listed, more=len(found) > limit)

    def search(self, viewer: UserId, q: str, limit: int, re: str | None = None) -> m.UserPage:
        """Who does not want to be found is not, nor whoever has blocked the viewer, or is blocked.

        Raises: BadRequest for a `q` that is too short or cannot be.
        """
        asked = folded(q.strip())
        if len(asked) < m.MIN_SEARCH or "\0" in asked:
            raise BadRequest(f"at least {m.MIN_SEARCH} characters, none of them U+0000", field="q")
        with answering(), self._store.snapshot() as snapshot:
            by_id = snapshot.people.named(viewer, asked, limit + 1)
            by_name = snapshot.people.called(viewer, asked, limit + 1)
        found = list(dict.fromkeys([*by_id, *by_name]))
        listed = [m.FoundUser(user=user, display_name=name) for user, name in found[:limit]]
        return m.UserPage(re=re, users=listed, more=len(found) > limit)

    def profile(self, viewer: UserId, user: UserId) -> m.PublicProfile:
        """That there is somebody, and to contacts and members of the same small groups what they say of themselves.

        Raises: NotFound if there is no active account of that name.
        """
        with answering(), self._store.snapshot() as snapshot:
            relation = snapshot.relation(viewer, user)
            if relation is None:
                raise NotFound(f"no user {user!r}", field="user")
            if viewer != user and not relation.shows_profile:
                return m.PublicProfile(user=user)
            name, about = snapshot.people.profile(user)
        return m.PublicProfile(user=user, display_name=name, about=about)

    def check_admin(self, user: UserId) -> None:
        """Raises: Forbidden."""
        with answering(), self._store.snapshot() as snapshot:
            if not snapshot.people.is_admin(user):
                raise Forbidden("reports are for admins")

    def report_page(self, after: int, limit: int, re: str | None) -> m.ReportPage:
        """By number and at most MAX_PAGE_BYTES, but one at least."""
        listed, more = self.reports(after, limit)
        fitting = within_bytes([codec.encode(one) for one in listed], m.MAX_PAGE_BYTES)
        return m.ReportPage(re=re, reports=list(listed[:fitting]), more=more or fitting < len(listed))

    def reports(self, after: int, limit: int) -> tuple[Sequence[m.KeptReport], bool]:
        """By number, from above `after` on, and whether there are more."""
        with answering(), self._store.snapshot() as snapshot:
            found = snapshot.people.reports(after, limit + 1)
        listed = [
            m.KeptReport(
                report=number,
                ts=ts,
                reporter=reporter,
                user=about,
                conv=conv or None,
                message_id=message_id or None,
                reason=reason,
                text=text,
                content=raw_body(content),
            )
            for number, ts, reporter, about, conv, message_id, reason, text, content in found[:limit]
        ]
        return listed, len(found) > limit
