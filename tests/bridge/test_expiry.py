"""Messages with a time to go: hidden the moment it is over, swept soon after, and an entry like any other."""

import pytest
from bridge_fakes import FakeBroker
from bridge_harness import Harness
from message_talk import DIRECT, Clock, Talk
from sqlalchemy import text

from bridge import expiry
from bridge.build import Bridge
from bridge.store import maintenance

PLACES = pytest.mark.parametrize("place", ["direct", "small", "large"])


async def conversation(talk, place):
    members = {"small": ("bob",), "large": ("bob", "carol")}
    return DIRECT if place == "direct" else await talk.group(*members[place])


async def swept(talk, conv, count=1):
    """Wait until so many messages of the conversation are gone."""

    def done() -> bool:
        heard = talk.room(conv) + talk.live("alice")
        return sum(update["type"] == "recalled" and update["conv"] == conv for update in heard) >= count

    await talk.harness.broker.until(done)


@PLACES
async def test_an_expiry_is_a_recall_by_the_sender_ordered_and_synced_like_any_entry(talk, place):
    conv = await conversation(talk, place)
    target = await talk.said("secret", conv, expires_in=60)
    due = talk.clock.now + 60_000
    assert (await talk.history("bob", conv))[-1]["expires"] == due
    talk.clock.now = due
    await swept(talk, conv)
    after = await talk.said("later", conv)
    assert after == target + 2
    where = talk.room(conv) if place == "large" else talk.live("bob")
    update = where[-2]
    expected = {
        "type": "recalled", "ts": due, "conv": conv, "message_id": target + 1, "from": "alice",
        "target": target, "expired": True,
    }  # fmt: skip
    assert {name: value for name, value in update.items() if name not in {"seq", "epoch"}} == expected
    if place != "large":
        mine = next(u for u in talk.live("alice") if u["type"] == "recalled")
        assert "device" not in mine
        assert mine in await talk.synced("alice")
        assert update in await talk.synced("bob")
    for user in ("alice", "bob"):
        assert "secret" not in await talk.everything(user, conv)
        tombstone, entry, _later = (await talk.history(user, conv))[-3:]
        assert (tombstone["recalled"], tombstone["expired"], tombstone["expires"]) == (True, True, due)
        assert (entry["type"], entry["expired"], entry["from"]) == ("recalled", True, "alice")


async def test_nothing_is_left_of_it_in_the_database(talk, engine):
    await talk.said("secret", expires_in=1, body={"a": "secret"})
    await talk.ok("alice", {"op": "edit", "conv": DIRECT, "target": 1, "text": "secret too"})
    talk.clock.now += 1_000
    await swept(talk, DIRECT)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT * FROM direct_message")).all()
        rows += connection.execute(text("SELECT * FROM inbox")).all()
    assert "secret" not in repr(rows)
    assert [finding for finding in maintenance.check(engine) if finding.breaches] == []


@pytest.fixture
async def unswept(talk):
    """Nobody sweeps."""
    await talk.harness.bridge._sweeper.stop()
    return talk


@PLACES
async def test_what_is_due_and_not_yet_swept_is_not_shown(unswept, place):
    talk = unswept
    conv = await conversation(talk, place)
    target = await talk.said("secret", conv, expires_in=60, mentions=["bob"])
    await talk.ok("alice", {"op": "edit", "conv": conv, "target": target, "text": "secret too"})
    await talk.ok("bob", {"op": "react", "conv": conv, "target": target, "emoji": "+"})
    talk.clock.now += 59_999
    assert "secret too" in await talk.everything("bob", conv)
    talk.clock.now += 1
    assert "secret" not in await talk.everything("bob", conv)
    item = next(item for item in await talk.history("bob", conv) if item["message_id"] == target)
    assert (item["recalled"], item["expired"], "edited" in item, "reactions" in item) == (
        True,
        True,
        False,
        False,
    )
    last = (await talk.summary("bob", conv))["last"]
    assert (last["message_id"], last["recalled"], "text" in last) == (target, True, False)


@pytest.mark.parametrize(
    "op",
    [
        {"op": "edit", "text": "x", "target": 1},
        {"op": "recall", "target": 1},
        {"op": "react", "emoji": "+", "target": 1},
        {"forward_of": {"conv": DIRECT, "message_id": 1}},
    ],
)
async def test_nothing_is_done_to_what_is_due(unswept, op):
    talk = unswept
    await talk.said(expires_in=1)
    ask = {"conv": DIRECT, **op}
    talk.clock.now += 1_000
    assert (await talk.refused("alice", ask))[0] == "conflict"
    talk.clock.now -= 1
    await talk.ok("alice", ask)


async def test_what_is_due_is_answered_and_deleted_for_oneself(unswept):
    talk = unswept
    await talk.said(expires_in=1)
    talk.clock.now += 1_000
    await talk.said("what was it?", by="bob", reply_to=1)
    await talk.ok("bob", {"op": "delete", "conv": DIRECT, "target": 1})
    assert [item["message_id"] for item in await talk.history("bob")] == [2]


