"""The broker's part of presence: what it tells of connections, and what it tells those who follow somebody."""

import pytest
from broker_fakes import FakeDirectory, Gate

from broker import subscribing
from broker.mqtt import packets as p
from pabal.errors import BadRequest
from pabal.ids import UserId
from pabal.presence import read_status

ALICE, BOB, CAROL = UserId("alice"), UserId("bob"), UserId("carol")
STATUS = "pabal/v1/status/alice/phone"
PRESENCE = "pabal/v1/presence/bob"
ONLINE, AWAY, OFFLINE = (b'{"state":"%b"}' % state for state in (b"online", b"away", b"offline"))


class Notes:
    """`bridge.ports.Presence` that writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple] = []

    def connected(self, user, device, client_id) -> None:
        self.told.append(("came", user, device, client_id))

    def disconnected(self, user, device, client_id, *, clean) -> None:
        self.told.append(("left", user, device, client_id, clean))

    def status(self, user, device, payload, *, will) -> bool:
        self.told.append(("will" if will else "said", user, device, payload))
        try:
            read_status(payload)
        except BadRequest:
            return False
        return True


class Directory(FakeDirectory):
    """Who sees whom, as pairs; questions wait while the gate is shut."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate()
        self.pairs: set[tuple[str, str]] = set()
        self.questions: list[tuple[str, tuple[str, ...]]] = []

    async def sees_presence(self, viewer, of):
        allowed = (viewer, of) in self.pairs
        await self.gate()
        return allowed

    async def visible_to(self, viewer, users):
        self.questions.append((viewer, tuple(users)))
        await self.gate()
        return {user for user in users if (viewer, user) in self.pairs}


@pytest.fixture
def notes(world):
    world.presence = Notes()
    world.directory = Directory()
    world.directory.pairs = {("alice", "bob"), ("carol", "bob"), ("alice", "carol")}
    yield world.presence.told
    world.directory.gate.open()


# -- what the bridge is told


async def test_a_connection_and_its_clean_end(world, notes):
    await world.start()
    client = await world.device("alice:phone")
    await client.ping()
    assert notes == [("came", "alice", "phone", "alice:phone")]
    await client.disconnect()
    assert notes[1:] == [("left", "alice", "phone", "alice:phone", True)]


async def cut(client):
    client.cut()


async def silence(_client):
    pass


async def malformed(client):
    await client.raw(b"\xf0\x00")


@pytest.mark.parametrize("end", [cut, silence, malformed])
async def test_every_other_end_is_unclean_and_its_will_comes_after_it(world, until, notes, end):
    await world.start()
    will = p.Will(STATUS, OFFLINE, 1, retain=True)
    client = await world.device("alice:phone", will=will, keep_alive=1 if end is silence else 0)
    await end(client)
    await until(lambda: len(notes) == 3)
    assert notes[1:] == [
        ("left", "alice", "phone", "alice:phone", False),
        ("will", "alice", "phone", OFFLINE),
    ]


async def test_a_delayed_will_is_told_when_it_is_due_and_not_to_who_is_back(world, until, notes):
    await world.start()
    will = p.Will(STATUS, OFFLINE, 1, properties=p.Properties(will_delay_interval=1))
    kept = p.Properties(session_expiry_interval=600)
    first = await world.device("alice:phone", level=p.LEVEL_5, will=will, properties=kept)
    first.cut()
    await until(lambda: len(notes) == 3)
    assert [note[0] for note in notes] == ["came", "left", "will"]
    second = await world.device("alice:phone", level=p.LEVEL_5, clean=False, will=will, properties=kept)
    second.cut()
    await until(lambda: len(notes) >= 5)  # more where this machine stood still until the will was due
    third = await world.device("alice:phone", level=p.LEVEL_5, clean=False, properties=kept)
    await third.publish(STATUS, AWAY, 1)
    assert [note[0] for note in notes[3:]][-2:] == ["came", "said"]


async def test_a_clean_end_takes_the_will_back(world, until, notes):
    await world.start()
    client = await world.device("alice:phone", will=p.Will(STATUS, OFFLINE, 1))
    await client.disconnect()
    await until(lambda: len(notes) == 2)
    other = await world.device("alice:phone")
    await other.ping()
    assert [note[0] for note in notes] == ["came", "left", "came"]


