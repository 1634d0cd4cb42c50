"""Groups through the one transaction: ordered with messages, copied while small, by room once large."""

import msgspec
import pytest
from bridge_fakes import FakeBroker
from bridge_harness import Harness

from bridge.build import Bridge
from bridge.store.engine import open_engine
from bridge.store.tables import account

PEOPLE = ("dave", "erin", "frank")


@pytest.fixture
async def harness(url):
    """With three more people, and groups large from five members on."""
    engine = open_engine(url)
    with engine.begin() as connection:
        for user in PEOPLE:
            connection.execute(
                account.insert(), {"user_id": user, "state": "active", "admin": False, "created_ts": 0}
            )
    engine.dispose()
    bridge, broker = Bridge(url, small_limit=4), FakeBroker()
    await bridge.start(broker)
    yield Harness(bridge, broker)
    await bridge.stop()


async def group(harness, *members: str, owner: str = "alice", id_: str = "g") -> str:
    reply = await harness.ask(
        owner, {"op": "group.create", "id": id_, "name": "Riders", "members": list(members)}
    )
    assert reply["ok"] is True, reply
    return reply["conv"]


def entries(harness, user: str) -> list[tuple[str, int, str]]:
    """`(type, message_id, action or text)` of a user's inbox."""
    return [
        (update["type"], update["message_id"], update.get("action") or update.get("text"))
        for _seq, update in harness.broker.inboxes.get(user, [])
    ]


def room(harness, conv: str) -> list[dict]:
    topic = f"pabal/v1/room/{conv}"
    return [msgspec.json.decode(raw) for name, raw, _qos in harness.broker.published if name == topic]


async def test_a_groups_creation_is_its_first_entry_in_every_inbox(harness):
    reply = await harness.ask(
        "alice", {"op": "group.create", "id": "1", "name": "Riders", "members": ["bob", "bob", "alice"]}
    )
    assert (reply["message_id"], reply["dup"]) == (1, False)
    assert len(reply["conv"]) == 13
    [(_, theirs)] = harness.broker.inboxes["bob"]
    assert theirs == {
        "seq": 1, "epoch": harness.bridge.reads.epoch, "type": "conversation", "ts": reply["ts"],
        "conv": reply["conv"], "message_id": 1, "action": "created", "by": "alice", "name": "Riders",
        "mode": "small", "members": ["alice", "bob"],
    }  # fmt: skip
    [(_, own)] = harness.broker.inboxes["alice"]
    assert own == {**theirs, "id": "1", "device": "d"}
    assert "carol" not in harness.broker.inboxes


async def test_creating_again_with_the_same_id_finds_the_same_group(harness):
    ask = {"op": "group.create", "id": "1", "name": "Riders", "members": ["bob"]}
    first = await harness.ask("alice", ask)
    assert await harness.ask("alice", ask) == {**first, "dup": True}
    refused = await harness.ask("alice", {**ask, "name": "Others"})
    assert refused["error"] == "conflict"
    another = await harness.ask("alice", {**ask, "id": "2"})
    assert another["conv"] != first["conv"]
    assert len(harness.broker.inboxes["bob"]) == 2


async def test_without_an_id_every_request_makes_a_group(harness):
    for _ in range(2):
        ticket = harness.submit("alice", {"op": "group.create", "name": "Riders", "members": ["bob"]})
        assert await harness.settled(ticket) is True
    convs = {update["conv"] for _seq, update in harness.broker.inboxes["bob"]}
    assert len(convs) == 2


async def test_a_message_is_copied_to_every_member_and_ordered_with_member_changes(harness):
    conv = await group(harness, "bob")
    await harness.ask("bob", {"id": "1", "conv": conv, "text": "before"})
    added = await harness.ask("alice", {"op": "group.add", "id": "2", "conv": conv, "user": "carol"})
    assert (added["message_id"], added["conv"]) == (3, conv)
    await harness.ask("carol", {"id": "3", "conv": conv, "text": "hello"})
    full = [
        ("conversation", 1, "created"), ("message", 2, "before"), ("member", 3, "joined"), ("message", 4, "hello"),
    ]  # fmt: skip
    assert entries(harness, "alice") == entries(harness, "bob") == full
    assert entries(harness, "carol") == full[2:]
    joined = harness.broker.inboxes["carol"][0][1]
    assert (joined["user"], joined["by"], joined["name"], joined["mode"]) == (
        "carol",
        "alice",
        "Riders",
        "small",
    )