async def test_a_report_of_what_is_due_keeps_nothing_of_it_and_an_earlier_one_does(unswept, engine):
    talk = unswept
    for _ in range(2):
        await talk.said("secret", expires_in=1)
    await talk.ok("bob", {"op": "report", "conv": DIRECT, "message_id": 1, "reason": "spam"})
    talk.clock.now += 1_000
    await talk.ok("bob", {"op": "report", "conv": DIRECT, "message_id": 2, "reason": "spam"})
    with engine.connect() as connection:
        kept = connection.execute(text("SELECT content FROM report ORDER BY report_id")).scalars().all()
    assert ["secret" in content for content in kept] == [True, False]


async def test_an_edit_keeps_the_time(talk):
    await talk.said("one", expires_in=60)
    due = talk.clock.now + 60_000
    talk.clock.now += 30_000
    await talk.ok("alice", {"op": "edit", "conv": DIRECT, "target": 1, "text": "two"})
    assert [(item["text"], item.get("expires")) for item in await talk.history("bob")] == [
        ("two", due), ("two", None),
    ]  # fmt: skip
    talk.clock.now = due
    await swept(talk, DIRECT)


async def test_what_was_recalled_before_does_not_expire_as_well(talk):
    for _ in range(2):
        await talk.said(expires_in=1)
    await talk.ok("alice", {"op": "recall", "conv": DIRECT, "target": 1})
    talk.clock.now += 1_000
    await swept(talk, DIRECT, 2)
    entries = [item for item in await talk.history("bob") if item.get("type") == "recalled"]
    assert [(entry["target"], entry.get("expired")) for entry in entries] == [(1, None), (2, True)]
    assert "expired" not in (await talk.history("bob"))[0]


async def test_copies_outlive_the_message(talk):
    await talk.said("secret", expires_in=1)
    await talk.ok("bob", {"conv": "bob~carol", "forward_of": {"conv": DIRECT, "message_id": 1}})
    await talk.said("answer", by="bob", reply_to=1)
    talk.clock.now += 1_000
    await swept(talk, DIRECT)
    [copy] = await talk.history("carol", "bob~carol")
    assert (copy["text"], copy.get("expires")) == ("secret", None)
    answer = (await talk.history("alice"))[1]
    assert (answer["text"], answer["reply_to"]) == ("answer", 1)


async def test_many_are_swept_in_rounds_in_the_order_of_their_times(talk, monkeypatch):
    monkeypatch.setattr(expiry, "ROUND", 3)
    for seconds in (9, 8, 7, 6, 5, 4, 3, 2):
        await talk.said(f"{seconds}", expires_in=seconds)
    talk.clock.now += 9_000
    await swept(talk, DIRECT, 8)
    entries = [item for item in await talk.history("bob") if item.get("type") == "recalled"]
    assert [entry["target"] for entry in entries] == [8, 7, 6, 5, 4, 3, 2, 1]


async def test_it_expires_also_when_its_sender_has_left_and_is_not_told(talk):
    conv = await talk.group("bob")
    target = await talk.said("secret", conv, by="bob", expires_in=1)
    await talk.ok("bob", {"op": "group.leave", "conv": conv})
    heard = len(talk.live("bob"))
    talk.clock.now += 1_000
    await swept(talk, conv)
    assert talk.live("alice")[-1]["target"] == target
    assert len(talk.live("bob")) == heard


async def test_what_became_due_while_no_server_ran_expires_after_the_start(url):
    clock = Clock()
    bridge, broker = Bridge(url, faults=clock), FakeBroker()
    await bridge.start(broker)
    await Talk(Harness(bridge, broker), clock).said("secret", expires_in=1)
    await bridge.stop()
    clock.now += 5_000
    bridge, broker = Bridge(url, faults=clock), FakeBroker()
    await bridge.start(broker)
    try:
        talk = Talk(Harness(bridge, broker), clock)
        talk.asked = 10
        await swept(talk, DIRECT)
        assert [update["type"] for update in await talk.synced("bob")] == ["message", "recalled"]
        assert "secret" not in await talk.everything("bob")
    finally:
        await bridge.stop()


async def test_the_same_request_again_is_the_same_message_and_another_time_is_another_request(talk):
    request = {"id": "m", "conv": DIRECT, "text": "x", "expires_in": 5}
    first = await talk.ok("alice", request)
    talk.clock.now += 1_000
    assert await talk.ok("alice", request) == {**first, "dup": True}
    assert (await talk.history("bob"))[0]["expires"] == first["ts"] + 5_000
    assert (await talk.refused("alice", {**request, "expires_in": 6}))[0] == "conflict"
    del request["expires_in"]
    assert (await talk.refused("alice", request))[0] == "conflict"


@pytest.mark.parametrize("seconds", [0, -1, 31_536_001, 1.5, "5", True, [], 2**70])
async def test_a_time_that_is_none_is_a_bad_request(talk, seconds):
    ask = {"conv": DIRECT, "text": "x", "expires_in": seconds}
    assert await talk.refused("alice", ask) == ("bad_request", "expires_in")
    await talk.ok("alice", {**ask, "expires_in": 31_536_000})


async def test_due_messages_are_found_by_their_index(engine, talk):
    await talk.said(expires_in=5)
    statement = talk.harness.bridge._store._sql.due[0].text
    explain = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN "
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SET enable_seqscan = off"))  # of one row it would read the table
        plan = connection.execute(text(explain + statement), {"now": 0, "limit": 1}).all()
    assert "ix_direct_message_expires_ts" in str(plan)
