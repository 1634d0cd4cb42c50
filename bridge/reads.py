"""What a device may ask to read: its inbox, its conversations, and their history.

Each answer is the JSON of a reply of `pabal.messages`, with `re` as given.
"""

from collections.abc import Callable, Collection, Iterable, Sequence

from bridge import updates
from bridge.group_reads import group_page, invite_page
from bridge.people_reads import PeopleReads
from bridge.ports import InboxPage
from bridge.push_reads import PushReads
from bridge.store.failures import answering
from bridge.store.faults import now_ms
from bridge.store.read_store import ReadStore, Snapshot
from bridge.trace import TraceReads
from pabal import codec, ids
from pabal import messages as m
from pabal.errors import BadRequest, NotAMember, NotFound, Unavailable
from pabal.ids import ConvId, UserId
from pabal.presence import State

SNAPSHOT_CONVERSATIONS = 200


class Reads:
    """Safe for use by several threads. Every method raises errors.Unavailable if the database fails."""

    def __init__(
        self,
        store: ReadStore,
        epoch: str | None,
        clock_ms: Callable[[], int] = now_ms,
        states: Callable[[UserId], State] = lambda _user: "offline",
    ) -> None:
        """`epoch` is that of the process that commits; None, for one beside it: the database is asked each time, as it
        may be restored meanwhile. `states` says of a user, in any thread, what others are told; only the committing
        process knows.
        """
        self._store = store
        self._given_epoch = epoch
        self._states = states
        self._people = PeopleReads(store)
        self._pushes = PushReads(store)
        self._traces = TraceReads(store)
        self._clock_ms = clock_ms

    @property
    def epoch(self) -> str:
        if self._given_epoch is None:
            raise AssertionError("only the committing process may ask for it")
        return self._given_epoch

    def _epoch(self, snapshot: Snapshot) -> str:
        """Raises: Unavailable while no server has used the database."""
        epoch = self._given_epoch or snapshot.epoch()
        if epoch is None:
            raise Unavailable("no server has begun to use this database yet", retry_after=1)
        return epoch

    @property
    def people(self) -> PeopleReads:
        return self._people

    @property
    def traces(self) -> TraceReads:
        return self._traces

    @property
    def pushes(self) -> PushReads:
        return self._pushes

    def head(self, user: UserId) -> int:
        """The newest seq of the inbox; 0 for an empty one."""
        with answering(), self._store.snapshot() as snapshot:
            return snapshot.head(user)[0]

    def heads(self, users: Iterable[UserId]) -> dict[UserId, int]:
        """Likewise for many; empty inboxes are left out."""
        with answering(), self._store.snapshot() as snapshot:
            return snapshot.heads(users)

    def in_room(self, user: UserId, conv: ConvId) -> bool:
        """Whether this user may follow the room of this conversation: a present member of the group."""
        with answering(), self._store.snapshot() as snapshot:
            return not ids.is_direct(conv) and snapshot.visible_from(conv, user) is not None

    def inbox(self, user: UserId, after: int, limit: int) -> InboxPage:
        """At most `limit` updates and `MAX_PAGE_BYTES`, at least one if there is any above `after`."""
        with answering(), self._store.snapshot() as snapshot:
            return self._page(snapshot, user, after, limit)

    def sync(self, user: UserId, after: int, epoch: str | None, limit: int, re: str | None = None) -> bytes:
        """A SyncPage, or a SyncReset when `after` cannot be continued from."""
        with answering(), self._store.snapshot() as snapshot:
            head, min_seq = snapshot.head(user)
            ours = self._epoch(snapshot)
            if after > head or after < min_seq - 1 or epoch not in {None, ours}:
                listed, more = _summaries(snapshot, user, "", SNAPSHOT_CONVERSATIONS)
                return codec.encode(
                    m.SyncReset(re=re, epoch=ours, head=head, conversations=listed, more=more)
                )
            page = self._page(snapshot, user, after, min(limit, m.MAX_SYNC_LIMIT))
            rooms = snapshot.rooms(user)
        items = [codec.raw(payload) for _seq, payload in page.updates]
        reached = page.updates[-1][0] if page.updates else after
        return codec.encode(
            m.SyncPage(re=re, epoch=ours, head=head, items=items, more=reached < head, rooms=rooms)
        )

    def history(
        self,
        user: UserId,
        conv: ConvId,
        before: int | None,
        after: int | None,
        limit: int,
        re: str | None = None,
    ) -> bytes:
        """A HistoryPage: the newest below `before` (default: of all), or the oldest above `after`.

        Raises: BadRequest if both are given; NotAMember; NotFound for a group, or somebody to talk with, that does not exist.
        """
        if before is not None and after is not None:
            raise BadRequest("either 'before' or 'after'", field="before")
        check_reader(user, conv)
        limit = min(limit, m.MAX_HISTORY_LIMIT)
        with answering(), self._store.snapshot() as snapshot:
            head, first = _visible(snapshot, user, conv)
            if after is not None:
                found = snapshot.after(user, conv, after, limit + 1, first=first)
            else:
                before = m.MAX_NUMBER if before is None else before
                found = snapshot.before(user, conv, before, limit + 1, first=first)
            found, longer = found[:limit], len(found) > limit
            receipts = snapshot.receipts(conv, user)
            items = _items(snapshot, user, conv, found, first)
        fitting = updates.within_bytes([codec.encode(item) for item in items], m.MAX_PAGE_BYTES)
        more = longer or fitting < len(found)
        items = items[:fitting]
        if after is None:
            items.reverse()
        return codec.encode(
            m.HistoryPage(
                re=re,
                conv=conv,
                head=head,
                items=items,
                more=more,
                receipts=receipts,
            )
        )

    def conversations(self, user: UserId, after: str | None, limit: int, re: str | None = None) -> bytes:
        """A ConversationPage, by conversation id."""
        with answering(), self._store.snapshot() as snapshot:
            listed, more = _summaries(snapshot, user, after or "", min(limit, m.MAX_HISTORY_LIMIT))
        return codec.encode(m.ConversationPage(re=re, conversations=listed, more=more))

    def group(
        self, user: UserId, conv: ConvId, after: str | None, limit: int, re: str | None = None
    ) -> bytes:
        """A GroupPage with the members after that name. Raises: NotFound, NotAMember."""
        limit = min(limit, m.MAX_SYNC_LIMIT)
        with answering(), self._store.snapshot() as snapshot:
            return group_page(snapshot.groups, user, conv, after, limit, self._clock_ms(), re)

    def invites(self, user: UserId, conv: ConvId, re: str | None = None) -> bytes:
        """An InvitePage. Raises: NotFound, NotAMember, Forbidden."""
        with answering(), self._store.snapshot() as snapshot:
            return invite_page(snapshot.groups, user, conv, self._clock_ms(), re)

    def presence(
        self,
        viewer: UserId,
        users: Sequence[UserId],
        states: Callable[[UserId], State] | None = None,
        re: str | None = None,
    ) -> bytes:
        """A PresenceList. `states` None: those that this was made with."""
        told = states or self._states
        asked = list(dict.fromkeys(users))
        with answering(), self._store.snapshot() as snapshot:
            relations = snapshot.relations(viewer, asked)
            shown = {user for user, of in relations.items() if user == viewer or of.shows_presence}
            seen = snapshot.last_seen(
                user for user, of in relations.items() if user == viewer or of.shows_last_seen
            )
        return codec.encode(
            m.PresenceList(
                re=re,
                presence=[
                    m.UserPresence(
                        user=user,
                        state=told(user) if user in shown else "offline",
                        last_seen=seen.get(user),
                    )
                    for user in asked
                ],
            )
        )

    def visible_to(self, viewer: UserId, users: Collection[UserId]) -> set[UserId]:
        """Whose presence this user may follow; everybody their own."""
        with answering(), self._store.snapshot() as snapshot:
            found = snapshot.relations(viewer, users)
        return {user for user, of in found.items() if user == viewer or of.shows_presence}

    def my_reactions(
        self, user: UserId, conv: ConvId, after: tuple[int, str], limit: int
    ) -> list[tuple[int, str]]:
        """One's own reactions to messages that one may see: `(message_id, emoji)` above `after`, in this order.

        Raises: NotAMember; NotFound for a group that does not exist.
        """
        check_reader(user, conv)
        with answering(), self._store.snapshot() as snapshot:
            _head, first = _visible(snapshot, user, conv)
            return snapshot.my_reactions(user, conv, after, limit, first=first)

    def _page(self, snapshot: Snapshot, user: UserId, after: int, limit: int) -> InboxPage:
        head, min_seq = snapshot.head(user)
        if after < min_seq - 1 or after >= head:
            return InboxPage([], head, min_seq)
        found = snapshot.inbox(user, after, limit)
        keys = {(row.conv_id, row.message_id) for row in found if row.data is None}
        messages = snapshot.messages((c, i) for c, i in keys if c is not None and i is not None)
        targets = _targets(snapshot, messages.values())
        _hide(snapshot, user, messages, targets)
        _withhold(snapshot, user, messages, targets)
        epoch, made = self._epoch(snapshot), []
        for row in found:
            message = messages.get((row.conv_id or "", row.message_id or 0))
            target = None if message is None else targets.get((message.conv_id, message.target or 0))
            payload = updates.update(row, message, reader=user, epoch=epoch, target=target)
            made.append((row.seq, payload))
        fitting = updates.within_bytes([payload for _seq, payload in made], m.MAX_PAGE_BYTES)
        return InboxPage(made[:fitting], head, min_seq)


