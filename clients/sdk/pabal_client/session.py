"""The session core: what a client does, without a socket, a clock, a thread or chance.

Time (`now`, seconds of any steady clock), ids and chance come in as arguments; what is to be done comes out as
effects (`pabal_client.effects`). The core is not thread-safe; its shell serialises the calls.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from types import MappingProxyType

import msgspec
from msgspec import Struct

from pabal import topics
from pabal.errors import BY_CODE, PabalError
from pabal.ids import ConvId, DeviceId, RequestId, UserId
from pabal_client import effects as e
from pabal_client.errors import UnknownRefusal
from pabal_client.inbox import Inbox
from pabal_client.live import Receipt, Typing, Typists, read_live
from pabal_client.outbox import Outbox
from pabal_client.rooms import Rooms
from pabal_client.watching import Watching

SUBACK_SECONDS = 30.0
_PATIENCE = frozenset({"rate_limited", "unavailable"})


class _Down(Struct, frozen=True):
    """What a reply says about itself, before anybody reads the rest."""

    re: str | None = None
    ok: bool | None = None
    type: str = ""
    reason: str = ""
    error: str = ""
    detail: str = ""
    retry_after: float | None = None


_down = msgspec.json.Decoder(_Down)
_down_list = msgspec.json.Decoder(list[msgspec.Raw])


class Session:
    """One device of one user, over any number of connections.

    Args:
        epoch, cursor: the stored position; None and 0 for a new device, which then gets all that is kept.
        rooms: the stored positions in large groups.
        entries: the stored outbox, oldest first.
        receive: False for a client that only sends and asks.
        random: from 0 to 1.
        window: how many requests may be unanswered at once.
    """

    def __init__(
        self,
        *,
        user: UserId,
        device: DeviceId,
        new_id: Callable[[], RequestId],
        random: Callable[[], float],
        epoch: str | None = None,
        cursor: int = 0,
        rooms: Mapping[ConvId, int] = MappingProxyType({}),
        entries: Iterable[e.Entry] = (),
        receive: bool = True,
        window: int = 16,
    ) -> None:
        self._me = user
        self._up_topic = topics.up(user, device)
        self._down_topic = topics.down(user, device)
        self._inbox_topic = topics.inbox(user)
        self._live_topic = topics.live(user)
        self._status_topic = topics.status(user, device)
        self._receive = receive
        self._tokens = count(1)
        self.outbox = Outbox(self._up_topic, tokens=self._tokens, random=random, window=window)
        self.inbox = Inbox(epoch=epoch, cursor=cursor, new_id=new_id, random=random)
        self.rooms = Rooms(user, self.inbox, positions=rooms, new_id=new_id, random=random)
        self.watching = Watching(random)
        self._typists = Typists()
        self._suback_by: float | None = None
        self._linked = self._online = False
        self._over = False
        self._state, self._connection = "online", 0
        for entry in entries:
            self.outbox.add(entry)

    @property
    def is_online(self) -> bool:
        """Connected, and the replies can be heard."""
        return self._online

    def status(self, state: str, n: int) -> e.Publish:
        """A retained `status` of this device; `n` counts its connections."""
        payload = msgspec.json.encode({"state": state, "n": n})
        return e.Publish(next(self._tokens), self._status_topic, payload, qos=1, retain=True)

    def set_status(self, state: str) -> list[e.Effect]:
        """`online`, `away` or `offline`, on this connection and those that follow."""
        changed, self._state = state != self._state, state
        return [self.status(state, self._connection)] if changed and self._linked else []

    def connected(self, now: float, n: int) -> list[e.Effect]:
        """The broker took the connection. Requests wait until the replies can be heard."""
        self._suback_by = now + SUBACK_SECONDS
        self._linked, self._connection = True, n
        filters = [(self._down_topic, 1)]
        if self._receive:
            filters += [(self._inbox_topic, 1), (self._live_topic, 0)]
        return [e.Subscribe(tuple(filters)), self.status(self._state, n)]

    def subscribed(self, now: float, granted: Sequence[bool], token: int = 0) -> list[e.Effect]:
        """The answer to the `Subscribe` with this token, one for each of its filters."""
        if token:
            self.rooms.subscribed(token, granted, now)
            self.watching.subscribed(token, granted, now)
            return self.tick(now)
        self._suback_by = None
        if not granted or not granted[0]:
            return self._end("the server does not let this device hear its replies")
        self._online = True
        self.outbox.online(now)
        if self._receive and not all(granted[1:2]):
            return [e.NotReceiving("the server does not let this device read the inbox"), *self.tick(now)]
        if self._receive:
            self.inbox.start(now)
            self.rooms.start(now)
            self.watching.start(now)
        return self.tick(now)

    def disconnected(self) -> list[e.Effect]:
        """The link is gone. What is left to do needs no link."""
        self._linked = self._online = False
        self._suback_by = None
        for request_id in [*self.inbox.stop(), *self.rooms.stop()]:
            self.outbox.settle(request_id)
        self.watching.stop()
        self.outbox.offline()
        return [e.Heard(typing) for typing in self._typists.clear()]

    def submit(self, entry: e.Entry, now: float) -> list[e.Effect]:
        """Send this until it is answered."""
        self.outbox.add(entry)
        kept: list[e.Effect] = [e.Keep(entry)] if entry.durable else []
        return kept + list(self.outbox.pump(now))

    def say_typing(self, conv: ConvId, on: bool, now: float) -> list[e.Effect]:
        """Tell the others that this user types, or no longer does. Lost where there is no connection."""
        if not self._online or not self._typists.worth_saying(conv, on, now):
            return []
        payload = msgspec.json.encode({"op": "typing", "conv": conv, "on": on})
        return [e.Publish(next(self._tokens), self._up_topic, payload, qos=0)]

    def watch(self, users: Iterable[UserId], now: float) -> list[e.Effect]:
        self.watching.watch(users, now)
        return self.tick(now)

    def unwatch(self, users: Iterable[UserId], now: float) -> list[e.Effect]:
        self.watching.unwatch(users)
        return self.tick(now)

    def forget(self, request_id: str, now: float) -> list[e.Effect]:
        """Nobody waits for this answer any more."""
        self.outbox.settle(request_id)
        return list(self.outbox.pump(now))

    def received(self, topic: str, payload: bytes, now: float) -> list[e.Effect]:
        """A publish came in. What is not for us, or cannot be read, is let go."""
        if self._over or not self._online:
            return []
        if topic == self._inbox_topic:
            return [*self._looked_at(self.inbox.live(payload, now), now), *self.tick(now)]
        if self.rooms.owns(topic):
            return [*self.rooms.live(topic, payload, now), *self.tick(now)]
        if topic == self._down_topic:
            return self._replies(payload, now)
        return self._heard(topic, payload, now)

    def _heard(self, topic: str, payload: bytes, now: float) -> list[e.Effect]:
        """What may be lost: the presence of somebody, or something on `live`."""
        if self.watching.owns(topic):
            return [e.Heard(presence) for presence in self.watching.heard(topic, payload)]
        if topic != self._live_topic:
            return []
        match read_live(payload):
            case Typing(user=user) as typing:
                changes = [] if user == self._me else self._typists.heard(typing, now)
                return [e.Live(payload), *(e.Heard(change) for change in changes)]
            case Receipt() as receipt:
                return [e.Live(payload), e.Heard(receipt)]
            case None:
                return [e.Live(payload)]

    def _looked_at(self, takes: list[e.Take], now: float) -> list[e.Take]:
        """What the inbox takes, as the others who care for it have seen it."""
        self.watching.look((update.type for take in takes for update in take.updates), now)
        return self.rooms.look(takes, now)

    def _replies(self, payload: bytes, now: float) -> list[e.Effect]:
        parts = [payload]
        done: list[e.Effect] = []
        try:
            if payload[:1] == b"[":
                parts = [bytes(part) for part in _down_list.decode(payload)]
            for part in parts:
                done += self._reply(_down.decode(part), part, now)
        except msgspec.DecodeError:
            pass  # the request is sent again, and answered again
        return done + self.tick(now)

    def _reply(self, down: _Down, payload: bytes, now: float) -> list[e.Effect]:
        if down.type == "kicked":
            return self._end(down.reason or "kicked")
        if down.re is None or down.ok is None or down.re not in self.outbox:
            return []
        if not down.ok and down.error in _PATIENCE:
            self.outbox.postpone(down.re, now, down.retry_after)
            return []
        error = None if down.ok else refusal(down.error, down.detail)
        return self._answered(down.re, payload, error, now)

    def _answered(self, re: str, payload: bytes, error: PabalError | None, now: float) -> list[e.Effect]:
        entry = self.outbox.settle(re)
        if self.inbox.answers(re):
            return self._inbox_reply(re, payload, error, now)
        if self.rooms.answers(re):
            return self._room_reply(re, payload, error, now)
        return [] if entry is None else [e.Settled(entry, payload, error)]

    def _room_reply(self, re: str, payload: bytes, error: PabalError | None, now: float) -> list[e.Effect]:
        if error is None:
            return list(self.rooms.answered(re, payload, now))
        return list(self.rooms.refused(re, error, now))

    def _inbox_reply(self, re: str, payload: bytes, error: PabalError | None, now: float) -> list[e.Effect]:
        if error is None:
            takes, heads = self.inbox.answered(re, payload, now)
            told = self._looked_at(takes, now)
            return [*told, *([] if heads is None else self.rooms.heads(heads, now))]
        if not self.inbox.refused(re, now):
            return []
        for request_id in self.rooms.stop():
            self.outbox.settle(request_id)
        return [e.NotReceiving(error.detail)]

    def _end(self, reason: str) -> list[e.Effect]:
        self._over = True
        return [e.Disconnect(reason, final=True)]

    def puback(self, token: int) -> None:
        self.outbox.puback(token)

    def pause(self) -> None:
        self.inbox.pause()
        self.rooms.pause()

    def resume(self, now: float) -> list[e.Effect]:
        self.inbox.resume(now)
        self.rooms.resume()
        return self.tick(now)

    def sync_now(self, now: float) -> list[e.Effect]:
        """Ask what is new without waiting for a sign of it."""
        if self._online:
            self.inbox.want(now)
        return self.tick(now)

    def tick(self, now: float) -> list[e.Effect]:
        """Time has passed: what is due now."""
        if self._over:
            return []
        given_up = self.rooms.given_up(now) or self.watching.given_up(now)
        if (self._suback_by is not None and now >= self._suback_by) or given_up:
            self._suback_by = None
            return [e.Disconnect("the server did not answer the subscription", final=False)]
        for entry in [*self.rooms.requests(now), *self.inbox.requests(now)]:
            self.outbox.add(entry)
        published: list[e.Effect] = list(self.outbox.pump(now))
        if subscribe := self.rooms.subscription(lambda: next(self._tokens), now):
            published.append(subscribe)
        published += self.watching.subscription(lambda: next(self._tokens), now)
        published += [e.Heard(typing) for typing in self._typists.tick(now)]
        if self.outbox.stuck:
            self.outbox.stuck = False
            published.append(e.Disconnect("the server acknowledges nothing any more", final=False))
        return published

    def deadline(self) -> float | None:
        """When `tick` is to be called next; None while nothing is to be waited for."""
        if self._over:
            return None
        parts = (self.inbox, self.rooms, self.outbox, self.watching, self._typists)
        waits = (self._suback_by, *(part.deadline() for part in parts))
        return min((at for at in waits if at is not None), default=None)


def refusal(code: str, detail: str, retry_after: int | None = None) -> PabalError:
    """The refusal with this code as an exception."""
    known = BY_CODE.get(code)
    if known is None:
        return UnknownRefusal(code, detail or code, retry_after=retry_after)
    return known(detail or code, retry_after=retry_after)
