"""Another broker in the place of ours: our own open broker stands for it, as it speaks MQTT like any other."""

import asyncio
import socket

import msgspec
import pytest
from broker_fakes import FakeInbound
from external_fakes import FakeAccounts, FakeOutbox

from bridge.ports import Source
from broker.external import adapter as module
from broker.external.adapter import ExternalBroker, Options
from broker.external.endpoint import Endpoint
from broker.external.errors import Refused, Unreachable
from broker.external.probe import check, warn_if_open
from pabal.acl import EVERYTHING
from pabal.codec import Format

UP, DOWN = "pabal/v1/up/alice/phone", "pabal/v1/down/alice/phone"
ALICE = Source("alice", "phone", EVERYTHING)


class FakePresence:
    def __init__(self) -> None:
        self.told: list[tuple] = []

    def connected(self, *_about: object) -> None:
        raise AssertionError("connections to another broker are not known")

    def disconnected(self, *_about: object, **_how: object) -> None:
        raise AssertionError("connections to another broker are not known")

    def status(self, user: str, device: str, payload: bytes, *, will: bool) -> bool:
        self.told.append((user, device, payload, will))
        return True


class Other:
    """A broker, and the bridge's connection to it."""

    def __init__(self, world, until) -> None:
        self.world = world
        self.until = until
        self.inbound = FakeInbound()
        self.presence = FakePresence()
        self.accounts = FakeAccounts()
        self.outbox = FakeOutbox()
        self.published: list[int] = []
        self.made: list[ExternalBroker] = []

    def adapter(self, **fields) -> ExternalBroker:
        endpoint = Endpoint("127.0.0.1", self.world.port)
        options = fields.pop("options", Options())
        made = ExternalBroker(
            fields.pop("endpoint", endpoint),
            inbound=self.inbound,
            published=self.published.append,
            presence=self.presence,
            outbox=self.outbox,
            accounts=self.accounts,
            options=options,
        )
        self.made.append(made)
        return made

    async def start(self, **fields) -> ExternalBroker:
        made = self.adapter(**fields)
        await made.start()
        return made

    async def submitted(self, count: int) -> list:
        await self.until(lambda: len(self.inbound.submitted) >= count)
        return self.inbound.submitted


@pytest.fixture(params=["5", "3.1.1"])
async def other(request, world, until, monkeypatch):
    monkeypatch.setattr(module, "_SHORT_S", 0.0)
    monkeypatch.setattr(module, "_REDO_S", (0.05, 0.1))
    monkeypatch.setattr(module, "_AGAIN_S", (0.01, 0.05))
    made = Other(world, until)
    await world.open(stored=True)
    if request.param == "3.1.1":
        init = ExternalBroker.__init__

        def as_311(self, *given, **named):
            init(self, *given, **named)
            self._level = 4

        monkeypatch.setattr(ExternalBroker, "__init__", as_311)
    yield made
    for adapter in made.made:
        await adapter.shutdown()


async def test_a_request_comes_with_whose_it_is_by_its_topic(other):
    await other.start()
    device = await other.world.client("alice:phone")
    await device.publish(UP, b'{"to":"bob"}', 1)
    await device.publish(UP, b"\x81\xa2to\xa3bob", 1)
    found = await other.submitted(2)
    assert found == [(ALICE, b'{"to":"bob"}', Format.JSON), (ALICE, b"\x81\xa2to\xa3bob", Format.MSGPACK)]


async def test_a_request_of_a_service_comes_too(other):
    await other.start()
    service = await other.world.client("svc:web")
    await service.publish("pabal/v1/svc/web/up", b"{}", 1)
    assert await other.submitted(1) == [("web", b"{}", None)]


async def test_what_was_settled_does_not_come_again_and_what_was_not_kept_does(other):
    await other.start()
    device = await other.world.client("alice:phone")
    other.inbound.hold = True
    for payload in (b'{"n":1}', b'{"n":2}', b'{"n":3}'):
        await device.publish(UP, payload, 1)
    await other.submitted(3)
    for ticket, kept in zip(other.inbound.tickets, (True, False, True), strict=True):
        ticket.settle(kept)
    other.inbound.hold = False
    await other.submitted(4)
    await device.publish(UP, b'{"n":4}', 1)
    await other.submitted(5)
    assert [payload for _, payload, _ in other.inbound.submitted[3:]] == [b'{"n":2}', b'{"n":4}']