async def test_who_leaves_or_is_removed_gets_that_entry_as_the_last(harness):
    conv = await group(harness, "bob", "carol")
    await harness.ask("carol", {"op": "group.leave", "id": "1", "conv": conv})
    await harness.ask("alice", {"op": "group.remove", "id": "2", "conv": conv, "user": "bob"})
    await harness.ask("alice", {"id": "3", "conv": conv, "text": "alone"})
    assert entries(harness, "carol") == [("conversation", 1, "created"), ("member", 2, "left")]
    assert entries(harness, "bob") == [
        ("conversation", 1, "created"), ("member", 2, "left"), ("member", 3, "removed"),
    ]  # fmt: skip
    assert entries(harness, "alice")[-1] == ("message", 4, "alone")
    assert [user for user, _topic in harness.broker.revoked] == ["carol", "bob"]
    refused = await harness.ask("bob", {"id": "4", "conv": conv, "text": "x"})
    assert refused["error"] == "not_a_member"


async def test_everything_of_one_batch_sees_what_came_before_it(harness):
    conv = await group(harness, "bob")
    tickets = [
        harness.submit("alice", {"op": "group.add", "id": "1", "conv": conv, "user": "carol"}),
        harness.submit("carol", {"id": "2", "conv": conv, "text": "in"}),
        harness.submit("alice", {"op": "group.remove", "id": "3", "conv": conv, "user": "carol"}),
        harness.submit("carol", {"id": "4", "conv": conv, "text": "out"}),
        harness.submit("alice", {"op": "group.add", "id": "5", "conv": conv, "user": "carol"}),
        harness.submit("bob", {"id": "6", "conv": conv, "text": "back"}),
    ]
    for ticket in tickets:
        assert await harness.settled(ticket) is True
    assert entries(harness, "carol") == [
        ("member", 2, "joined"), ("message", 3, "in"), ("member", 4, "removed"), ("member", 5, "joined"),
        ("message", 6, "back"),
    ]  # fmt: skip
    assert harness.replies("carol")[-1]["error"] == "not_a_member"
    page = await harness.ask("carol", {"op": "history", "id": "h", "conv": conv})
    assert [item["message_id"] for item in page["items"]] == [5, 6], "from the last join on"


async def test_the_inbox_by_sync_is_the_inbox_as_it_was_live(harness):
    conv = await group(harness, "bob")
    await harness.ask("alice", {"op": "group.add", "id": "1", "conv": conv, "user": "carol"})
    await harness.ask("alice", {"op": "group.remove", "id": "2", "conv": conv, "user": "carol"})
    await harness.ask("bob", {"id": "3", "conv": conv, "text": "x", "mentions": ["alice"]})
    for user in ("alice", "bob", "carol"):
        page = await harness.ask(user, {"op": "sync", "id": "s", "after": 0})
        assert page["items"] == [update for _seq, update in harness.broker.inboxes[user]]
        assert page["rooms"] == {}


async def test_history_shows_entries_of_all_kinds_and_only_to_members(harness):
    conv = await group(harness, "bob")
    await harness.ask("bob", {"id": "1", "conv": conv, "text": "x"})
    await harness.ask("alice", {"op": "group.add", "id": "2", "conv": conv, "user": "carol"})
    page = await harness.ask("alice", {"op": "history", "id": "h", "conv": conv})
    assert [(item.get("type", "message"), item.get("action")) for item in page["items"]] == [
        ("conversation", "created"), ("message", None), ("member", "joined"),
    ]  # fmt: skip
    late = await harness.ask("carol", {"op": "history", "id": "h", "conv": conv})
    assert [item["message_id"] for item in late["items"]] == [3]
    stranger = await harness.ask("dave", {"op": "history", "id": "h", "conv": conv})
    assert stranger["error"] == "not_a_member"