async def test_a_takeover_is_an_end_and_then_a_beginning(world, until, notes):
    await world.start()
    first = await world.device("alice:phone")
    second = await world.device("alice:phone")
    assert await first.closed() == []
    await second.ping()
    await until(lambda: len(notes) == 3)
    assert [note[0] for note in notes] == ["came", "left", "came"]
    assert notes[1][-1] is False


async def test_a_second_connection_of_a_device_has_a_client_id_of_its_own(world, until, notes):
    await world.start()
    await world.device("alice:phone")
    beside = await world.device("alice:phone:1")
    await beside.publish(STATUS, AWAY, 1)
    await beside.disconnect()
    await until(lambda: len(notes) == 4)
    assert notes[1:] == [
        ("came", "alice", "phone", "alice:phone:1"),
        ("said", "alice", "phone", AWAY),
        ("left", "alice", "phone", "alice:phone:1", True),
    ]


async def test_a_part_of_the_server_is_no_device(world, notes):
    await world.start()
    service = await world.client("svc:web-1", username="svc:web-1", password=b"service-secret")
    await service.disconnect()
    await (await world.device("alice:phone")).ping()
    assert notes == [("came", "alice", "phone", "alice:phone")]


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_status_is_told_at_every_qos(world, notes, qos):
    await world.start()
    client = await world.device("alice:phone")
    await client.publish(STATUS, AWAY, qos, retain=True)
    assert notes[1:] == [("said", "alice", "phone", AWAY)]
    assert world.store.retained[STATUS].payload == AWAY


@pytest.mark.parametrize(
    "payload", [b"{", b'{"state":"busy"}', b'{"state":"online","n":%b}' % (b"9" * 90), bytes(200_000)]
)
async def test_a_status_that_cannot_be_read_is_acknowledged_dropped_and_counted(world, notes, payload):
    await world.start()
    client = await world.device("alice:phone")
    other = await world.device("bob:phone")
    await client.publish(STATUS, payload, 1, retain=True)
    assert world.store.retained == {}
    assert world.broker.metrics.offences_by["payload"] == 1
    await client.publish(STATUS, AWAY, 1)
    assert notes[-1] == ("said", "alice", "phone", AWAY)
    await other.ping()


async def test_mqtt_5_is_told_that_a_status_cannot_be_read(world, notes):  # noqa: ARG001 -- there is somebody to be told
    await world.start()
    client = await world.device("alice:phone", level=p.LEVEL_5)
    await client.send(p.Publish(STATUS, b"{", 1, packet_id=7))
    answer = await client.expect(p.Puback)
    assert (answer.packet_id, answer.reason) == (7, 0x99)


async def test_a_status_of_somebody_else_never_arrives(world, notes):
    await world.start()
    client = await world.device("bob:phone")
    await client.publish(STATUS, OFFLINE, 1, retain=True)
    await client.publish("pabal/v1/status/bob/other", OFFLINE, 1, retain=True)
    assert notes == [("came", "bob", "phone", "bob:phone")]
    assert world.store.retained == {}


async def test_a_will_that_cannot_be_read_leaves_nothing(world, until, notes):
    await world.start()
    client = await world.device("alice:phone", will=p.Will(STATUS, b"gone", 1, retain=True))
    client.cut()
    await until(lambda: len(notes) == 3)
    await (await world.device("alice:phone")).ping()
    assert world.store.retained == {}


# -- what clients are told


async def test_who_follows_is_told_of_changes_and_who_comes_later_of_the_state(world, notes):  # noqa: ARG001 -- as above
    await world.start(retained_messages=0)
    alice = await world.device("alice:phone")
    assert await alice.subscribe((PRESENCE, 0)) == b"\x00"
    assert await alice.publishes(1) == [p.Publish(PRESENCE, OFFLINE, 0, retain=True)]
    world.broker.announce(PRESENCE, ONLINE, keep=True)
    world.broker.announce(PRESENCE, AWAY, keep=True)
    assert await alice.publishes(2) == [p.Publish(PRESENCE, ONLINE), p.Publish(PRESENCE, AWAY)]
    carol = await world.device("carol:phone")
    await carol.subscribe((PRESENCE, 0))
    assert await carol.publishes(1) == [p.Publish(PRESENCE, AWAY, 0, retain=True)]
    assert world.broker.census().retained == 1
    world.broker.announce(PRESENCE, OFFLINE, keep=False)
    assert await carol.publishes(1) == [p.Publish(PRESENCE, OFFLINE)]
    assert world.broker.census().retained == 0
    assert world.store.retained == {}


