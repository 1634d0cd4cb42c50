"""Links that invite: each use is counted once, whoever is quicker."""

import pytest
from group_world import KIND_NAMES, KINDS, START_MS, open_groups
from sqlalchemy import text

from bridge import invite_rules
from bridge.store.engine import open_engine
from bridge.store.group_store import KEEP_MS

pytestmark = pytest.mark.parametrize(("url", "limit"), KINDS, ids=KIND_NAMES, indirect=["url"])


@pytest.fixture
async def world(url, limit):
    async with open_groups(url, limit) as made:
        yield made


async def test_whoever_has_the_code_joins_and_everybody_is_told(world):
    conv = await world.group("bob", "carol")
    said = await world.send("bob", conv)
    invited = await world.do("alice", "group.invite", conv)
    assert (invited["expires"], invited["uses"]) == (None, None)
    joined = await world.do("dave", "group.join", code=invited["code"])
    assert (joined["conv"], joined["message_id"], joined["dup"]) == (conv, said + 1, False)
    told = world.told("bob", conv)[-1]
    assert (told["action"], told["user"], told["by"]) == ("joined", "dave", "dave")
    own = world.inbox("dave")[0]
    assert (own["name"], own["mode"], own["device"]) == ("Riders", "large" if world.large else "small", "d")
    assert await world.seen("dave", conv) == [said + 1]
    await world.send("dave", conv)
    assert (await world.roles("dave", conv))["dave"] == "member"


async def test_joining_twice_is_a_conflict_and_the_same_request_the_same_answer(world):
    conv = await world.group("bob", "carol")
    code = (await world.do("alice", "group.invite", conv, uses=1))["code"]
    joined = await world.do("dave", "group.join", code=code, id="same")
    for _ in range(2):
        assert await world.do("dave", "group.join", code=code, id="same") == {**joined, "dup": True}
        assert await world.refused("dave", "group.join", code=code) == ("conflict", "code")
        assert await world.refused("alice", "group.join", code=code) == ("conflict", "code")
        await world.do("alice", "group.uninvite", conv, code=code)
    other = (await world.do("alice", "group.invite", conv))["code"]
    assert await world.refused("dave", "group.join", code=other, id="same") == ("conflict", "id")
    await world.do("dave", "group.leave", conv)
    assert await world.do("dave", "group.join", code=code, id="same") == {**joined, "dup": True}
    assert await world.refused("dave", "group.join", code=code) == ("not_found", "code")
    assert (await world.refused("dave", "send", conv, text="x"))[0] == "not_a_member"


async def test_two_never_share_the_last_use(world):
    conv = await world.group("bob", "carol")
    code = (await world.do("alice", "group.invite", conv, uses=2))["code"]
    people = ("dave", "erin", "frank")
    for ticket in [
        world.harness.submit(who, {"op": "group.join", "id": "j", "code": code}) for who in people
    ]:
        assert await world.harness.settled(ticket) is True
    outcomes = [world.harness.replies(who)[0].get("error") for who in people]
    assert sorted(outcomes, key=str) == [None, None, "not_found"]
    assert len(await world.roles("alice", conv)) == 5
    assert (await world.do("alice", "group.invites", conv))["invites"] == []


async def test_a_link_ends_with_its_time(world):
    conv = await world.group("bob", "carol")
    invited = await world.do("alice", "group.invite", conv, expires_in=60)
    assert invited["expires"] == START_MS + 60_000
    world.clock.now += 59_999
    await world.do("dave", "group.join", code=invited["code"])
    assert len((await world.do("alice", "group.invites", conv))["invites"]) == 1
    world.clock.now += 1
    assert await world.refused("erin", "group.join", code=invited["code"]) == ("not_found", "code")
    assert (await world.do("alice", "group.invites", conv))["invites"] == []


async def test_links_are_listed_for_those_who_run_the_group_and_taken_back(world):
    conv = await world.group("bob", "carol")
    await world.do("alice", "group.add", conv, user="bob", role="admin")
    one = await world.do("alice", "group.invite", conv, uses=3)
    other = await world.do("bob", "group.invite", conv, expires_in=60)
    await world.do("dave", "group.join", code=one["code"])
    listed = {each.pop("code"): each for each in (await world.do("bob", "group.invites", conv))["invites"]}
    assert listed == {
        one["code"]: {"by": "alice", "ts": START_MS, "expires": None, "uses": 2, "used": 1},
        other["code"]: {"by": "bob", "ts": START_MS, "expires": START_MS + 60_000, "uses": None, "used": 0},
    }
    for op, fields in (
        ("group.invites", {}),
        ("group.invite", {}),
        ("group.uninvite", {"code": one["code"]}),
    ):
        assert (await world.refused("carol", op, conv, **fields))[0] == "forbidden", op
        assert (await world.refused("erin", op, conv, **fields))[0] == "not_a_member", op
        assert (await world.refused("alice", op, "gaaaaaaaaaaaa", **fields))[0] == "not_found", op
        assert (await world.refused("alice", op, "alice~bob", **fields))[0] == "bad_request", op
    for _ in range(2):
        await world.do("bob", "group.uninvite", conv, code=one["code"])
    assert await world.refused("erin", "group.join", code=one["code"]) == ("not_found", "code")
    await world.do("erin", "group.join", code=other["code"])


