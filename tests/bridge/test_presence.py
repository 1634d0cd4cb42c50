"""Who is online, as the bridge tells it, writes it down, and answers who asks; on a clock that stands still."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from bridge_fakes import FakeBroker
from bridge_harness import Harness
from sqlalchemy import insert, select, update
from stopped_timers import StoppedTimers

from bridge import presence
from bridge.build import Bridge
from bridge.figures import Figures
from bridge.presence import PresenceDesk
from bridge.store.faults import NoFaults
from bridge.store.read_store import ReadStore
from bridge.store.tables import account, block, contact, device, retained
from pabal.errors import Unavailable
from pabal.ids import DeviceId, UserId
from pabal.presence import Roster

ALICE, BOB, CAROL = UserId("alice"), UserId("bob"), UserId("carol")
D = DeviceId("d")
TOPIC = "pabal/v1/presence/alice"
ONLINE, AWAY, OFFLINE = (b'{"state":"%b"}' % state for state in (b"online", b"away", b"offline"))


class Clock(NoFaults):
    """Milliseconds since 1970, moved by a test."""

    def __init__(self) -> None:
        self.ms = 1_000_000

    def now_ms(self) -> int:
        return self.ms


class Scene(Harness):
    """A bridge on stopped clocks, which can end and begin again."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.timers, self.clock = StoppedTimers(), Clock()
        super().__init__(self._bridge(), FakeBroker())

    def _bridge(self) -> Bridge:
        return Bridge(self.url, faults=self.clock, timers=self.timers)

    @property
    def desk(self) -> PresenceDesk:
        return self.bridge.presence

    @property
    def told(self) -> list[tuple[str, bytes, bool]]:
        return self.broker.announced

    async def begin(self) -> None:
        await self.bridge.start(self.broker)

    async def end(self) -> None:
        """Whatever broker there was cannot say any more who left."""
        await self.bridge.stop()

    async def again(self) -> None:
        """After an end."""
        self.bridge, self.broker = self._bridge(), FakeBroker()
        await self.begin()

    def come(self, user=ALICE, client_id=None, name=D) -> None:
        self.desk.connected(user, name, client_id or f"{user}:{name}")

    def go(self, user=ALICE, client_id=None, name=D, *, clean=True) -> None:
        self.desk.disconnected(user, name, client_id or f"{user}:{name}", clean=clean)

    async def ask_presence(self, viewer: str, *users: str, **how) -> list[dict]:
        reply = await self.ask(viewer, {"op": "presence", "id": "p", "users": list(users)}, **how)
        assert reply["ok"], reply
        return reply["presence"]

    async def group(self, *users: str, by: str = "alice") -> str:
        members = [user for user in users if user != by]
        asked = {"op": "group.create", "id": f"g{users}", "name": "Riders", "members": members}
        return (await self.ask(by, asked))["conv"]


@pytest.fixture(autouse=True)
def _written_when_a_test_says_so(monkeypatch):
    """However slow the machine, no step of it is done beside those of the test, and the last one to its end."""
    monkeypatch.setattr(presence, "FLUSH_S", 3600.0)
    monkeypatch.setattr(presence, "STOP_S", 60.0)


@pytest.fixture
async def scene(url):
    made = Scene(url)
    await made.begin()
    yield made
    await made.end()


@pytest.fixture
def write(engine):
    def run(*statements):
        with engine.begin() as connection:
            for statement in statements:
                connection.execute(statement)

    return run


@pytest.fixture
def kept(engine):
    """What is on disk of what others are told."""

    def look():
        with engine.connect() as connection:
            return {row.topic: bytes(row.payload) for row in connection.execute(select(retained))}

    return look


@pytest.fixture
def seen(engine):
    """When alice's device was here last, as it is on disk."""

    def look():
        asked = select(device.c.seen_ts).where(device.c.user_id == ALICE, device.c.device_id == D)
        with engine.connect() as connection:
            return connection.execute(asked).scalar_one()

    return look


def choose(user: str, privacy: str):
    return update(account).where(account.c.user_id == user).values(privacy=privacy)


def accept(user: str, other: str):
    return insert(contact).values(user_id=user, other_id=other, state="accepted", ts=1)


# -- telling


async def test_who_comes_is_kept_for_later_subscribers_and_who_goes_is_only_told(scene):
    scene.come()
    scene.go()
    assert scene.told == [(TOPIC, ONLINE, True), (TOPIC, OFFLINE, False)]