async def test_whoever_is_not_shown_cannot_be_followed(world, notes):  # noqa: ARG001 -- as above
    await world.start()
    bob = await world.device("bob:phone")
    shared = f"$share/all/{PRESENCE}"
    assert await bob.subscribe(("pabal/v1/presence/alice", 0), ("pabal/v1/presence/+", 0)) == b"\x80\x80"
    alice = await world.device("alice:phone", level=p.LEVEL_5)
    assert await alice.subscribe((shared, 0), (PRESENCE, 1)) == b"\x9e\x01"


async def test_the_state_comes_with_the_identifier_of_the_subscription(world, notes):  # noqa: ARG001 -- as above
    await world.start()
    alice = await world.device("alice:phone", level=p.LEVEL_5)
    said = p.Properties(subscription_identifiers=(9,))
    await alice.send(p.Subscribe(1, ((PRESENCE, 0),), said))
    await alice.expect(p.Suback)
    (told,) = await alice.publishes(1)
    assert (told.payload, told.properties.subscription_identifiers) == (OFFLINE, (9,))


@pytest.mark.parametrize("as_published", [False, True])
async def test_a_change_has_the_retain_flag_for_who_wants_it_as_published(world, notes, as_published):  # noqa: ARG001 -- as above
    await world.start()
    alice = await world.device("alice:phone", level=p.LEVEL_5)
    options = p.RETAIN_AS_PUBLISHED if as_published else 0
    await alice.send(p.Subscribe(1, ((PRESENCE, options),)))
    await alice.expect(p.Suback)
    await alice.publishes(1)
    world.broker.announce(PRESENCE, ONLINE, keep=True)
    world.broker.announce(PRESENCE, OFFLINE, keep=False)
    assert [(one.payload, one.retain) for one in await alice.publishes(2)] == [
        (ONLINE, as_published),
        (OFFLINE, as_published),
    ]


async def test_who_comes_back_is_told_what_was_missed_without_subscribing_again(world, notes):  # noqa: ARG001 -- as above
    await world.start()
    alice = await world.device("alice:phone", clean=False)
    others = ("pabal/v1/presence/carol", 0), ("pabal/v1/live/alice", 0)
    assert await alice.subscribe((PRESENCE, 0), *others) == b"\x00\x00\x00"
    await alice.publishes(2)
    await alice.disconnect()
    world.broker.announce(PRESENCE, ONLINE, keep=True)
    world.directory.pairs.discard(("alice", "carol"))
    back = await world.device("alice:phone", clean=False)
    assert back.present
    assert sorted((one.topic, one.payload) for one in await back.publishes(2)) == [
        (PRESENCE, ONLINE),
        ("pabal/v1/presence/carol", OFFLINE),
    ]
    world.broker.announce("pabal/v1/presence/carol", ONLINE, keep=True)
    assert await back.until_pong() == []


async def test_a_new_session_is_told_nothing_that_it_did_not_ask_for(world, notes):  # noqa: ARG001 -- as above
    await world.start()
    alice = await world.device("alice:phone", clean=False)
    await alice.subscribe((PRESENCE, 0))
    await alice.publishes(1)
    await alice.disconnect()
    anew = await world.device("alice:phone")
    assert await anew.until_pong() == []


# -- rights that are taken away


async def test_who_may_not_follow_any_longer_is_told_offline_and_nothing_after_it(world, until, notes):  # noqa: ARG001 -- as above
    await world.start()
    alice = await world.device("alice:phone", clean=False)
    carol = await world.device("carol:phone")
    for client in (alice, carol):
        await client.subscribe((PRESENCE, 0))
        await client.publishes(1)
    world.broker.announce(PRESENCE, ONLINE, keep=True)
    for client in (alice, carol):
        await client.publishes(1)
    world.directory.pairs.discard(("alice", "bob"))
    world.broker.review(BOB)
    assert await alice.publishes(1) == [p.Publish(PRESENCE, OFFLINE)]
    await until(lambda: world.store.sessions["alice:phone"].subscriptions == {})
    world.broker.announce(PRESENCE, AWAY, keep=True)
    assert await carol.publishes(1) == [p.Publish(PRESENCE, AWAY)]
    assert await alice.until_pong() == []
    assert await alice.subscribe((PRESENCE, 0)) == b"\x80"


