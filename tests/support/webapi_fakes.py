"""A relay and its database for webapi, in memory: answers as the real ones do, as far as HTTP can see it."""

import threading
from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from bridge.trace import Trace
from pabal import codec
from pabal import messages as m
from pabal.errors import NotAMember, NotFound, PabalError, Unavailable
from pabal.ids import ConvId, DeviceId, UserId, direct, group, is_direct, members_of, parse_conv, parse_user
from pabal.presence import State
from pabal.push import QuietHours

EPOCH = "e1"


class FakeTraces:
    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []
        self.refusal: Exception | None = None

    def whole(self, conv, message_id) -> Trace:
        return self._answer("whole", conv, message_id)

    def own(self, viewer, conv, message_id) -> Trace:
        return self._answer(viewer, conv, message_id)

    def _answer(self, *asked) -> Trace:
        self.asked.append(asked)
        if self.refusal is not None:
            raise self.refusal
        return Trace(
            conv="alice~bob", message_id=7, type="message", kind="text", from_="alice", committed=1,
            way="inbox", recipients=[],
        )  # fmt: skip


class FakeChat:
    """Direct messages between known users: both `webapi.ports.Reads` and `webapi.ports.RelayClient`."""

    def __init__(self, users: Collection[str] = ("alice", "bob", "carol")) -> None:
        self.users = set(users)
        self.guard = threading.RLock()
        self.inboxes: dict[str, list[bytes]] = {}
        self.convs: dict[str, list[m.Message]] = {}
        self.known: dict[tuple[str, str, str], m.Committed] = {}
        self.requests: list[tuple[str, str, dict]] = []
        self.is_up = True
        self.refusal: PabalError | None = None
        self.headed = 0
        # Whose presence one sees, and the rooms that one is in.
        self.sees: set[tuple[str, str]] = set()
        self.rooms: set[tuple[str, str]] = set()
        self.reports = 0
        # A test that asks for these puts the real ones here.
        self.people: Any = None
        self.pushes: Any = None
        self.traces = FakeTraces()

    # Reads

    def sync(self, user: UserId, after: int, epoch: str | None, limit: int) -> bytes:
        with self.guard:
            self._check_up()
            inbox = self.inboxes.get(user, [])
            if after > len(inbox) or epoch not in {None, EPOCH}:
                page = msgspec.json.decode(self.conversations(user, None, 100), type=m.ConversationPage)
                return codec.encode(
                    m.SyncReset(
                        re=None,
                        epoch=EPOCH,
                        head=len(inbox),
                        conversations=page.conversations,
                        more=page.more,
                    )
                )
            items = [Raw(one) for one in inbox[after : after + limit]]
            more = after + len(items) < len(inbox)
            return codec.encode(
                m.SyncPage(re=None, epoch=EPOCH, head=len(inbox), items=items, more=more, rooms={})
            )

    def history(self, user: UserId, conv: ConvId, before: int | None, after: int | None, limit: int) -> bytes:
        with self.guard:
            self._check_up()
            if is_direct(conv) and user not in members_of(conv):
                raise NotAMember("not in this conversation")
            if not is_direct(conv):
                raise NotFound("no such conversation", field="conv")
            log = self.convs.get(conv, [])
            if after is not None:
                fitting = [one for one in log if one.message_id > after]
                items = fitting[:limit]
            else:
                fitting = [one for one in log if before is None or one.message_id < before]
                items = fitting[-limit:]
            return codec.encode(
                m.HistoryPage(
                    re=None,
                    conv=conv,
                    head=len(log),
                    items=items,
                    more=len(items) < len(fitting),
                    receipts=[],
                )
            )

    def conversations(self, user: UserId, after: str | None, limit: int) -> bytes:
        with self.guard:
            self._check_up()
            mine = sorted(conv for conv in self.convs if user in members_of(ConvId(conv)))
            rest = [conv for conv in mine if after is None or conv > after]
            rows = [
                m.ConversationSummary(
                    conv=conv,
                    kind="direct",
                    head=len(self.convs[conv]),
                    read=0,
                    unread=len(self.convs[conv]),
                    mentions=0,
                )
                for conv in rest[:limit]
            ]
            return codec.encode(m.ConversationPage(re=None, conversations=rows, more=len(rest) > limit))

    def my_reactions(
        self, user: UserId, conv: ConvId, after: tuple[int, str], limit: int
    ) -> list[tuple[int, str]]:
        """There are none here."""
        self.history(user, conv, None, after[0], limit)
        return []

    def group(self, _user: UserId, _conv: ConvId, _after: str | None, _limit: int) -> bytes:
        raise NotFound("no such group", field="conv")

    def invites(self, _user: UserId, _conv: ConvId) -> bytes:
        raise NotFound("no such group", field="conv")

    def head(self, user: UserId) -> int:
        with self.guard:
            return len(self.inboxes.get(user, []))

    def heads(self, users: Collection[UserId]) -> dict[UserId, int]:
        with self.guard:
            self.headed += 1
            self._check_up()
            return {user: len(self.inboxes[user]) for user in users if user in self.inboxes}

    def in_room(self, user: UserId, conv: ConvId) -> bool:
        return (user, conv) in self.rooms

    def visible_to(self, viewer: UserId, users: Collection[UserId]) -> set[UserId]:
        return {user for user in users if (viewer, user) in self.sees}

    def presence(self, _user: UserId, users: Sequence[UserId], states: Callable[[UserId], State]) -> bytes:
        """Everybody shows it to everybody."""
        found = [m.UserPresence(user=user, state=states(user)) for user in dict.fromkeys(users)]
        return codec.encode(m.PresenceList(re=None, presence=found))

    # RelayClient

    def connected(self) -> bool:
        return self.is_up

    def ask(self, user: UserId, device: DeviceId, request: bytes) -> bytes:
        with self.guard:
            self._check_up()
            read = codec.decode_request(request)
            self.requests.append((user, device, msgspec.json.decode(request)))
            if isinstance(read, codec.Rejected):
                return codec.encode(codec.refusal(read.re, read.error))
            assert read.id is not None, "a relay is only asked what it can answer"
            try:
                if self.refusal is not None:
                    raise self.refusal
                return codec.encode(self._do(user, device, read))
            except PabalError as error:
                return codec.encode(codec.refusal(read.id, error))

    def _do(  # noqa: C901, PLR0911, PLR0912 -- one line for each kind of request
        self, user: UserId, device: DeviceId, read: m.AnyRequest
    ) -> object:
        match read:
            case m.Send():
                return self._send(user, device, read)
            case m.Sync():
                page = self.sync(user, read.after, read.epoch, read.limit)
                return {**msgspec.json.decode(page), "re": read.id}
            case m.History():
                page = self.history(user, parse_conv(read.conv), read.before, read.after, read.limit)
                return {**msgspec.json.decode(page), "re": read.id}
            case m.Conversations():
                page = self.conversations(user, read.after, read.limit)
                return {**msgspec.json.decode(page), "re": read.id}
            case m.ContactRequest():
                return m.ContactState(re=read.id, user=read.user, state="requested")
            case m.Report():
                self.reports += 1
                return m.ReportDone(re=read.id, report=1, dup=self.reports > 1)
            case m.GroupCreate():
                return m.Committed(re=read.id, conv=group(b"8 bytes!"), message_id=1, ts=1)
            case m.GroupAdd() | m.GroupRemove() | m.GroupLeave() | m.GroupUpdate() | m.GroupDissolve():
                raise NotFound("no such group", field="conv")
            case m.GroupMute() | m.GroupInvite() | m.GroupUninvite() | m.GroupJoin():
                raise NotFound("no such group", field="conv")
            case m.Edit() | m.Recall() | m.React():
                return self._change(user, read)
            case m.Presence():
                asked = [m.UserPresence(user=parse_user(one), state="offline") for one in read.users]
                return m.PresenceList(re=read.id, presence=asked)
            case m.PushGet():
                return m.PushState(
                    re=read.id, device=device, service="stdout", preview="full", lang="ko", since=1
                )
            case m.QuietGet():
                hours = QuietHours(from_="22:00", to="07:00", tz="Asia/Seoul")
                return m.QuietState(re=read.id, quiet=hours, conversations={"alice~bob": hours})
            case _:
                return m.Done(re=read.id)

    def _send(self, user: UserId, device: DeviceId, send: m.Send) -> m.Committed:
        to = parse_user(send.to, field="to") if send.to is not None else None
        conv = direct(user, to) if to is not None else parse_conv(send.conv)
        if user not in members_of(conv):
            raise NotAMember("not in this conversation")
        if unknown := set(members_of(conv)) - self.users:
            raise NotFound(f"no user {unknown.pop()!r}", field="to")
        key = (user, device, send.id or "")
        if key in self.known:
            return msgspec.structs.replace(self.known[key], dup=True)
        log = self.convs.setdefault(conv, [])
        body = msgspec.UNSET if send.body is None else Raw(codec.encode(send.body))
        made = m.Message(message_id=len(log) + 1, from_=user, kind=send.kind, ts=1, text=send.text, body=body)
        log.append(made)
        for member in members_of(conv):
            inbox = self.inboxes.setdefault(member, [])
            inbox.append(
                codec.encode(
                    {"seq": len(inbox) + 1, "type": "message", "conv": conv, "message_id": made.message_id}
                )
            )
        self.known[key] = m.Committed(re=send.id, conv=conv, message_id=made.message_id, ts=1)
        return self.known[key]

    def _change(self, user: UserId, asked: m.Edit | m.Recall | m.React) -> m.Committed:
        conv = parse_conv(asked.conv)
        if user not in members_of(conv):
            raise NotAMember("not in this conversation")
        log = self.convs.get(conv, [])
        if asked.target > len(log):
            raise NotFound("no such message", field="target")
        return m.Committed(re=asked.id, conv=conv, message_id=len(log) + 1, ts=1)

    def _check_up(self) -> None:
        if not self.is_up:
            raise Unavailable("down", retry_after=1)