async def test_an_unclean_end_is_told_after_ten_seconds(scene):
    scene.come()
    scene.go(clean=False)
    scene.timers.advance(9.9)
    assert scene.told == [(TOPIC, ONLINE, True)]
    scene.timers.advance(0.1)
    assert scene.told[1:] == [(TOPIC, OFFLINE, False)]
    scene.timers.advance(600)
    assert scene.timers.waiting == 0


async def test_away_comes_from_status_and_the_will_of_a_lost_connection_adds_nothing(scene):
    scene.come()
    assert scene.desk.status(ALICE, D, b'{"state":"away","n":1}', will=False)
    scene.go(clean=False)
    assert scene.desk.status(ALICE, D, b'{"state":"offline","n":1}', will=True)
    scene.come()
    scene.timers.advance(60)
    assert [payload for _, payload, _ in scene.told] == [ONLINE, AWAY]


async def test_behind_another_broker_a_device_was_here_when_it_last_said_something(scene, seen):
    assert scene.desk.status(ALICE, D, b'{"state":"offline","n":1}', will=True)
    await scene.desk.flush()
    assert seen() is None, "nothing was known of it: what is retained of long ago"
    scene.clock.ms += 1_000
    scene.desk.status(ALICE, D, b'{"state":"online","n":2}', will=False)
    await scene.desk.flush()
    assert seen() == 1_001_000
    scene.clock.ms += 5_000
    scene.desk.status(ALICE, D, b'{"state":"offline","n":2}', will=True)
    await scene.desk.flush()
    assert seen() == 1_006_000


@pytest.mark.parametrize(
    "payload", [b"{", b'{"state":"busy"}', b'{"state":"online","n":1e99}', b"x" * 100_000]
)
async def test_a_status_that_cannot_be_read_says_so_and_changes_nothing(scene, payload):
    scene.come()
    assert not scene.desk.status(ALICE, D, payload, will=False)
    assert not scene.desk.status(ALICE, D, payload, will=True)
    assert scene.told == [(TOPIC, ONLINE, True)]


async def test_two_devices_and_a_second_connection_are_one_user(scene):
    scene.come()
    scene.come(client_id="alice:d:1")
    scene.come(name=DeviceId("desk"))
    scene.go()
    scene.go(name=DeviceId("desk"))
    assert scene.told == [(TOPIC, ONLINE, True)]
    assert scene.bridge.relay.figures.users_online == 1
    scene.go(client_id="alice:d:1")
    assert scene.told[1:] == [(TOPIC, OFFLINE, False)]
    assert scene.bridge.relay.figures.users_online == 0


async def test_after_the_end_nothing_is_told(scene):
    scene.come()
    await scene.end()
    scene.go()
    scene.come()
    assert scene.desk.status(ALICE, D, b'{"state":"away"}', will=False)
    scene.timers.advance(60)
    assert scene.told == [(TOPIC, ONLINE, True)]


# -- on disk


async def test_who_is_online_is_on_disk_and_who_is_not_leaves_no_row(scene, kept):
    scene.come()
    scene.come(BOB)
    scene.desk.status(BOB, D, b'{"state":"away","n":1}', will=False)
    await scene.desk.flush()
    assert kept() == {TOPIC: ONLINE, "pabal/v1/presence/bob": AWAY}
    scene.go()
    await scene.desk.flush()
    assert kept() == {"pabal/v1/presence/bob": AWAY}


async def test_whoever_does_not_come_back_after_a_restart_is_told_to_be_gone(scene, kept):
    scene.come()
    scene.come(BOB)
    await scene.end()
    await scene.again()
    assert (await scene.ask_presence("alice", "alice"))[0]["state"] == "online"
    scene.come(BOB)
    scene.timers.advance(24.9)
    assert scene.told == []
    scene.timers.advance(0.1)
    assert scene.told == [(TOPIC, OFFLINE, False)]
    await scene.desk.flush()
    assert kept() == {"pabal/v1/presence/bob": ONLINE}
    assert (await scene.ask_presence("alice", "alice"))[0]["state"] == "offline"


async def test_what_cannot_be_read_any_longer_is_corrected_too(scene, write, kept):
    await scene.end()
    write(insert(retained).values(topic=TOPIC, payload=b"dancing", qos=0))
    await scene.again()
    scene.timers.advance(25)
    assert scene.told == [(TOPIC, OFFLINE, False)]
    await scene.desk.flush()
    assert kept() == {}


