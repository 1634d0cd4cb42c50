"""All that an account has, as files for its owner: read page by page, so that the memory it takes is bounded.

Pages are read one after the other, beside a server that goes on: an export is not one moment.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec
from msgspec import Raw

from bridge.accounts.service import Accounts
from bridge.accounts.values import Profile
from bridge.store.audit_log import AuditEvent
from pabal import messages as m
from pabal.errors import NotAMember, NotFound
from pabal.ids import ConvId, UserId

PAGE = 200

README = """What the account {user} has on this server, as of {when} (UTC).

profile.json              what is known of the person
devices.json              its devices; secrets are not kept by the server, only their hashes, which are left out
sessions.json             logins that live, without their tokens
security.json             what happened to the account, newest first
privacy.json              what it has chosen that others may do and see
pushes.json               how its devices are reached by push, without the addresses
quiet.json                hours in which it wants no pushes
contacts.json             its contacts, and requests that wait
blocks.json               whom it has blocked
conversations.json        the conversations that it is in
messages/CONVERSATION.json    all entries of each that it may see, oldest first, in their newest state
reactions/CONVERSATION.json   its own reactions there: to which message, and what

Each file is JSON in UTF-8: one object, or one array. Times are milliseconds since 1970 UTC. The fields are those of the
protocol's replies. An entry is a message, or a change of one, of members or of settings; "recalled": true is what is left of a
message that was taken back.
"""


class ExportReads(Protocol):
    """What an export reads of conversations; pages are JSON as in `bridge.reads.Reads`."""

    @property
    def pushes(self) -> "ExportPushes": ...

    def conversations(self, user: UserId, after: str | None, limit: int) -> bytes: ...

    def history(self, user: UserId, conv: ConvId, before: int | None, after: int | None, limit: int) -> bytes:
        """Raises: NotAMember, NotFound."""
        ...

    def my_reactions(
        self, user: UserId, conv: ConvId, after: tuple[int, str], limit: int
    ) -> list[tuple[int, str]]:
        """Raises: NotAMember, NotFound."""
        ...


class ExportPushes(Protocol):
    """What an export reads of pushes."""

    def subscriptions(self, user: UserId) -> Sequence[m.PushState]: ...

    def quiet_state(self, user: UserId) -> m.QuietState: ...


class ExportPeople(Protocol):
    """What an export reads of people, by their names."""

    def contacts(self, user: UserId, after: UserId | None, limit: int) -> m.ContactPage: ...

    def blocks(self, user: UserId, after: UserId | None, limit: int) -> m.BlockPage: ...


@dataclass(frozen=True, slots=True)
class ExportFile:
    """One file of an export; its content is made while it is read."""

    name: str
    content: Iterable[bytes]


class _Numbered(msgspec.Struct, frozen=True):
    message_id: int


class _Named(msgspec.Struct, frozen=True):
    conv: str


class _Listed(msgspec.Struct, frozen=True):
    conversations: list[Raw]
    more: bool


class _Entries(msgspec.Struct, frozen=True):
    items: list[Raw]
    more: bool


class Export:
    """The files of one account. `shown` writes a time for people."""

    def __init__(
        self, accounts: Accounts, reads: ExportReads, people: ExportPeople, shown: Callable[[int], str]
    ) -> None:
        self._accounts = accounts
        self._reads = reads
        self._people = people
        self._shown = shown

    def files(self, user: UserId, now_ms: int) -> Iterator[ExportFile]:
        """Raises: NotFound before the first, if there is no such account; errors.Unavailable at any time."""
        profile = self._accounts.look_up(user)
        yield ExportFile("README.txt", [README.format(user=user, when=self._shown(now_ms)).encode()])
        for name, content in self._about(user, profile):
            yield ExportFile(name, content)
        yield ExportFile("conversations.json", _array(self._conversations(user)))
        for raw in self._conversations(user):
            conv = ConvId(msgspec.json.decode(raw, type=_Named).conv)
            yield ExportFile(f"messages/{conv}.json", _array(self._entries(user, conv)))
            yield ExportFile(f"reactions/{conv}.json", _array(self._reactions(user, conv)))

    def _about(self, user: UserId, profile: Profile) -> list[tuple[str, Iterable[bytes]]]:
        """What is not in conversations."""
        accounts = self._accounts
        return [
            ("profile.json", [_json(_profile(profile))]),
            ("privacy.json", [_json(profile.privacy)]),
            ("pushes.json", _array(_json(_plain(one)) for one in self._reads.pushes.subscriptions(user))),
            ("quiet.json", [_json(_plain(self._reads.pushes.quiet_state(user)))]),
            ("devices.json", _array(_json(one) for one in accounts.list_devices(user))),
            ("sessions.json", _array(_json(one) for one in accounts.list_sessions(user))),
            ("contacts.json", _array(_json(one) for one in self._contacts(user))),
            ("blocks.json", _array(_json(one) for one in self._blocks(user))),
            ("security.json", _array(_json(_event(one)) for one in self._events(user))),
        ]

    def _contacts(self, user: UserId) -> Iterator[m.Contact]:
        after: UserId | None = None
        more = True
        while more:
            page = self._people.contacts(user, after, PAGE)
            yield from page.contacts
            more = page.more and bool(page.contacts)
            after = UserId(page.contacts[-1].user) if page.contacts else None

    def _blocks(self, user: UserId) -> Iterator[m.BlockedUser]:
        after: UserId | None = None
        more = True
        while more:
            page = self._people.blocks(user, after, PAGE)
            yield from page.blocks
            more = page.more and bool(page.blocks)
            after = UserId(page.blocks[-1].user) if page.blocks else None

    def _events(self, user: UserId) -> Iterator[AuditEvent]:
        before: int | None = None
        more = True
        while more:
            page, more = self._accounts.events(user, before=before, limit=PAGE)
            yield from page
            before = page[-1].event_id if page else None

    def _conversations(self, user: UserId) -> Iterator[Raw]:
        after: str | None = None
        while True:
            page = msgspec.json.decode(self._reads.conversations(user, after, PAGE), type=_Listed)
            yield from page.conversations
            if not page.more or not page.conversations:
                return
            after = msgspec.json.decode(page.conversations[-1], type=_Named).conv

    def _entries(self, user: UserId, conv: ConvId) -> Iterator[Raw]:
        after = 0
        while True:
            try:
                content = self._reads.history(user, conv, None, after, PAGE)
            except (NotAMember, NotFound):
                return  # it was left meanwhile
            page = msgspec.json.decode(content, type=_Entries)
            yield from page.items
            if not page.more or not page.items:
                return
            after = msgspec.json.decode(page.items[-1], type=_Numbered).message_id

    def _reactions(self, user: UserId, conv: ConvId) -> Iterator[bytes]:
        after = (0, "")
        while True:
            try:
                page = self._reads.my_reactions(user, conv, after, PAGE)
            except (NotAMember, NotFound):
                return
            for target, emoji in page:
                yield _json({"target": target, "emoji": emoji})
            if len(page) < PAGE:
                return
            after = page[-1]


def _array(items: Iterable[bytes | Raw]) -> Iterator[bytes]:
    """A JSON array, an item a line."""
    between = b"[\n"
    for item in items:
        yield between + bytes(item)
        between = b",\n"
    yield b"[]\n" if between == b"[\n" else b"\n]\n"


def _plain(reply: m.PushState | m.QuietState) -> dict[str, object]:
    """What a reply says, without what makes it one."""
    fields: dict[str, object] = msgspec.to_builtins(reply)
    return {name: value for name, value in fields.items() if name not in {"re", "ok"}}


def _json(value: object) -> bytes:
    return msgspec.json.encode(value, order="sorted")


def _profile(profile: Profile) -> dict[str, object]:
    return {
        "user": profile.user,
        "display_name": profile.display_name,
        "about": profile.about,
        "admin": profile.admin,
        "created_ts": profile.created_ts,
    }


def _event(event: AuditEvent) -> dict[str, object]:
    return {
        "id": event.event_id,
        "event": event.event,
        "device": event.device,
        "address": event.address,
        "ts": event.ts,
        "detail": event.detail,
    }