async def test_what_comes_while_no_bridge_is_there_waits_for_the_next_one(other):
    first = await other.start()
    await first.drain()
    device = await other.world.client("alice:phone")
    await device.publish(UP, b'{"n":1}', 1)
    await first.shutdown()
    await device.publish(UP, b'{"n":2}', 1)
    assert other.inbound.submitted == []
    await other.start()
    assert [payload for _, payload, _ in await other.submitted(2)] == [b'{"n":1}', b'{"n":2}']


async def test_a_retained_request_is_taken_once_and_not_at_every_start(other):
    await other.start()
    device = await other.world.client("alice:phone")
    await device.publish(UP, b'{"n":1}', 1, retain=True)
    await other.submitted(1)
    await other.made[0].shutdown()
    await other.start()
    await device.publish(UP, b'{"n":2}', 1)
    assert [payload for _, payload, _ in await other.submitted(2)] == [b'{"n":1}', b'{"n":2}']


async def test_what_a_device_may_do_is_looked_up(other):
    other.accounts.gone.add(("alice", "phone"))
    other.accounts.allow["alice", "sensor"] = frozenset({"send"})
    await other.start()
    device = await other.world.client("alice:phone")
    await device.publish(UP, b"{}", 1)
    await device.publish("pabal/v1/up/alice/sensor", b"{}", 1)
    found = await other.submitted(2)
    assert {source for source, _, _ in found} == {
        Source("alice", "phone", frozenset()),
        Source("alice", "sensor", frozenset({"send"})),
    }


async def test_while_the_database_is_away_requests_stay_with_the_broker(other):
    await other.start()
    other.accounts.away = True
    device = await other.world.client("alice:phone")
    await device.publish(UP, b'{"n":1}', 1)
    await other.until(lambda: other.made[0].figures.unkept)
    assert other.inbound.submitted == []
    other.accounts.away = False
    assert [payload for _, payload, _ in await other.submitted(1)] == [b'{"n":1}']


async def test_a_packet_that_is_too_large_is_refused_and_not_brought_again(other):
    await other.start(options=Options(max_packet_bytes=100))
    device = await other.world.client("alice:phone")
    await device.subscribe((DOWN, 1))
    await device.send(b"")
    await device.publish(UP, b"x" * 101, 0)
    [reply] = await device.publishes(1)
    assert msgspec.json.decode(reply.payload)["error"] == "too_large"
    await device.publish(UP, b"{}", 1)
    assert [payload for _, payload, _ in await other.submitted(1)] == [b"{}"]


async def test_topics_that_mean_nothing_are_acknowledged_and_counted(other):
    adapter = await other.start()
    device = await other.world.client("alice:phone")
    await device.publish("pabal/v1/up/alice", b"{}", 1)
    await device.publish("pabal/v1/up/UPPER/x", b"{}", 1)
    await device.publish("pabal/v1/status/alice/phone", b"what?", 1)
    await device.publish(UP, b"{}", 1)
    await other.submitted(1)
    assert adapter.figures.strange == 3
    assert other.presence.told == []


async def test_statuses_are_told_and_an_offline_is_taken_as_the_end_of_a_connection(other):
    device = await other.world.client("alice:phone")
    await device.publish("pabal/v1/status/alice/phone", b'{"state":"online","n":1}', 1, retain=True)
    await other.start()
    await other.until(lambda: other.presence.told)
    await device.publish("pabal/v1/status/alice/phone", b'{"state":"offline","n":1}', 1, retain=True)
    await other.until(lambda: len(other.presence.told) >= 2)
    assert other.presence.told == [
        ("alice", "phone", b'{"state":"online","n":1}', False),
        ("alice", "phone", b'{"state":"offline","n":1}', True),
    ]