def check_reader(user: UserId, conv: ConvId) -> None:
    """Raises: NotAMember if a direct conversation is between others."""
    if ids.is_direct(conv) and user not in ids.members_of(conv):
        raise NotAMember("this conversation is between others", field="conv")


def _visible(snapshot: Snapshot, user: UserId, conv: ConvId) -> tuple[int, int]:
    """`(head, first)`: the newest entry, and the first that this user may see.

    Raises: NotFound for a group, or somebody to talk with, that does not exist; NotAMember.
    """
    head = snapshot.conversation_head(conv)
    if ids.is_direct(conv):
        others = [] if head else [one for one in ids.members_of(conv) if one != user]
        if any(snapshot.relation(user, one) is None for one in others):
            raise NotFound(f"no such user '{others[0]}'", field="conv")
        return head or 0, 1
    if head is None:
        raise NotFound("no such conversation", field="conv")
    first = snapshot.visible_from(conv, user)
    if first is None:
        raise NotAMember("you are not in this group", field="conv")
    return head, first


def _targets(
    snapshot: Snapshot, rows: Iterable[updates.StoredMessage], first: int = 1
) -> dict[tuple[str, int], updates.StoredMessage]:
    """The messages that edits among the rows are about, from `first` on."""
    wanted = {
        (row.conv_id, row.target) for row in rows if row.type == "edited" and (row.target or 0) >= first
    }
    return snapshot.messages((conv, target) for conv, target in wanted if target is not None)