async def test_a_device_is_noted_when_it_comes_and_goes_and_once_a_minute_between(scene, seen):
    scene.clock.ms = 5000
    scene.come()
    await scene.desk.flush()
    assert seen() == 5000
    for seconds, noted in ((59, 5000), (60, 65_000), (119, 65_000), (120, 125_000)):
        scene.timers.advance(1000 + seconds - scene.timers.now)
        scene.clock.ms = 5000 + 1000 * seconds
        scene.desk._sweep_at = 0.0  # as if it were time to look
        scene.desk.sweep()
        await scene.desk.flush()
        assert seen() == noted
    scene.clock.ms = 130_000
    scene.go(clean=False)
    await scene.desk.flush()
    assert seen() == 130_000


async def test_a_clock_that_goes_back_takes_nothing_back(scene, seen):
    scene.clock.ms = 9000
    scene.come()
    await scene.desk.flush()
    scene.clock.ms = 8000
    scene.go()
    await scene.desk.flush()
    assert seen() == 9000


async def test_at_the_end_those_who_are_here_are_noted_once_more(scene, seen):
    scene.come()
    scene.clock.ms = 2_000_000
    await scene.end()
    assert seen() == 2_000_000


class Broken:
    """A relay whose database is away until it is not."""

    def __init__(self) -> None:
        self.away = True
        self.figures = Figures()
        self.taken = []

    async def commit(self, command):
        await asyncio.sleep(0)
        if self.away:
            raise Unavailable("the database does not answer")
        self.taken.append(command)


@pytest.fixture
async def alone(engine):
    """A desk over a database that is read but takes nothing."""
    relay, clock, broker = Broken(), Clock(), FakeBroker()
    with ThreadPoolExecutor(1) as readers:
        desk = PresenceDesk(
            Roster(), ReadStore(engine), readers, relay, now_ms=clock.now_ms, timers=StoppedTimers()
        )
        await desk.start(broker)
        yield desk, relay, clock
        await desk.stop()


async def test_while_the_database_is_away_what_is_newest_is_kept_for_it(alone, caplog):
    desk, relay, clock = alone
    desk.connected(ALICE, D, "a")
    desk.connected(BOB, D, "b")
    await desk.flush()
    clock.ms += 1
    desk.disconnected(ALICE, D, "a", clean=True)
    await desk.flush()
    assert [record.message for record in caplog.records].count(
        "who is online could not be written down: the database does not answer; trying again"
    ) == 1
    relay.away = False
    await desk.flush()
    (command,) = relay.taken
    assert dict(command.shown) == {ALICE: "", BOB: ONLINE.decode()}
    assert sorted(command.seen) == [(ALICE, D, 1_000_001), (BOB, D, 1_000_000)]
    await desk.flush()
    assert len(relay.taken) == 1


async def test_what_waits_for_the_database_is_bounded(alone, monkeypatch):
    monkeypatch.setattr(presence, "MAX_UNWRITTEN", 2)
    desk, relay, _clock = alone
    for number in range(5):
        desk.connected(ALICE, DeviceId(f"d{number}"), f"c{number}")
    relay.away = False
    await desk.flush()
    assert [name for _, name, _ in relay.taken[0].seen] == ["d3", "d4"]


async def test_many_devices_are_noted_in_steps(alone, monkeypatch):
    monkeypatch.setattr(presence, "SEEN_STEP", 2)
    desk, relay, _clock = alone
    for number in range(5):
        desk.connected(ALICE, DeviceId(f"d{number}"), f"c{number}")
    relay.away = False
    await desk.flush()
    desk._timers.advance(60)
    noted = []
    for _ in range(5):
        desk.sweep()
        await desk.flush()
        noted.append(len(relay.taken[-1].seen) if len(relay.taken) > len(noted) + 1 else 0)
    assert noted == [2, 2, 1, 0, 0]


# -- who asks, and who is shown


async def test_group_mates_see_each_other_and_strangers_see_nothing(scene):
    scene.come()
    scene.come(CAROL)
    await scene.group("alice", "bob")
    assert await scene.ask_presence("bob", "carol", "alice", "bob", "alice", "nobody") == [
        {"user": "carol", "state": "offline"},
        {"user": "alice", "state": "online"},
        {"user": "bob", "state": "offline"},
        {"user": "nobody", "state": "offline"},
    ]
    assert scene.broker.reviewed == []


async def test_a_contact_sees_state_and_last_seen_and_only_the_one_who_was_accepted(scene, write):
    write(accept("alice", "bob"))
    scene.come()
    await scene.desk.flush()
    assert await scene.ask_presence("bob", "alice") == [
        {"user": "alice", "state": "online", "last_seen": 1_000_000}
    ]
    assert await scene.ask_presence("alice", "bob") == [{"user": "bob", "state": "offline"}]