async def test_replies_and_updates_reach_who_is_subscribed(other):
    adapter = await other.start()
    device = await other.world.client("alice:phone")
    await device.subscribe((DOWN, 1), ("pabal/v1/inbox/bob", 1), ("pabal/v1/live/bob", 0))
    adapter.publish(DOWN, b"reply", 1)
    adapter.publish("pabal/v1/live/bob", b"news", 0)
    unsent = other.outbox.add(4)
    adapter.courier.hand_over(4, dict(unsent.deliveries))
    found = await device.publishes(3)
    assert {(packet.topic, packet.payload, packet.qos) for packet in found} == {
        (DOWN, b"reply", 1),
        ("pabal/v1/live/bob", b"news", 0),
        ("pabal/v1/inbox/bob", b"4.0", 1),
    }
    await other.until(lambda: other.published == [4])


async def test_presence_is_retained_and_told_again_to_a_broker_that_has_forgotten_it(other):
    adapter = await other.start()
    adapter.announce("pabal/v1/presence/alice", b'{"state":"online"}', keep=True)
    adapter.announce("pabal/v1/presence/bob", b'{"state":"online"}', keep=True)
    adapter.announce("pabal/v1/presence/bob", b'{"state":"offline"}', keep=False)
    viewer = await other.world.client("carol:phone")
    await other.until(lambda: adapter._sending.idle)
    await viewer.subscribe(("pabal/v1/presence/+", 0))
    shown = {packet.topic.rpartition("/")[2]: packet.payload for packet in await viewer.publishes(2)}
    assert shown == {"alice": b'{"state":"online"}', "bob": b'{"state":"offline"}'}
    port = other.world.port
    await other.world.kill()
    other.world.store.retained.clear()
    await again(other, port)
    await other.until(lambda: adapter.connected)
    viewer = await other.world.client("carol:phone")
    await viewer.subscribe(("pabal/v1/presence/+", 0))
    [shown] = await viewer.publishes(1)
    assert (shown.topic, shown.payload) == ("pabal/v1/presence/alice", b'{"state":"online"}')


async def again(other, port: int) -> None:
    """The broker is back where it was."""
    from broker.open_mode import build_open_broker  # noqa: PLC0415 -- only here

    broker = build_open_broker(
        mqtt=f"127.0.0.1:{port}", store=other.world.store, queues=other.world.store, settings=None
    )
    await other.world._started(broker)


async def test_a_broker_that_comes_back_gets_what_it_has_not_acknowledged(other, caplog):
    adapter = await other.start()
    port = other.world.port
    await other.world.kill()
    await other.until(lambda: not adapter.connected)
    for number in (1, 2, 3):
        adapter.courier.hand_over(number, dict(other.outbox.add(number).deliveries))
    adapter.publish(DOWN, b"a reply that nobody hears", 1)
    assert adapter.figures.dropped == 1
    assert other.published == []
    await again(other, port)
    await other.until(lambda: other.published[-1:] == [3])
    assert adapter.figures.links == 2
    assert "connected to mqtt://127.0.0.1" in caplog.text
    assert "has forgotten" not in caplog.text, "its sessions were stored"


async def test_a_broker_that_keeps_nothing_over_a_restart_is_told_of_once(other, caplog):
    adapter = await other.start()
    port = other.world.port
    await other.world.kill()
    other.world.store.sessions.clear()
    await again(other, port)
    await other.until(lambda: adapter.figures.links == 2)
    assert caplog.text.count("has forgotten the bridge's session") == 1


async def test_a_device_that_is_kicked_is_told_why(other):
    adapter = await other.start()
    device = await other.world.client("alice:phone")
    await device.subscribe((DOWN, 1))
    adapter.kick("alice", "phone", "logout")
    [packet] = await device.publishes(1)
    assert msgspec.json.decode(packet.payload) == {"type": "kicked", "reason": "logout"}


async def test_of_an_account_all_devices_are_told(other):
    other.accounts.devices["alice"] = ["phone", "tablet"]
    adapter = await other.start()
    device = await other.world.client("alice:phone")
    await device.subscribe((DOWN, 1), ("pabal/v1/down/alice/tablet", 1))
    adapter.kick("alice", None, "disabled")
    assert {packet.topic for packet in await device.publishes(2)} == {DOWN, "pabal/v1/down/alice/tablet"}


async def test_a_device_that_has_logged_in_anew_is_not_told_of_the_end_of_the_login_before(other):
    adapter = await other.start()
    device = await other.world.client("alice:phone")
    await device.subscribe((DOWN, 1))
    adapter.kick("alice", "phone", "replaced", "an older login")
    await other.until(lambda: ("alice", "phone") in other.accounts.asked)
    other.accounts.gone.add(("alice", "phone"))
    adapter.kick("alice", "phone", "logout", "the newer login")
    [packet] = await device.publishes(1)
    assert msgspec.json.decode(packet.payload)["reason"] == "logout"


