"""What webapi needs from the rest of the house: small protocols, owned here because webapi calls them.

All methods may block, and are called from many threads at once.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from bridge.export import ExportPushes
from bridge.trace import Trace
from pabal import messages as m
from pabal.ids import ConvId, DeviceId, UserId
from pabal.presence import State


class Reads(Protocol):
    """The database, for reading. Pages are JSON as `pabal.messages` has it, with `"re":null`.

    Raises (each of them): the errors of `pabal.errors`, Unavailable if the database does not answer.
    """

    def sync(self, user: UserId, after: int, epoch: str | None, limit: int) -> bytes:
        """A `SyncPage` or a `SyncReset`."""
        ...

    def history(self, user: UserId, conv: ConvId, before: int | None, after: int | None, limit: int) -> bytes:
        """A `HistoryPage`. Raises: NotAMember, NotFound."""
        ...

    def conversations(self, user: UserId, after: str | None, limit: int) -> bytes:
        """A `ConversationPage`."""
        ...

    def my_reactions(
        self, user: UserId, conv: ConvId, after: tuple[int, str], limit: int
    ) -> list[tuple[int, str]]:
        """One's own reactions, `(message_id, emoji)` above `after`. Raises: NotAMember, NotFound."""
        ...

    def group(self, user: UserId, conv: ConvId, after: str | None, limit: int) -> bytes:
        """A `GroupPage`. Raises: NotAMember, NotFound."""
        ...

    def invites(self, user: UserId, conv: ConvId) -> bytes:
        """An `InvitePage`. Raises: NotAMember, NotFound, Forbidden."""
        ...

    def head(self, user: UserId) -> int:
        """The newest seq of the user's inbox; 0 if there is none."""
        ...

    def heads(self, users: Collection[UserId]) -> dict[UserId, int]:
        """`head` of each, in one query; users without an inbox may be left out."""
        ...

    def in_room(self, user: UserId, conv: ConvId) -> bool:
        """Whether this user is a present member of this group."""
        ...

    def visible_to(self, viewer: UserId, users: Collection[UserId]) -> set[UserId]:
        """Which of them let `viewer` see when they are online."""
        ...

    def presence(self, user: UserId, users: Sequence[UserId], states: Callable[[UserId], State]) -> bytes:
        """A `PresenceList`: of what `states` says, as much as each of them shows to this user."""
        ...

    @property
    def people(self) -> "PeopleReads": ...

    @property
    def traces(self) -> "Traces": ...

    @property
    def pushes(self) -> ExportPushes: ...


class Traces(Protocol):
    """One message's way. Raises (each of them): NotFound, Unavailable."""

    def whole(self, conv: ConvId, message_id: int) -> Trace: ...

    def own(self, viewer: UserId, conv: ConvId, message_id: int) -> Trace:
        """Of what `viewer` wrote. Raises: NotAMember, Forbidden."""
        ...


class PeopleReads(Protocol):
    """The database, for reading about people.

    Raises (each of them): the errors of `pabal.errors`, Unavailable if the database does not answer.
    """

    def contacts(self, user: UserId, after: UserId | None, limit: int) -> m.ContactPage: ...

    def blocks(self, user: UserId, after: UserId | None, limit: int) -> m.BlockPage: ...

    def search(self, viewer: UserId, q: str, limit: int) -> m.UserPage:
        """Raises: BadRequest for a `q` that is too short."""
        ...

    def profile(self, viewer: UserId, user: UserId) -> m.PublicProfile:
        """What `viewer` may know of `user`. Raises: NotFound."""
        ...

    def reports(self, after: int, limit: int) -> tuple[Sequence[m.KeptReport], bool]:
        """By number, from above `after` on, and whether there are more."""
        ...


class RelayClient(Protocol):
    """The one writer of conversations, asked in a user's name."""

    def ask(self, user: UserId, device: DeviceId, request: bytes) -> bytes:
        """The relay's JSON reply to one JSON request that has an `id`.

        Raises: Unavailable if no answer came in time. Asking again with the same `id` is safe.
        """
        ...

    def connected(self) -> bool:
        """Whether the relay could be asked right now."""
        ...
