"""Messages on their way to sessions that outlive their connections, on disk, in group commits.

What changes while one group is written gathers for the next. A group is written at once if somebody waits for it:
a publisher for its PUBACK or PUBREC, a QoS 2 message before it is sent, a PUBREL or a PUBCOMP before it is said. For
anything else it waits a moment, and what is acknowledged meanwhile never goes to disk at all.

So that QoS 2 stays exactly-once over a `kill -9`: a message gets its packet identifier before it is on disk, and is
sent after; that the client has it is on disk before PUBREL says so; and that it was released by who published it,
before PUBCOMP does. A message at QoS 1 is sent at once, and may come twice.

A group that the database does not take is kept, and tried again with whatever came meanwhile; nothing is acknowledged
until then.
"""

import asyncio
import logging
from typing import TYPE_CHECKING, Final

import msgspec

from bridge.ports import QueueChanges, QueueStore, StoredDelivery
from broker.message import Delivery, Message
from broker.mqtt.codec import PUBCOMP, ack
from pabal.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from broker.connection import Connection
    from broker.hub import Hub
    from broker.outgoing import Outgoing
    from broker.session import Session

_log: Final = logging.getLogger("pabal.broker")
_RETAIN: Final = 4
_RELEASED: Final = 8
_SENT: Final = 16
_Key = tuple[str, int]


class _Details(msgspec.Struct, omit_defaults=True):
    """Of a delivery, what few have."""

    identifiers: tuple[int, ...] = ()
    group: str | None = None


class _Group:
    """What goes to disk together, and what is done once it is there."""

    __slots__ = ("after", "done", "gone", "incoming", "messages", "purged", "puts", "released", "sent")

    def __init__(self) -> None:
        self.puts: dict[_Key, Delivery] = {}
        self.messages: dict[int, Message] = {}
        self.done: set[_Key] = set()
        self.gone: set[int] = set()
        self.released: dict[_Key, int] = {}
        self.sent: dict[str, int] = {}
        self.incoming: dict[_Key, bool] = {}
        self.purged: dict[str, int] = {}
        self.after: list[Callable[[bool], None]] = []

    def __bool__(self) -> bool:
        return bool(
            self.puts
            or self.done
            or self.gone
            or self.released
            or self.sent
            or self.incoming
            or self.purged
            or self.after
        )

    def put_before(self, failed: "_Group") -> None:
        """This follows a group that was not written: both become one."""
        self.puts = {key: put for key, put in failed.puts.items() if key not in self.done} | self.puts
        self.done = (self.done - failed.puts.keys()) | failed.done
        self.messages = {key: m for key, m in failed.messages.items() if key not in self.gone} | self.messages
        self.gone = (self.gone - failed.messages.keys()) | failed.gone
        self.released = failed.released | self.released
        for client_id, place in failed.sent.items():
            self.sent[client_id] = max(place, self.sent.get(client_id, 0))
        earlier = {key: held for key, held in failed.incoming.items() if key[0] not in self.purged}
        self.incoming = earlier | self.incoming
        self.puts = {key: put for key, put in self.puts.items() if key[1] > self.purged.get(key[0], 0)}
        self.purged = failed.purged | self.purged
        self.after = failed.after + self.after


