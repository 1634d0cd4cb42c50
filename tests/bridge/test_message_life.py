"""Edits, recalls and reactions through the one transaction: who may, what everybody sees, and what is left."""

import msgspec
import pytest
from bridge_fakes import FakeBroker
from bridge_harness import Harness
from sqlalchemy import text

from bridge.build import Bridge
from bridge.message_rules import MAX_REACTIONS
from bridge.store.faults import NoFaults

DIRECT = "alice~bob"


class Clock(NoFaults):
    """Stands still unless a test moves it: an order that leans on time shows."""

    now = 1_000_000

    def now_ms(self) -> int:
        return self.now


@pytest.fixture
async def harness(url):
    """Groups are large from three members on."""
    bridge, broker = Bridge(url, small_limit=2, faults=Clock()), FakeBroker()
    await bridge.start(broker)
    yield Harness(bridge, broker)
    await bridge.stop()


async def said(harness, text="hi", conv=DIRECT, by="alice", id_="m") -> int:
    return (await ok(harness, by, {"id": id_, "conv": conv, "text": text}))["message_id"]


async def ok(harness, user, request):
    reply = await harness.ask(user, request)
    assert reply["ok"] is True, reply
    return reply


async def refused(harness, user, request):
    reply = await harness.ask(user, request)
    assert reply["ok"] is False, reply
    return reply["error"], reply["detail"]


async def history(harness, user, conv=DIRECT):
    return (await ok(harness, user, {"op": "history", "id": "h", "conv": conv}))["items"]


async def synced(harness, user):
    return (await ok(harness, user, {"op": "sync", "id": "s", "after": 0}))["items"]


def live(harness, user):
    return [update for _seq, update in harness.broker.inboxes.get(user, [])]


def group(harness, *members):
    return ok(harness, "alice", {"op": "group.create", "id": "g", "name": "Riders", "members": list(members)})


# -- edits


async def test_an_edit_is_an_entry_of_its_own_and_history_shows_the_newest_content(harness):
    target = await said(harness, "helo")
    edit = {"op": "edit", "id": "e", "conv": DIRECT, "target": target, "text": "hello"}
    reply = await ok(harness, "alice", edit)
    assert (reply["message_id"], reply["dup"]) == (2, False)
    theirs = live(harness, "bob")[-1]
    assert theirs == {
        "seq": 2, "epoch": harness.bridge.reads.epoch, "type": "edited", "ts": reply["ts"], "conv": DIRECT,
        "message_id": 2, "from": "alice", "target": 1, "text": "hello",
    }  # fmt: skip
    assert live(harness, "alice")[-1] == {**theirs, "id": "e", "device": "d"}
    message, entry = await history(harness, "bob")
    assert (message["message_id"], message["text"], message["edited"]) == (1, "hello", reply["ts"])
    assert (entry["type"], entry["target"], entry["text"]) == ("edited", 1, "hello")
    assert await ok(harness, "alice", edit) == {**reply, "dup": True}


async def test_who_catches_up_after_several_edits_gets_the_newest_content_each_time(harness):
    target = await said(harness, "one")
    for word in ("two", "three"):
        await ok(harness, "alice", {"op": "edit", "id": word, "conv": DIRECT, "target": target, "text": word})
    assert [(u["type"], u["text"]) for u in await synced(harness, "bob")] == [
        ("message", "three"), ("edited", "three"), ("edited", "three"),
    ]  # fmt: skip


async def test_an_edit_replaces_text_and_body_alike(harness):
    target = (await ok(harness, "alice", {"id": "m", "to": "bob", "text": "t", "body": {"a": 1}}))[
        "message_id"
    ]
    await ok(harness, "alice", {"op": "edit", "id": "e", "conv": DIRECT, "target": target, "body": {"b": 2}})
    message, _entry = await history(harness, "bob")
    assert ("text" in message, message["body"]) == (False, {"b": 2})


async def test_a_message_is_edited_in_the_packet_that_sends_it(harness):
    ticket = harness.submit(
        "alice",
        [
            {"id": "1", "to": "bob", "text": "helo"},
            {"op": "edit", "id": "2", "conv": DIRECT, "target": 1, "text": "hello"},
            {"op": "react", "id": "3", "conv": DIRECT, "target": 1, "emoji": "+"},
            {"op": "recall", "id": "4", "conv": DIRECT, "target": 1},
        ],
    )
    assert await harness.settled(ticket) is True
    assert [reply["ok"] for reply in harness.replies("alice")] == [True] * 4
    message, *_ = await history(harness, "bob")
    assert (message.get("text"), message["recalled"]) == (None, True)


async def test_another_content_under_the_id_of_an_edit_is_a_conflict_also_after_a_recall(harness):
    target = await said(harness)
    edit = {"op": "edit", "id": "e", "conv": DIRECT, "target": target, "text": "x"}
    await ok(harness, "alice", edit)
    await ok(harness, "alice", {"op": "recall", "id": "r", "conv": DIRECT, "target": target})
    assert (await ok(harness, "alice", edit))["dup"] is True
    assert (await refused(harness, "alice", {**edit, "text": "y"}))[0] == "conflict"
    assert (await refused(harness, "alice", {"id": "m", "conv": DIRECT, "text": "other"}))[0] == "conflict"