async def test_a_link_of_another_group_is_none_of_this_one(world):
    conv, another = await world.group("bob", "carol"), await world.group("bob", "carol", owner="dave")
    code = (await world.do("dave", "group.invite", another))["code"]
    assert await world.refused("alice", "group.uninvite", conv, code=code) == ("not_found", "code")
    assert await world.refused("alice", "group.uninvite", conv, code="nonsense") == ("not_found", "code")
    await world.do("erin", "group.join", code=code)
    assert (await world.refused("erin", "history", conv))[0] == "not_a_member"


async def test_the_same_request_makes_one_link(world):
    conv = await world.group("bob", "carol")
    first = await world.do("alice", "group.invite", conv, uses=1, id="same")
    assert await world.do("alice", "group.invite", conv, uses=1, id="same") == first
    assert (await world.refused("alice", "group.invite", conv, uses=2, id="same")) == ("conflict", "id")
    await world.do("alice", "group.uninvite", conv, code=first["code"])
    assert await world.do("alice", "group.invite", conv, uses=1, id="same") == first
    assert (await world.do("alice", "group.invites", conv))["invites"] == [], "and it stays taken back"
    another = await world.do("alice", "group.invite", conv, uses=1)
    assert another["code"] != first["code"]


async def test_there_are_so_many_links_at_a_time_and_those_that_ended_do_not_count(world, monkeypatch):
    monkeypatch.setattr(invite_rules, "MAX_INVITES", 3)
    conv = await world.group("bob", "carol")
    codes = [(await world.do("alice", "group.invite", conv))["code"]]
    codes.append((await world.do("alice", "group.invite", conv, uses=1))["code"])
    await world.do("alice", "group.invite", conv, expires_in=1)
    assert (await world.refused("alice", "group.invite", conv))[0] == "too_large"
    await world.do("alice", "group.uninvite", conv, code=codes[0])
    await world.do("dave", "group.join", code=codes[1])
    world.clock.now += 1000
    for _ in range(3):
        await world.do("alice", "group.invite", conv)
    assert (await world.refused("alice", "group.invite", conv))[0] == "too_large"


async def test_links_that_ended_long_ago_are_forgotten(world, url):
    conv = await world.group("bob", "carol")
    code = (await world.do("alice", "group.invite", conv))["code"]
    await world.do("alice", "group.uninvite", conv, code=code)
    world.clock.now += KEEP_MS + 1
    kept = (await world.do("alice", "group.invite", conv))["code"]
    engine = open_engine(url)
    with engine.connect() as connection:
        assert list(connection.execute(text("SELECT code FROM invite")).scalars()) == [kept]
    engine.dispose()


async def test_nobody_joins_a_group_that_everybody_left(world):
    conv = await world.group("bob", "carol")
    code = (await world.do("alice", "group.invite", conv))["code"]
    for user in ("bob", "carol", "alice"):
        await world.do(user, "group.leave", conv)
    assert await world.refused("dave", "group.join", code=code) == ("not_found", "code")


async def test_what_cannot_be_read_is_refused_by_its_field(world):
    conv = await world.group("bob", "carol")
    for op, fields, field in (
        ("group.join", {"code": ""}, "code"),
        ("group.join", {"code": "a\0b"}, "code"),
        ("group.join", {"code": "x" * 33}, "code"),
        ("group.join", {}, "code"),
        ("group.invite", {"uses": 0}, "uses"),
        ("group.invite", {"uses": 1.5}, "uses"),
        ("group.invite", {"expires_in": 0}, "expires_in"),
        ("group.invite", {"expires_in": 31_536_001}, "expires_in"),
        ("group.uninvite", {"code": 5}, "code"),
    ):
        assert await world.refused("alice", op, conv, **fields) == ("bad_request", field), (op, fields)


async def test_codes_cannot_be_guessed(world):
    conv = await world.group("bob", "carol")
    codes = {(await world.do("alice", "group.invite", conv))["code"] for _ in range(20)}
    assert len(codes) == 20
    assert all(len(code) == 22 for code in codes), "128 bits of chance"
    assert await world.refused("dave", "group.join", code="A" * 22) == ("not_found", "code")