def _hide(snapshot: Snapshot, user: UserId, *found: dict[tuple[str, int], updates.StoredMessage]) -> None:
    """Leave nothing of what this user has hidden from the own view."""
    keys = {key for rows in found for key, row in rows.items() if row.type == "message"}
    for key in snapshot.hidden(user, keys) if keys else ():
        for rows in found:
            if key in rows:
                rows[key] = rows[key]._replace(text=None, body=None, hidden=True)


def _withhold(snapshot: Snapshot, user: UserId, *found: dict[tuple[str, int], updates.StoredMessage]) -> None:
    """Leave nothing of what messages were made to say after this user had left their group."""
    edited = {
        key
        for rows in found
        for key, row in rows.items()
        if row.edited_ts is not None and not ids.is_direct(ConvId(key[0]))
    }
    for key in snapshot.edited_unseen(user, edited) if edited else ():
        for rows in found:
            if key in rows:
                rows[key] = rows[key]._replace(text=None, body=None)


def _items(
    snapshot: Snapshot, user: UserId, conv: ConvId, rows: Sequence[updates.StoredMessage], first: int
) -> list[m.Message]:
    if not rows:
        return []
    targets = _targets(snapshot, rows, first)
    _hide(snapshot, user, targets)
    numbers = [row.message_id for row in rows]
    reactions: dict[int, list[tuple[str, str]]] = {}
    for message_id, emoji, by in snapshot.reactions(conv, min(numbers), max(numbers)):
        reactions.setdefault(message_id, []).append((emoji, by))
    return [
        updates.history_item(
            row,
            reader=user,
            target=targets.get((conv, row.target or 0)),
            reactions=reactions.get(row.message_id, ()),
        )
        for row in rows
    ]


def _summaries(
    snapshot: Snapshot, user: UserId, after: str, limit: int
) -> tuple[list[m.ConversationSummary], bool]:
    mine = snapshot.mine(user, after, limit + 1)
    more = len(mine) > limit
    mine = mine[:limit]
    found = snapshot.conversations(conv for conv, *_ in mine)
    last = snapshot.newest(user, ((conv, first) for conv, _read, _ordinal, first, _muted in mine))
    hidden = snapshot.hidden_above(user, [(conv, read) for conv, read, *_ in mine])
    mentions = snapshot.mentions(user, [(conv, read) for conv, read, *_ in mine])
    listed = []
    for conv, read, read_ordinal, _first, muted_until in mine:
        kind, mode, head, ordinal, name = found[conv]
        newest = last.get(conv)
        listed.append(
            m.ConversationSummary(
                conv=conv,
                kind="direct" if kind == "direct" else "group",
                mode="large" if mode == "large" else "small",
                head=head,
                read=read,
                unread=ordinal - read_ordinal - hidden.get(conv, 0),
                mentions=mentions.get(conv, 0),
                name=name,
                last=None if newest is None else updates.last_message(newest),
                muted_until=muted_until,
            )
        )
    fitting = updates.within_bytes([codec.encode(summary) for summary in listed], m.MAX_PAGE_BYTES)
    return listed[:fitting], more or fitting < len(listed)