async def test_unread_counts_messages_since_the_join_and_no_member_changes(harness):
    conv = await group(harness, "bob")
    await harness.ask("bob", {"id": "1", "conv": conv, "text": "x"})
    await harness.ask("alice", {"op": "group.add", "id": "2", "conv": conv, "user": "carol"})
    await harness.ask("bob", {"id": "3", "conv": conv, "text": "y"})
    await harness.ask("alice", {"op": "group.add", "id": "4", "conv": conv, "user": "dave"})

    async def unread(user: str) -> int:
        page = await harness.ask(user, {"op": "conversations", "id": "c"})
        return page["conversations"][0]["unread"]

    assert [await unread(user) for user in ("alice", "bob", "carol", "dave")] == [0, 0, 1, 0]
    await harness.ask("carol", {"op": "read", "id": "r", "conv": conv, "message_id": 4})
    assert await unread("carol") == 0


async def test_beyond_the_limit_a_group_becomes_large_once_and_for_ever(harness):
    conv = await group(harness, "bob", "carol", "dave")
    added = await harness.ask("alice", {"op": "group.add", "id": "1", "conv": conv, "user": "erin"})
    assert added["message_id"] == 2
    for user in ("alice", "bob", "erin"):
        assert entries(harness, user)[-2:] == [("member", 2, "joined"), ("conversation", 3, "mode")]
    assert harness.broker.inboxes["bob"][-1][1]["mode"] == "large"
    await harness.ask("bob", {"id": "2", "conv": conv, "text": "to the room"})
    assert entries(harness, "alice")[-1] == ("conversation", 3, "mode"), "no copies any longer"
    assert [(e["type"], e["message_id"]) for e in room(harness, conv)] == [
        ("conversation", 3),
        ("message", 4),
    ]
    assert "seq" not in room(harness, conv)[1]
    await harness.ask("alice", {"op": "group.remove", "id": "3", "conv": conv, "user": "erin"})
    await harness.ask("bob", {"id": "4", "conv": conv, "text": "still to the room"})
    assert [e["message_id"] for e in room(harness, conv)] == [3, 4, 5, 6]
    assert entries(harness, "erin")[-1] == ("member", 5, "removed")
    page = await harness.ask("alice", {"op": "history", "id": "h", "conv": conv, "after": 3})
    assert [item["message_id"] for item in page["items"]] == [4, 5, 6], (
        "gaps of the room are healed from here"
    )


async def test_a_large_group_reaches_inboxes_by_mention_only(harness):
    conv = await group(harness, "bob", "carol", "dave", "erin")
    assert harness.broker.inboxes["bob"][0][1]["mode"] == "large"
    await harness.ask(
        "alice", {"id": "1", "conv": conv, "text": "look", "mentions": ["bob", "frank", "alice", "bob"]}
    )
    assert entries(harness, "bob")[-1] == ("mention", 2, "look")
    assert "frank" not in harness.broker.inboxes, "who is no member is not reached"
    assert len(harness.broker.inboxes["alice"]) == 1
    page = await harness.ask("bob", {"op": "sync", "id": "s", "after": 0})
    assert page["items"] == [update for _seq, update in harness.broker.inboxes["bob"]]
    assert page["rooms"] == {conv: 2}