class Keeper:
    """One for all sessions of a broker. Lives in its event loop.

    Attributes:
        taken: counts what goes to disk, so that whoever routes sees whether anything did.
    """

    def __init__(self, hub: "Hub", store: QueueStore) -> None:
        self._hub = hub
        self._store = store
        self._settings = hub.settings
        self._metrics = hub.metrics
        self._group = _Group()
        self._writing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._urgent = False
        self._stopped = False
        self._last_place = 0
        self._last_message = 0
        self._overrun = False
        self.taken = 0

    # -- what sessions tell

    def put(self, session: "Outgoing", delivery: Delivery) -> bool:
        """It is to be on disk. Returns False if there is too much already: then it is not delivered, and whoever
        published it is not told that it was.
        """
        self.taken += 1
        group = self._group
        if len(group.puts) >= self._settings.unsaved_limit:
            self._overrun = True
            self._metrics.dropped_unsaved += 1
            return False
        self._last_place += 1
        delivery.place = self._last_place
        delivery.packet_id = session.take_id()
        delivery.waits = delivery.qos == 2  # noqa: PLR2004 -- QoS 2
        delivery.message.holders += 1
        group.puts[session.client_id, delivery.place] = delivery
        if delivery.waits:
            group.after.append(lambda _: session.is_safe(delivery))
            self._soon()
        else:
            self._later()
        return True

    def sent(self, session: "Outgoing", delivery: Delivery) -> None:
        """So that it goes out with DUP after a restart."""
        sent, key = self._group.sent, (session.client_id, delivery.place)
        if key in self._group.puts:
            return  # its row says so when it is written
        sent[session.client_id] = max(delivery.place, sent.get(session.client_id, 0))
        self._later()

    def released(self, session: "Outgoing", delivery: Delivery) -> None:
        """PUBREC is here; `Outgoing.is_safe` is called when PUBREL may be said."""
        self._unhold(delivery.message)
        self._group.released[session.client_id, delivery.place] = _options(delivery)
        self._group.after.append(lambda _: session.is_safe(delivery))
        self._soon()

    def done(self, session: "Outgoing", delivery: Delivery) -> None:
        """Its client has it, or never gets it."""
        group, key = self._group, (session.client_id, delivery.place)
        group.released.pop(key, None)
        if not delivery.released:
            self._unhold(delivery.message)
        if group.puts.pop(key, None) is None:
            group.done.add(key)
            self._later()

    def _unhold(self, message: Message) -> None:
        message.holders -= 1
        if message.holders == 0 and message.key:
            self._group.gone.add(message.key)
            message.key = 0
            self._later()

    def forget(self, session: "Session") -> None:
        """The session is over."""
        group, client_id = self._group, session.client_id
        for flying in (*session.inflight.values(), *(session.queue or ())):
            if isinstance(flying, Delivery) and flying.place and not flying.released:
                self._unhold(flying.message)
        group.puts = {key: put for key, put in group.puts.items() if key[0] != client_id}
        group.released = {key: options for key, options in group.released.items() if key[0] != client_id}
        group.incoming = {key: held for key, held in group.incoming.items() if key[0] != client_id}
        group.done = {key for key in group.done if key[0] != client_id}
        group.sent.pop(client_id, None)
        group.purged[client_id] = self._last_place
        self._soon()

    def took(self, session: "Session", packet_id: int) -> None:
        """A QoS 2 message of this client was taken under that id."""
        self._group.incoming[session.client_id, packet_id] = True
        self._soon()

    def gave_back(self, session: "Session", connection: "Connection", packet_id: int) -> None:
        """The client released it: PUBCOMP, once that is on disk."""
        self._group.incoming[session.client_id, packet_id] = False
        self._group.after.append(lambda _: connection.write(ack(PUBCOMP, packet_id)))
        self._soon()

    # -- what publishers ask

    def begin_route(self) -> None:
        self._overrun = False

    def settle_after(self, settle: "Callable[[bool], None]") -> None:
        """Call it with True once what was put by the last routing is on disk; with False, at once, if that was too much."""
        if self._overrun:
            self._overrun = False
            settle(False)
            return
        self._group.after.append(settle)
        self._soon()

    # -- writing

    def _soon(self) -> None:
        """After this turn of the loop, so that what comes with it is in the same group."""
        if not self._urgent:
            self._urgent = True
            if self._writing is None and not self._stopped:
                self._writing = self._hub.spawn(self._write())

    def _later(self) -> None:
        if self._timer is None and not self._stopped:
            self._timer = asyncio.get_running_loop().call_later(self._settings.save_delay, self._due)

    def _due(self) -> None:
        self._timer = None
        if self._group:
            self._soon()

    async def _write(self) -> None:
        try:
            while self._urgent:
                self._urgent = False
                group, self._group = self._group, _Group()
                if not await self._save(group):
                    self._group.put_before(group)
                    self._urgent = True
                    await asyncio.sleep(self._settings.retry_delay)
                    continue
                for call in group.after:
                    call(True)
        finally:
            self._writing = None

    async def _save(self, group: _Group) -> bool:
        changes = self._changes(group)
        if changes == _NONE:
            return True
        self._metrics.saved_groups += 1
        try:
            await self._store.save_queues(changes)
        except Unavailable:
            _log.warning("messages of MQTT sessions could not be written; they are tried again")
            return False
        return True

    def _changes(self, group: _Group) -> QueueChanges:
        deliveries = []
        for (client_id, place), put in group.puts.items():
            message = put.message
            if message.key == 0:
                self._last_message += 1
                message.key = self._last_message
                group.messages[message.key] = message
            deliveries.append(
                StoredDelivery(client_id, place, message.key, put.packet_id, _options(put), _details(put))
            )
        return QueueChanges(
            purged=list(group.purged.items()),
            done=list(group.done),
            gone=list(group.gone),
            messages=[(key, message.pack()) for key, message in group.messages.items()],
            deliveries=deliveries,
            released=[(client_id, place, options) for (client_id, place), options in group.released.items()],
            sent=list(group.sent.items()),
            given_back=[key for key, held in group.incoming.items() if not held],
            taken=[key for key, held in group.incoming.items() if held],
        )

    async def flush(self) -> None:
        """Write what there is now, or fail at it for a few seconds."""
        if self._group:
            self._soon()
        writing = self._writing
        if writing is not None:
            await asyncio.wait({writing}, timeout=self._settings.close_grace)

    async def stop(self) -> None:
        """The last that is written. What comes after is lost, as if it had not come."""
        await self.flush()
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- reading

    async def load(self) -> None:
        """Put everything back into the sessions, which are there already. Raises: errors.Unavailable."""
        stored = await self._store.load_queues()
        sessions = self._hub.sessions
        messages: dict[int, Message] = {}
        for number, data in stored.messages.items():
            self._last_message = max(self._last_message, number)
            message = messages[number] = Message.unpack(data)
            message.key = number
        self._last_place = max([*stored.sent.values(), *(row.place for row in stored.deliveries)], default=0)
        for row in stored.deliveries:
            session, kept = sessions.get(row.client_id), messages.get(row.message)
            released = bool(row.options & _RELEASED)
            if session is None or (kept is None and not released):
                self._group.done.add((row.client_id, row.place))
                continue
            delivery = self._restored(session, row, kept or _NOTHING)
            delivery.sent = bool(row.options & _SENT) or row.place <= stored.sent.get(row.client_id, 0)
            if not released:
                delivery.message.holders += 1
            session.restore(delivery)
        for client_id, packet_id in stored.incoming:
            if (session := sessions.get(client_id)) is None:
                self._group.incoming[client_id, packet_id] = False
            else:
                session.incoming[packet_id] = None
        for message in messages.values():
            if message.holders == 0:
                self._group.gone.add(message.key)
        if self._group:
            self._later()

    def _restored(self, session: "Session", row: StoredDelivery, message: Message) -> Delivery:
        details = _NO_DETAILS if row.details is None else msgspec.json.decode(row.details, type=_Details)
        return Delivery(
            message,
            row.options & 3,
            bool(row.options & _RETAIN),
            details.identifiers,
            (session.groups or {}).get(details.group or ""),
            place=row.place,
            packet_id=row.packet_id,
            released=bool(row.options & _RELEASED),
        )


def _options(delivery: Delivery) -> int:
    return delivery.qos | delivery.retain * _RETAIN | delivery.released * _RELEASED | delivery.sent * _SENT


def _details(delivery: Delivery) -> str | None:
    if not delivery.identifiers and delivery.group is None:
        return None
    name = None if delivery.group is None else delivery.group.name
    return msgspec.json.encode(_Details(delivery.identifiers, name)).decode()


_NONE: Final = QueueChanges()
_NO_DETAILS: Final = _Details()
_NOTHING: Final = Message("gone", b"", 2)
