"""Another MQTT broker in the place of ours: `bridge.ports.Outbound` and what calls `Inbound`, over one connection.

The broker brings requests, services' requests and statuses, and is given replies, updates and presence. It alone checks
logins and topics; what it cannot know about a device is looked up in `broker.external.rights`.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from broker.external.courier import Courier
from broker.external.errors import LinkError, WrongVersion
from broker.external.figures import Figures
from broker.external.incoming import Arrival, Incoming
from broker.external.link import Link, Welcome
from broker.external.rights import Rights, Standing
from broker.external.sending import Sending
from broker.external.shown import Shown
from pabal import codec, topics
from pabal.codec import Format
from pabal.errors import BadRequest, PabalError, TooLarge, Unauthorized, Unavailable
from pabal.ids import DeviceId, UserId
from pabal.messages import MAX_PACKET_BYTES, Kicked
from pabal.presence import read_status

if TYPE_CHECKING:
    from bridge.ports import Inbound, OutboxReader, Presence, Source
    from broker.external.endpoint import Endpoint

logger = logging.getLogger("pabal.external")

CLIENT_ID: Final = "pabal-bridge"
SESSION_S: Final = 30 * 24 * 3600
# Every filter, and whether what is retained there is wanted.
FILTERS: Final = (
    (f"{topics.ROOT}up/#", False),
    (f"{topics.ROOT}svc/+/up", False),
    (f"{topics.ROOT}status/#", True),
)
_AGAIN_S: Final = (0.2, 5.0)
# A connection that lasts no longer than this was ended by somebody who will do so again.
_SHORT_S: Final = 2.0
_SHORT_PAUSE_S: Final = 5.0
_REDO: Final = "to be brought again what could not be kept"
# After how long the broker is made to bring again what was not kept, first and at most.
_REDO_S: Final = (1.0, 30.0)
_DRAIN_S: Final = 5.0
_MOST_NAMES: Final = 50_000


@dataclass(frozen=True, slots=True)
class Options:
    """`session_s`: how long the broker is to keep what comes while no bridge is there."""

    client_id: str = CLIENT_ID
    session_s: int = SESSION_S
    max_packet_bytes: int = MAX_PACKET_BYTES


class ExternalBroker:
    """Owns the connection, and makes it again whenever it breaks. All in one event loop."""

    def __init__(
        self,
        endpoint: "Endpoint",
        *,
        inbound: "Inbound",
        published: Callable[[int], None],
        presence: "Presence",
        outbox: "OutboxReader",
        accounts: Standing,
        options: Options | None = None,
    ) -> None:
        """`published` is told up to which batch the broker has all updates."""
        self._endpoint = endpoint
        self._inbound = inbound
        self._presence = presence
        self._accounts = accounts
        self._options = options or Options()
        self.figures = Figures()
        self._sending = Sending()
        self.courier = Courier(self._sending, outbox, published)
        self._rights = Rights(accounts)
        self._shown = Shown(self._sending)
        self._incoming = Incoming(self._sending.acknowledge, self._on_unkept)
        self._level = 5
        self._link: Link | None = None
        self._task: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._redo: asyncio.TimerHandle | None = None
        self._redo_s = _REDO_S[0]
        self._redone_at = 0.0
        self._draining = False
        self._had_session = False
        self._told_refusal = False
        self._meanings: dict[str, topics.Topic | None] = {}

    # -- the connection

    @property
    def connected(self) -> bool:
        """The broker is there, and we are subscribed."""
        return self._sending.attached

    @property
    def queued(self) -> int:
        """Messages that wait for their turn."""
        return self._sending.queued

    async def start(self) -> None:
        """Connect and subscribe; the bridge has been started. Raises: LinkError."""
        self._link = await self._connect()
        self._task = asyncio.get_running_loop().create_task(self._keep(self._link))

    async def drain(self) -> None:
        """Take no requests any more, and answer those that were taken, within a bound. What comes now is left with
        the broker, for the next bridge.
        """
        self._draining = True
        try:
            async with asyncio.timeout(_DRAIN_S):
                while self.connected and (self._incoming.open or not self._sending.idle):  # noqa: ASYNC110 -- once, at the end
                    await asyncio.sleep(0.01)
        except TimeoutError:
            logger.warning("stopped before the broker had everything; it is sent again at the next start")

    async def shutdown(self) -> None:
        """Disconnect, once the broker has what the bridge said last, within a bound."""
        self._draining = True
        tasks = [task for task in (self._task, *self._tasks) if task is not None]
        link, self._task = self._link, None
        if link is not None:
            try:
                async with asyncio.timeout(_DRAIN_S):
                    while self.connected and not self._sending.idle:  # noqa: ASYNC110 -- likewise
                        await asyncio.sleep(0.01)
            except TimeoutError:
                logger.warning("the broker does not acknowledge; what it has not is sent again")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._unlink()
        if self._link is not None:
            self._link.close()
        await self.courier.stop()
        await self._rights.stop()

    async def _keep(self, link: Link) -> None:
        loop = asyncio.get_running_loop()
        since = loop.time()
        while True:
            why = await link.ended
            self._unlink()
            logger.warning("the connection to %s ended: %s", self._endpoint, why)
            # Two bridges of one client id would throw each other out without end.
            if why != _REDO and loop.time() - since < _SHORT_S:
                logger.warning(
                    "if another client uses the client id %s, give one of both another (mqtt_client_id)",
                    self._options.client_id,
                )
                await asyncio.sleep(_SHORT_PAUSE_S)
            link = self._link = await self._connect_again()
            since = loop.time()
            logger.warning("connected to %s again", self._endpoint)

    async def _connect_again(self) -> Link:
        pause_s, most_s = _AGAIN_S
        said = ""
        while True:
            try:
                return await self._connect()
            except LinkError as error:
                if str(error) != said:
                    said = str(error)
                    logger.warning("cannot connect to %s: %s; trying again", self._endpoint, said)
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 -- no secret
            pause_s = min(most_s, pause_s * 2)

    async def _connect(self) -> Link:
        """Raises: LinkError."""
        try:
            return await self._connect_at(self._level)
        except WrongVersion:
            if self._level < 5:  # noqa: PLR2004 -- MQTT 5
                raise
            self._level = 4
            return await self._connect_at(self._level)

    async def _connect_at(self, level: int) -> Link:
        options = self._options
        link = Link(self._endpoint, options.client_id, self, level=level, session_s=options.session_s)
        try:
            welcome = await link.open()
            self._incoming = Incoming(self._sending.acknowledge, self._on_unkept)
            self._sending.attach(link, welcome.window)
            link.begin()
            await link.subscribe(FILTERS)
        except BaseException:
            self._unlink()
            link.close()
            raise
        self._look_at(welcome)
        self.figures.links += 1
        self._shown.tell()
        self.courier.begin()
        return link

    def _look_at(self, welcome: Welcome) -> None:
        if self._had_session and not welcome.present:
            logger.warning(
                "%s has forgotten the bridge's session: it keeps nothing over a restart (mosquitto: persistence true)."
                " Requests that it had and had not brought are lost; devices send again what had an id",
                self._endpoint,
            )
        if welcome.expiry_s is not None and welcome.expiry_s < self._options.session_s:
            logger.warning(
                "%s keeps the bridge's session for %d s only; what comes while no bridge is there for longer is lost",
                self._endpoint,
                welcome.expiry_s,
            )
        self._had_session = True

    def _unlink(self) -> None:
        self._incoming.over()
        self._sending.detach()
        self.courier.lose()
        if self._redo is not None:
            self._redo.cancel()
            self._redo = None

    # -- what comes

    def arrived(
        self, topic: str, payload: bytes, packet_id: int, *, retained: bool, kind: str | None
    ) -> None:
        """As `broker.external.link.Listener`."""
        if self._draining:
            return
        self.figures.received += 1
        arrival = self._incoming.take(packet_id)
        match self._meaning(topic):
            case topics.Up(user, device) if not retained:
                if len(payload) > self._options.max_packet_bytes:
                    self._refuse_large(user, device, arrival)
                    return
                self._rights.ask(user, device, partial(self._submit, arrival, payload, _form(payload, kind)))
            case topics.ServiceUp(instance) if not retained:
                self._inbound.submit_service(instance, payload, arrival)
            case topics.Status(user, device):
                self._take_status(user, device, payload)
                arrival.settle(True)
            case _:
                self.figures.strange += 1
                arrival.settle(True)

    def _meaning(self, topic: str) -> topics.Topic | None:
        try:
            return self._meanings[topic]
        except KeyError:
            if len(self._meanings) >= _MOST_NAMES:
                self._meanings.clear()
            meant = self._meanings[topic] = topics.parse(topic)
            return meant

    def _submit(self, arrival: Arrival, payload: bytes, form: Format, source: "Source | None") -> None:
        if source is None:
            arrival.settle(False)
        else:
            self._inbound.submit(source, payload, form, arrival)

    def _refuse_large(self, user: UserId, device: DeviceId, arrival: Arrival) -> None:
        error = TooLarge(f"a packet has at most {self._options.max_packet_bytes} bytes")
        self.publish(topics.down(user, device), codec.encode(codec.refusal(None, error)), 1)
        arrival.settle(True)

    def _take_status(self, user: UserId, device: DeviceId, payload: bytes) -> None:
        try:
            # A will cannot be told from a word of the device's own: both are taken as the end of a connection,
            # from which the device may be back in a moment.
            over = read_status(payload).state == "offline"
        except BadRequest:
            self.figures.strange += 1
            return
        self._shown.heard(user, device, said=bool(payload))
        self._presence.status(user, device, payload, will=over)

    def acknowledged(self, packet_id: int, refusal: str | None) -> None:
        """As `broker.external.link.Listener`."""
        if refusal is not None:
            self.figures.refused += 1
            if not self._told_refusal:
                self._told_refusal = True
                logger.error(
                    "%s does not deliver what the bridge publishes: %s; allow it all topics of %s#",
                    self._endpoint,
                    refusal,
                    topics.ROOT,
                )
        self._sending.acknowledged(packet_id)

    def _on_unkept(self) -> None:
        """The broker brings again what was not acknowledged when the connection is made anew, and not before."""
        self.figures.unkept += 1
        if self._redo is not None:
            return
        loop = asyncio.get_running_loop()
        if loop.time() - self._redone_at > 2 * _REDO_S[1]:
            self._redo_s = _REDO_S[0]
        self._redo = loop.call_later(self._redo_s, self._do_again)
        self._redo_s = min(_REDO_S[1], self._redo_s * 2)

    def _do_again(self) -> None:
        self._redo = None
        self._redone_at = asyncio.get_running_loop().time()
        if self._link is not None:
            self._link.close(_REDO)

    # -- bridge.ports.Outbound

    def publish(
        self,
        topic: str,
        payload: bytes,
        qos: int,
        trace: str | None = None,  # noqa: ARG002 -- a request over another broker brings none as far as is seen here
    ) -> None:
        if self._sending.publish(topic, payload, qos):
            self.figures.published += 1
        else:
            self.figures.dropped += 1

    def deliver(self, user: UserId, updates: Sequence[tuple[int, bytes]]) -> None:
        """Without the courier: kept nowhere, so that it may be lost."""
        for _seq, payload in updates:
            self.publish(topics.inbox(user), payload, 1)

    def revoke(self, user: UserId, topic: str) -> None:
        """There is no common way to take away a subscription; the broker asks again at the next one."""

    def review(self, user: UserId) -> None:
        """As `revoke`."""

    def announce(self, topic: str, payload: bytes, *, keep: bool) -> None:
        self._shown.announce(topic, payload, keep=keep)

    def forget(self, user: UserId, device: DeviceId | None) -> None:
        self._rights.doubt(user, device)
        self._shown.forget(user, device)

    def kick(self, user: UserId, device: DeviceId | None, reason: str, credential: str | None = None) -> None:
        """The devices are told, and their requests are refused from now on; to close a connection is the broker's
        affair, which refuses the next login.
        """
        self._rights.doubt(user, device)
        task = asyncio.get_running_loop().create_task(self._kick(user, device, reason, credential))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _kick(self, user: UserId, device: DeviceId | None, reason: str, credential: str | None) -> None:
        payload = codec.encode(Kicked(reason=reason))
        try:
            devices = [device] if device is not None else await self._accounts.devices_of(user)
        except PabalError:
            devices = []
        for one in devices:
            # A device that has logged in anew listens on the same topic, and is not meant.
            if credential is None or not await self._stands(user, one):
                self.publish(topics.down(user, one), payload, 1)

    async def _stands(self, user: UserId, device: DeviceId) -> bool:
        try:
            await self._accounts.standing(user, device)
        except Unauthorized:
            return False
        except Unavailable:
            return True
        return True


def _form(payload: bytes, kind: str | None) -> Format:
    """How a request is written: as its content type says, or else as its first byte does."""
    if kind is None:
        return codec.sniff(payload)
    try:
        return Format(kind)
    except ValueError:
        return codec.sniff(payload)