@pytest.mark.parametrize("members", [["bob", "carol"], ["bob", "carol", "dave", "erin"]])
async def test_all_is_passed_on_and_copied_to_nobody_in_a_large_group(harness, members):
    conv = await group(harness, *members)
    is_large = len(members) == 4
    reply = await harness.ask("alice", {"id": "1", "conv": conv, "text": "all!", "mentions": ["@all", "bob"]})
    assert (reply["ok"], reply["message_id"]) == (True, 2)
    assert entries(harness, "bob")[-1] == ("mention" if is_large else "message", 2, "all!")
    assert entries(harness, "carol")[-1] == (
        ("conversation", 1, "created") if is_large else ("message", 2, "all!")
    )
    page = await harness.ask("carol", {"op": "history", "id": "h", "conv": conv})
    assert page["items"][-1]["mentions"] == ["@all", "bob"]
    refused = await harness.ask("alice", {"id": "2", "conv": conv, "text": "x", "mentions": ["@some"]})
    assert (refused["error"], "mentions" in refused["detail"]) == ("bad_request", True)


async def test_only_members_may_follow_a_room(harness):
    conv = await group(harness, "bob")
    members = harness.bridge.members
    assert await members.in_room("bob", conv) is True
    assert await members.in_room("carol", conv) is False
    assert await members.in_room("bob", "bob~carol") is False
    await harness.ask("bob", {"op": "group.leave", "id": "1", "conv": conv})
    assert await members.in_room("bob", conv) is False


@pytest.mark.parametrize(
    ("user", "request_", "error"),
    [
        ("bob", {"op": "group.add", "user": "dave"}, "forbidden"),
        ("bob", {"op": "group.remove", "user": "carol"}, "forbidden"),
        ("dave", {"op": "group.add", "user": "dave"}, "not_a_member"),
        ("dave", {"op": "group.leave"}, "not_a_member"),
        ("dave", {"text": "x"}, "not_a_member"),
        ("dave", {"op": "read", "message_id": 1}, "not_a_member"),
        ("alice", {"op": "group.add", "user": "nobody-here"}, "not_found"),
        ("alice", {"op": "group.add", "user": "bob"}, "conflict"),
        ("alice", {"op": "group.remove", "user": "dave"}, "not_found"),
        ("alice", {"op": "group.leave"}, "forbidden"),
        ("alice", {"op": "group.add", "conv": "alice~bob", "user": "dave"}, "bad_request"),
        ("alice", {"op": "group.add", "conv": "gaaaaaaaaaaaa", "user": "dave"}, "not_found"),
        ("alice", {"op": "group.create", "name": "x", "members": ["nobody-here"]}, "not_found"),
        ("alice", {"op": "group.create", "name": " "}, "bad_request"),
        ("alice", {"op": "group.create", "name": "x", "members": ["B"]}, "bad_request"),
    ],
)
async def test_a_refused_change_leaves_no_entry(harness, user, request_, error):
    conv = await group(harness, "bob", "carol")
    refused = await harness.ask(user, {"conv": conv, "id": "r", **request_})
    assert (refused["ok"], refused["error"]) == (False, error)
    fine = await harness.ask("alice", {"op": "group.add", "conv": conv, "id": "ok", "user": "dave"})
    assert fine["message_id"] == 2


async def test_removing_the_owner_is_refused_and_the_last_one_may_leave(harness):
    conv = await group(harness, "bob")
    await harness.ask("bob", {"op": "group.leave", "id": "1", "conv": conv})
    assert (await harness.ask("alice", {"op": "group.leave", "id": "2", "conv": conv}))["ok"] is True
    assert (await harness.ask("alice", {"id": "3", "conv": conv, "text": "x"}))["error"] == "not_a_member"


async def test_a_member_may_remove_only_itself(harness):
    conv = await group(harness, "bob")
    left = await harness.ask("bob", {"op": "group.remove", "id": "1", "conv": conv, "user": "bob"})
    assert left["ok"] is True
    assert entries(harness, "alice")[-1] == ("member", 2, "left")


async def test_a_device_that_may_only_receive_changes_no_group(harness):
    refused = await harness.ask(
        "alice", {"op": "group.create", "id": "1", "name": "x"}, allow=frozenset({"receive"})
    )
    assert refused["error"] == "forbidden"
    conv = await group(harness, "bob")
    refused = await harness.ask(
        "bob", {"op": "group.leave", "id": "2", "conv": conv}, allow=frozenset({"receive"})
    )
    assert refused["error"] == "forbidden"