# -- recalls


async def test_a_recall_leaves_a_tombstone_and_no_content_anywhere(harness):
    target = await said(harness, "secret")
    await ok(
        harness, "alice", {"op": "edit", "id": "e", "conv": DIRECT, "target": target, "text": "secret too"}
    )
    await ok(harness, "bob", {"op": "react", "id": "x", "conv": DIRECT, "target": target, "emoji": "+"})
    reply = await ok(harness, "alice", {"op": "recall", "id": "r", "conv": DIRECT, "target": target})
    assert live(harness, "bob")[-1] == {
        "seq": 4, "epoch": harness.bridge.reads.epoch, "type": "recalled", "ts": reply["ts"], "conv": DIRECT,
        "message_id": 4, "from": "alice", "target": 1,
    }  # fmt: skip
    everything = [await history(harness, "bob"), await synced(harness, "bob"), await synced(harness, "alice")]
    everything.append((await ok(harness, "bob", {"op": "conversations", "id": "c"}))["conversations"])
    assert "secret" not in msgspec.json.encode(everything).decode()
    message = everything[0][0]
    assert message["recalled"] is True
    assert "reactions" not in message
    assert everything[1][0]["recalled"] is True


@pytest.mark.parametrize("op", [{"op": "edit", "text": "x"}, {"op": "recall"}, {"op": "react", "emoji": "+"}])
async def test_nothing_is_done_to_a_message_that_was_recalled(harness, op):
    target = await said(harness)
    await ok(harness, "alice", {"id": "1", **op, "conv": DIRECT, "target": target})
    if op["op"] != "recall":
        await ok(harness, "alice", {"op": "recall", "id": "2", "conv": DIRECT, "target": target})
    again = {"id": "3", **op, "conv": DIRECT, "target": target}
    assert await refused(harness, "alice", again) == ("conflict", "target: this message was recalled")


async def test_ones_own_message_is_recalled_only_for_a_while_where_that_is_set(url):
    clock = Clock()
    bridge, broker = Bridge(url, recall_window_s=60, faults=clock), FakeBroker()
    await bridge.start(broker)
    try:
        harness = Harness(bridge, broker)
        first, second = await said(harness, id_="1"), await said(harness, id_="2")
        clock.now += 60_000
        await ok(harness, "alice", {"op": "recall", "id": "3", "conv": DIRECT, "target": first})
        clock.now += 1
        late = {"op": "recall", "id": "4", "conv": DIRECT, "target": second}
        assert await refused(harness, "alice", late) == (
            "forbidden", "target: messages are recalled within 60 seconds",
        )  # fmt: skip
    finally:
        await bridge.stop()


async def test_who_runs_a_group_recalls_what_others_wrote_and_members_do_not(harness):
    conv = (await group(harness, "bob"))["conv"]
    by_bob = await said(harness, conv=conv, by="bob")
    by_alice = await said(harness, conv=conv)
    ask = {"op": "recall", "id": "r", "conv": conv}
    assert (await refused(harness, "bob", {**ask, "target": by_alice}))[0] == "forbidden"
    await ok(harness, "alice", {**ask, "target": by_bob})


# -- reactions


async def test_each_member_gives_each_emoji_once_and_takes_it_back(harness):
    target = await said(harness)
    react = {"op": "react", "conv": DIRECT, "target": target, "emoji": "👍"}
    for user in ("bob", "alice"):
        await ok(harness, user, {**react, "id": "1"})
    await ok(harness, "bob", {**react, "id": "2", "emoji": "🎉"})
    assert (await refused(harness, "bob", {**react, "id": "3"}))[0] == "conflict"
    message = (await history(harness, "bob"))[0]
    assert message["reactions"] == [
        {"emoji": "👍", "count": 2, "users": ["bob", "alice"]},
        {"emoji": "🎉", "count": 1, "users": ["bob"]},
    ]
    await ok(harness, "bob", {**react, "id": "4", "remove": True})
    assert live(harness, "alice")[-1]["removed"] is True
    assert (await refused(harness, "bob", {**react, "id": "5", "remove": True}))[0] == "not_found"
    assert (await history(harness, "bob"))[0]["reactions"][0]["users"] == ["alice"]


async def test_a_reaction_does_not_count_as_unread_and_does_not_read_anything(harness):
    target = await said(harness, id_="1")
    await said(harness, id_="2")
    await ok(harness, "bob", {"op": "react", "id": "x", "conv": DIRECT, "target": target, "emoji": "+"})
    for user, unread in (("alice", 0), ("bob", 2)):
        [row] = (await ok(harness, user, {"op": "conversations", "id": "c"}))["conversations"]
        assert (row["unread"], row["head"], row["last"]["message_id"]) == (unread, 3, 2)