async def test_of_a_device_that_is_gone_no_status_is_left(other):
    device = await other.world.client("alice:phone")
    for name in ("phone", "tablet"):
        await device.publish(f"pabal/v1/status/alice/{name}", b'{"state":"online"}', 1, retain=True)
    adapter = await other.start()
    adapter.announce("pabal/v1/presence/alice", b'{"state":"online"}', keep=True)
    await other.until(lambda: len(other.presence.told) == 2)
    adapter.forget("alice", "phone")
    await other.until(lambda: "pabal/v1/status/alice/phone" not in other.world.store.retained)
    assert "pabal/v1/status/alice/tablet" in other.world.store.retained
    adapter.forget("alice", None)
    await other.until(lambda: not [name for name in other.world.store.retained if "alice" in name])


async def test_where_nobody_answers_the_start_says_so(other):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nowhere = Endpoint("127.0.0.1", closed.getsockname()[1])
        with pytest.raises(Unreachable, match="no broker answers there"):
            await other.start(endpoint=nowhere)


async def test_where_something_else_answers_the_start_says_so(other):
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Unreachable, match="closed the connection"):
            await other.start(endpoint=Endpoint("127.0.0.1", port))


async def test_it_can_be_stopped_while_it_waits_for_the_answer_to_a_subscription(other):
    """By a broker that welcomes everybody and answers nothing more."""
    asked = asyncio.Event()

    async def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"\x20\x03\x00\x00\x00" if other.adapter()._level == 5 else b"\x20\x02\x00\x00")
        while data := await reader.read(1000):
            if data[0] == 0x82:
                asked.set()
        writer.close()

    server = await asyncio.start_server(welcome, "127.0.0.1", 0)
    async with server:
        place = Endpoint("127.0.0.1", server.sockets[0].getsockname()[1])
        starting = asyncio.create_task(other.start(endpoint=place))
        await asyncio.wait_for(asked.wait(), 60)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting


async def test_a_wrong_password_is_told_with_the_user_it_was_for(other):
    await other.world.kill()
    await other.world.start()
    place = Endpoint("127.0.0.1", other.world.port, username="alice", password="wrong")
    with pytest.raises(Refused, match="refuses user alice") as refused:
        await other.start(endpoint=place)
    assert "wrong" not in str(refused.value)
    with pytest.raises(Refused, match="refuses a client without user name"):
        await other.start(endpoint=Endpoint("127.0.0.1", other.world.port))


async def test_a_subscription_that_is_not_granted_stops_the_start(other):
    await other.world.kill()
    await other.world.open(deny=("pabal/v1/svc/#",))
    with pytest.raises(Refused, match=r"does not grant the bridge the subscription to pabal/v1/svc/\+/up"):
        await other.start()


async def test_a_second_bridge_goes_on_with_the_session_of_the_first_which_does_not_throw_it_out_again(
    other, monkeypatch, caplog
):
    monkeypatch.setattr(module, "_SHORT_S", 60.0)
    monkeypatch.setattr(module, "_SHORT_PAUSE_S", 60.0)
    first = await other.start()
    second = await other.start()
    await other.until(lambda: "another client uses the client id" in caplog.text)
    device = await other.world.client("alice:phone")
    await device.publish(UP, b"{}", 1)
    await other.submitted(1)
    assert (first.connected, second.connected, second.figures.received) == (False, True, 1)


async def test_a_broker_that_lets_anybody_be_anybody_is_told_of(other, caplog):
    place = Endpoint("127.0.0.1", other.world.port)
    await check(place, "pabal-bridge")
    await warn_if_open(place, "pabal-bridge")
    assert caplog.text.count("lets anybody publish in anybody's name") == 1


async def test_a_broker_that_lets_no_strangers_in_is_not(other, caplog):
    await other.world.kill()
    await other.world.start()
    place = Endpoint("127.0.0.1", other.world.port, username="svc:web-1", password="service-secret")
    await warn_if_open(place, "svc:web-1")
    assert caplog.text == ""