async def test_many_who_are_looked_at_in_one_turn_cost_one_question_for_each_follower(world, until, notes):  # noqa: ARG001 -- as above
    await world.start()
    alice = await world.device("alice:phone")
    carol = await world.device("carol:phone")
    await alice.subscribe((PRESENCE, 0), ("pabal/v1/presence/carol", 0))
    await carol.subscribe((PRESENCE, 0))
    for user in (BOB, CAROL, ALICE, BOB):
        world.broker.review(user)
    await until(lambda: len(world.directory.questions) == 2)
    assert sorted(world.directory.questions) == [("alice", ("bob", "carol")), ("carol", ("bob",))]
    world.broker.review(ALICE)
    world.broker.announce(PRESENCE, ONLINE, keep=True)
    assert (await alice.publishes(3))[-1].payload == ONLINE


async def test_who_subscribes_while_the_right_is_taken_away_does_not_keep_it(world, until, notes):  # noqa: ARG001 -- as above
    await world.start()
    alice = await world.device("alice:phone")
    world.directory.gate.shut()
    await alice.send(p.Subscribe(1, ((PRESENCE, 0),)))
    await until(lambda: world.directory.gate.waiting)
    world.directory.pairs.discard(("alice", "bob"))
    world.broker.review(BOB)
    world.directory.gate.open()
    assert (await alice.expect(p.Suback)).codes == b"\x00"
    assert [one.payload for one in await alice.publishes(2)] == [OFFLINE, OFFLINE]
    await until(lambda: world.broker.census().subscriptions == 0)
    world.broker.announce(PRESENCE, ONLINE, keep=True)
    assert await alice.until_pong() == []


async def test_who_comes_back_while_the_right_is_taken_away_does_not_keep_it(world, until, notes):  # noqa: ARG001 -- as above
    await world.start()
    alice = await world.device("alice:phone", clean=False)
    await alice.subscribe((PRESENCE, 0))
    await alice.publishes(1)
    await alice.disconnect()
    world.directory.gate.shut()
    back = await world.raw()
    await back.send(p.Connect("alice:phone", clean=False, username="alice", password=b"phone-secret"))
    await until(lambda: world.directory.gate.waiting)
    world.directory.pairs.discard(("alice", "bob"))
    world.broker.review(BOB)
    await until(lambda: world.directory.gate.waiting == 2)
    world.directory.gate.open()
    await back.expect(p.Connack)
    assert [one.payload for one in await back.publishes(2)] == [OFFLINE, OFFLINE]
    world.broker.announce(PRESENCE, ONLINE, keep=True)
    assert await back.until_pong() == []


@pytest.mark.parametrize("comes_back", [True, False])
async def test_while_the_database_does_not_say_who_may_follow_what_stands_stands_for_a_while(
    world, until, notes, monkeypatch, comes_back  # noqa: ARG001 -- as above
):  # fmt: skip
    monkeypatch.setattr(subscribing, "_RECHECK_S", 0.001)
    monkeypatch.setattr(subscribing, "_RECHECKS", 1_000_000 if comes_back else 3)
    await world.start()
    alice = await world.device("alice:phone")
    await alice.subscribe((PRESENCE, 0))
    await alice.publishes(1)
    world.directory.gate.broken = True
    world.broker.review(BOB)
    await until(lambda: len(world.directory.questions) >= 3)
    if not comes_back:
        assert [one.payload for one in await alice.publishes(1)] == [OFFLINE]
        return
    world.broker.announce(PRESENCE, ONLINE, keep=True)
    assert [one.payload for one in await alice.publishes(1)] == [ONLINE]
    world.directory.gate.broken = False
    asked = len(world.directory.questions)
    world.broker.review(BOB)
    await until(lambda: len(world.directory.questions) > asked)
    world.broker.announce(PRESENCE, AWAY, keep=True)
    assert [one.payload for one in await alice.publishes(1)] == [AWAY]