async def test_one_member_gives_a_message_so_many_reactions_and_no_more(harness):
    target = await said(harness)
    react = {"op": "react", "conv": DIRECT, "target": target}
    for place in range(MAX_REACTIONS):
        await ok(harness, "bob", {**react, "id": f"{place}", "emoji": f"e{place}"})
    assert (await refused(harness, "bob", {**react, "id": "more", "emoji": "more"}))[0] == "too_large"
    await ok(harness, "alice", {**react, "id": "0", "emoji": "more"})


# -- refusals that all three share


OPS = [{"op": "edit", "text": "x"}, {"op": "recall"}, {"op": "react", "emoji": "+"}]


@pytest.mark.parametrize("op", OPS)
async def test_who_is_not_in_the_conversation_changes_nothing(harness, op):
    conv = (await group(harness, "bob"))["conv"]
    in_group, direct = await said(harness, conv=conv), await said(harness)
    for place, target in ((conv, in_group), (DIRECT, direct)):
        assert (await refused(harness, "carol", {"id": "1", **op, "conv": place, "target": target}))[
            0
        ] == "not_a_member"


@pytest.mark.parametrize("op", OPS[:2])
async def test_somebody_elses_message_is_not_edited_or_recalled(harness, op):
    target = await said(harness)
    assert (await refused(harness, "bob", {"id": "1", **op, "conv": DIRECT, "target": target}))[
        0
    ] == "forbidden"


@pytest.mark.parametrize("op", OPS)
async def test_what_is_no_message_is_not_found(harness, op):
    conv = (await group(harness, "bob"))["conv"]
    await said(harness)
    for place, target in ((conv, 1), (conv, 2), (DIRECT, 9), ("alice~carol", 1)):
        assert (await refused(harness, "alice", {"id": "1", **op, "conv": place, "target": target}))[
            0
        ] == "not_found", (place, target)


@pytest.mark.parametrize("op", OPS)
async def test_a_user_who_was_disabled_meanwhile_changes_nothing(harness, op, engine):
    target = await said(harness)
    with engine.begin() as connection:
        connection.execute(text("UPDATE account SET state = 'disabled' WHERE user_id = 'alice'"))
    ask = {"id": "1", **op, "conv": DIRECT, "target": target}
    assert (await refused(harness, "alice", ask))[0] == "unauthorized"


@pytest.mark.parametrize("op", OPS)
async def test_a_newcomer_neither_changes_nor_hears_of_messages_from_before(harness, op):
    conv = (await group(harness))["conv"]
    before = await said(harness, conv=conv)
    await ok(harness, "alice", {"op": "group.add", "id": "a", "conv": conv, "user": "bob"})
    assert (await refused(harness, "bob", {"id": "1", **op, "conv": conv, "target": before}))[
        0
    ] == "not_found"
    heard = len(live(harness, "bob"))
    await ok(harness, "alice", {"id": "2", **op, "conv": conv, "target": before})
    after = await said(harness, conv=conv, id_="later")
    assert [update["message_id"] for update in live(harness, "bob")[heard:]] == [after]
    entry = (await history(harness, "bob", conv))[1]
    assert (entry["target"], entry.get("text")) == (before, None)


# -- large groups


def room(harness, conv):
    topic = f"pabal/v1/room/{conv}"
    return [msgspec.json.decode(raw) for name, raw, _qos in harness.broker.published if name == topic]


async def test_in_a_large_group_changes_come_by_its_room(harness):
    conv = (await group(harness, "bob", "carol"))["conv"]
    target = await said(harness, conv=conv, by="bob")
    inboxes = len(live(harness, "carol"))
    await ok(harness, "bob", {"op": "edit", "id": "1", "conv": conv, "target": target, "text": "new"})
    await ok(harness, "carol", {"op": "react", "id": "1", "conv": conv, "target": target, "emoji": "+"})
    await ok(harness, "alice", {"op": "recall", "id": "1", "conv": conv, "target": target})
    edited, reaction, recalled = room(harness, conv)[-3:]
    assert (edited["type"], edited["target"], edited["text"]) == ("edited", target, "new")
    assert (reaction["type"], reaction["emoji"], recalled["type"]) == ("reaction", "+", "recalled")
    assert len(live(harness, "carol")) == inboxes


async def test_a_rooms_edit_of_what_some_may_not_see_leaves_the_content_to_history(harness):
    conv = (await group(harness, "bob"))["conv"]
    target = await said(harness, conv=conv)
    await ok(harness, "alice", {"op": "group.add", "id": "a", "conv": conv, "user": "carol"})
    await ok(harness, "alice", {"op": "edit", "id": "1", "conv": conv, "target": target, "text": "new"})
    edited = room(harness, conv)[-1]
    assert (edited["type"], edited["truncated"], "text" in edited) == ("edited", True, False)
    assert (await history(harness, "bob", conv))[-1]["text"] == "new"
    assert "text" not in (await history(harness, "carol", conv))[-1]