async def test_everybody_sees_themselves_whatever_they_chose(scene, write):
    write(choose("alice", '{"presence":"nobody","last_seen":"nobody"}'))
    scene.come()
    await scene.desk.flush()
    assert await scene.ask_presence("alice", "alice") == [
        {"user": "alice", "state": "online", "last_seen": 1_000_000}
    ]
    assert await scene.bridge.members.sees_presence(ALICE, ALICE)


@pytest.mark.parametrize(
    ("presence_", "last_seen", "viewer", "state", "when"),
    [
        ("everyone", "contacts", "stranger", "online", None),
        ("contacts", "everyone", "stranger", "offline", 1_000_000),
        ("contacts", "contacts", "contact", "online", 1_000_000),
        ("contacts", "contacts", "mate", "online", None),
        ("nobody", "contacts", "contact", "offline", 1_000_000),
        ("contacts", "nobody", "contact", "online", None),
        ("nobody", "nobody", "contact", "offline", None),
        ("nobody", "nobody", "mate", "offline", None),
        ("everyone", "everyone", "blocked", "offline", None),
        ("everyone", "everyone", "blocking", "offline", None),
    ],
)
async def test_each_viewer_sees_what_the_owner_chose_for_them(
    scene, write, presence_, last_seen, viewer, state, when
):
    write(choose("alice", f'{{"presence":"{presence_}","last_seen":"{last_seen}"}}'))
    match viewer:
        case "contact":
            write(accept("alice", "bob"))
        case "mate":
            await scene.group("alice", "bob")
        case "blocked":
            write(accept("alice", "bob"), insert(block).values(user_id="alice", blocked_id="bob", ts=1))
        case "blocking":
            write(accept("alice", "bob"), insert(block).values(user_id="bob", blocked_id="alice", ts=1))
    scene.come()
    await scene.desk.flush()
    expected = {"user": "alice", "state": state} | ({} if when is None else {"last_seen": when})
    assert await scene.ask_presence("bob", "alice") == [expected]
    assert await scene.bridge.members.sees_presence(BOB, ALICE) == (state == "online")


@pytest.mark.parametrize(
    ("users", "told"),
    [
        (["alice", "No Name"], "users"),
        (["a\0b"], "users"),
        (["alice"] * 201, "users"),
        ("alice", "users"),
        (None, "users"),
    ],
)
async def test_a_question_that_is_none_is_refused_and_names_the_field(scene, users, told):
    asked = {"op": "presence", "id": "p"} | ({} if users is None else {"users": users})
    reply = await scene.ask("bob", asked)
    assert (reply["ok"], reply["error"]) == (False, "bad_request")
    assert told in reply["detail"]
    assert len(await scene.ask_presence("bob", *["alice", "bob"] * 100)) == 2


async def test_a_device_that_only_sends_may_not_ask(scene):
    asked = {"op": "presence", "id": "p", "users": ["alice"]}
    assert (await scene.ask("bob", asked, allow=frozenset({"send"})))["error"] == "forbidden"
    assert (await scene.ask("bob", asked, allow=frozenset({"receive"})))["ok"]


# -- whoever loses the right


async def test_who_leaves_a_small_group_is_looked_at_again(scene):
    conv = await scene.group("alice", "bob", "carol")
    assert await scene.bridge.members.visible_to(BOB, (ALICE, CAROL)) == {ALICE, CAROL}
    assert (await scene.ask("alice", {"op": "group.remove", "id": "r", "conv": conv, "user": "bob"}))["ok"]
    assert scene.broker.reviewed == ["bob"]
    assert await scene.bridge.members.visible_to(BOB, (ALICE, CAROL)) == set()
    assert await scene.bridge.members.visible_to(ALICE, (BOB, CAROL)) == {CAROL}


async def test_a_group_that_becomes_large_shows_its_members_no_longer(url):
    bridge, broker = Bridge(url, small_limit=2), FakeBroker()
    await bridge.start(broker)
    harness = Harness(bridge, broker)
    conv = (
        await harness.ask("alice", {"op": "group.create", "id": "g", "name": "Riders", "members": ["bob"]})
    )["conv"]
    assert await bridge.members.sees_presence(ALICE, BOB)
    assert (await harness.ask("alice", {"op": "group.add", "id": "a", "conv": conv, "user": "carol"}))["ok"]
    assert sorted(broker.reviewed) == ["alice", "bob", "carol"]
    assert not await bridge.members.sees_presence(ALICE, BOB)
    assert (await harness.ask("bob", {"op": "group.leave", "id": "l", "conv": conv}))["ok"]
    assert len(broker.reviewed) == 3
    await bridge.stop()
