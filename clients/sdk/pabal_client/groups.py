"""Groups, as `Client.groups`."""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from pabal.ids import parse_user
from pabal.messages import Committed, Done
from pabal_client.asking import Asking, read_committed, read_done
from pabal_client.pending import Pending

_NEW = "group.create"
_JOINING = "group.join"


class Member(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`role` is `owner`, `admin` or `member`. `muted_until`: milliseconds since 1970 UTC, where silenced."""

    user: str
    role: str = "member"
    muted_until: int | None = None


class Group(Struct, frozen=True, kw_only=True):
    """A group as its members see it.

    `history` says what newcomers see: `join` (from their join on) or `all`; `posting` who may write: `all` or
    `admins`. With `more` there are further members after the last one: ask again with `after`.
    """

    name: str
    conv: str = ""
    mode: str = "small"
    history: str = "join"
    posting: str = "all"
    members: list[Member] = []
    more: bool = False


class Invite(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A code that lets its holder in: who made it, how many joined by it (`used`) and how many still may (`uses`).
    `expires` is in milliseconds since 1970 UTC. None: no end.
    """

    code: str
    expires: int | None = None
    uses: int | None = None
    used: int = 0
    by: str = ""
    ts: int = 0


class _Invites(Struct, frozen=True, kw_only=True):
    invites: list[Invite] = []


read_group = msgspec.json.Decoder(Group).decode
read_invite = msgspec.json.Decoder(Invite).decode
read_invites = msgspec.json.Decoder(_Invites).decode


class Groups:
    """What can be done with groups.

    Whatever changes one is kept like a message: it is on disk when the call returns, sent until it is answered,
    and done once. `wait` of what is returned waits for the answer and raises what it was refused with. The calls
    that return values wait themselves, up to `timeout` seconds, and raise NotConfirmed after that.
    """

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def create(
        self,
        name: str,
        members: Sequence[str] = (),
        *,
        history: str | None = None,
        posting: str | None = None,
    ) -> Pending[Committed]:
        """A new group of this user and `members`; the answer's `conv` is its id."""
        return self._asking.keep(
            _NEW, _NEW, read_committed, name=name, members=list(members), history=history, posting=posting
        )

    def get(self, conv: str, *, after: str | None = None, timeout: float = 30.0) -> Group:
        """The group and its members, those after `after` by name."""
        group = self._asking.ask("group.get", read_group, timeout, conv=conv, after=after)
        return msgspec.structs.replace(group, conv=group.conv or conv)

    def update(
        self, conv: str, *, name: str | None = None, history: str | None = None, posting: str | None = None
    ) -> Pending[Committed]:
        """What is left out stays as it is."""
        return self._asking.entry("group.update", conv, name=name, history=history, posting=posting)

    def add(self, conv: str, user: str, *, role: str | None = None) -> Pending[Committed]:
        """One more member; of one who is a member already, the role changes."""
        return self._asking.entry("group.add", conv, user=_name(user), role=role)

    def transfer(self, conv: str, user: str) -> Pending[Committed]:
        """This member owns the group from now on."""
        return self.add(conv, user, role="owner")

    def remove(self, conv: str, user: str) -> Pending[Committed]:
        return self._asking.entry("group.remove", conv, user=_name(user))

    def leave(self, conv: str) -> Pending[Committed]:
        return self._asking.entry("group.leave", conv)

    def dissolve(self, conv: str) -> Pending[Committed]:
        """Nobody is a member any more. For the owner."""
        return self._asking.entry("group.dissolve", conv)

    def mute(self, conv: str, user: str, *, until: int | None = None) -> Pending[Committed]:
        """This member may not write, up to `until` (milliseconds since 1970 UTC) or until `unmute`."""
        return self._asking.entry("group.mute", conv, user=_name(user), until=until)

    def unmute(self, conv: str, user: str) -> Pending[Committed]:
        return self._asking.entry("group.mute", conv, user=_name(user), remove=True)

    def invite(
        self, conv: str, *, expires_in: int | None = None, uses: int | None = None, timeout: float = 30.0
    ) -> Invite:
        """A new code, good for `expires_in` seconds and so many `uses`."""
        return self._asking.ask(
            "group.invite", read_invite, timeout, conv=conv, expires_in=expires_in, uses=uses
        )

    def invites(self, conv: str, *, timeout: float = 30.0) -> list[Invite]:
        """The codes that are still good."""
        return self._asking.ask("group.invites", read_invites, timeout, conv=conv).invites

    def uninvite(self, conv: str, code: str) -> Pending[Done]:
        """The code is good no more."""
        return self._asking.keep("group.uninvite", conv, read_done, conv=conv, code=code)

    def join(self, code: str) -> Pending[Committed]:
        """Into the group that the code is of; the answer's `conv` says which."""
        return self._asking.keep(_JOINING, _JOINING, read_committed, code=code)


def _name(user: str) -> str:
    return parse_user(user.removeprefix("@"))
