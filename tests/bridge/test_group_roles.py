"""Who is what in a group, who may not speak in it, and who wants to hear nothing of it."""

import pytest
from group_world import KIND_NAMES, KINDS, START_MS, open_groups

from pabal.messages import MAX_NUMBER

pytestmark = pytest.mark.parametrize(("url", "limit"), KINDS, ids=KIND_NAMES, indirect=["url"])


@pytest.fixture
async def world(url, limit):
    async with open_groups(url, limit) as made:
        yield made


# Roles


async def test_the_owner_makes_admins_and_takes_it_back_and_everybody_is_told(world):
    conv = await world.group("bob", "carol")
    made = await world.do("alice", "group.add", conv, user="bob", role="admin")
    told = world.told("carol", conv)[-1]
    assert told == {
        "type": "member", "ts": START_MS, "conv": conv, "message_id": made["message_id"],
        "action": "role", "user": "bob", "by": "alice", "role": "admin",
        **({} if world.large else {"seq": 2, "epoch": told.get("epoch")}),
    }  # fmt: skip
    last = world.inbox("bob")[-1]
    assert (last["action"], last["role"]) == ("role", "admin"), "also where a room tells the others"
    assert await world.roles("carol", conv) == {"alice": "owner", "bob": "admin", "carol": "member"}
    await world.do("alice", "group.add", conv, user="bob", role="member")
    assert (await world.refused("bob", "group.add", conv, user="dave"))[0] == "forbidden"
    synced = await world.do("bob", "sync", after=0)
    assert synced["items"] == world.inbox("bob")
    page = await world.do("carol", "history", conv)
    assert [item.get("role") for item in page["items"]] == [None, "admin", "member"]


async def test_an_admin_does_what_the_owner_does_but_not_to_admins(world):
    conv = await world.group("bob", "carol")
    for user in ("bob", "carol"):
        await world.do("alice", "group.add", conv, user=user, role="admin")
    await world.do("bob", "group.add", conv, user="dave")
    for op, fields in (
        ("group.add", {"user": "dave", "role": "admin"}),
        ("group.add", {"user": "erin", "role": "admin"}),
        ("group.add", {"user": "carol", "role": "member"}),
        ("group.add", {"user": "bob", "role": "owner"}),
        ("group.add", {"user": "alice", "role": "member"}),
        ("group.remove", {"user": "carol"}),
        ("group.remove", {"user": "alice"}),
        ("group.mute", {"user": "carol"}),
        ("group.mute", {"user": "alice"}),
        ("group.dissolve", {}),
    ):
        assert (await world.refused("bob", op, conv, **fields))[0] == "forbidden", (op, fields)
    await world.do("bob", "group.remove", conv, user="dave")
    await world.do("bob", "group.add", conv, user="bob", role="member")
    assert (await world.refused("bob", "group.add", conv, user="bob", role="admin"))[0] == "forbidden"
    await world.do("alice", "group.remove", conv, user="carol")
    assert await world.roles("bob", conv) == {"alice": "owner", "bob": "member"}


async def test_roles_that_cannot_be_given_are_refused(world):
    conv = await world.group("bob", "carol")
    for user, fields, error in (
        ("alice", {"user": "bob", "role": "member"}, ("conflict", "role")),
        ("alice", {"user": "bob"}, ("conflict", "user")),
        ("alice", {"user": "alice", "role": "owner"}, ("conflict", "role")),
        ("alice", {"user": "alice", "role": "admin"}, ("forbidden", "role")),
        ("alice", {"user": "dave", "role": "owner"}, ("forbidden", "role")),
        ("alice", {"user": "nobody-here", "role": "admin"}, ("not_found", "user")),
        ("alice", {"user": "bob", "role": "king"}, ("bad_request", "role")),
        ("bob", {"user": "carol", "role": "admin"}, ("forbidden", "role")),
        ("bob", {"user": "bob", "role": "owner"}, ("forbidden", "role")),
        ("dave", {"user": "bob", "role": "admin"}, ("not_a_member", "conv")),
    ):
        assert await world.refused(user, "group.add", conv, **fields) == error, fields
    added = await world.do("alice", "group.add", conv, user="dave", role="admin")
    assert added["message_id"] == 2
    assert world.told("bob", conv)[-1]["role"] == "admin"
    assert world.inbox("dave")[-1]["name"] == "Riders"


async def test_a_group_is_handed_over_in_two_entries_of_one_request(world):
    conv = await world.group("bob", "carol")
    assert (await world.refused("alice", "group.leave", conv))[0] == "forbidden"
    done = await world.do("alice", "group.add", conv, user="bob", role="owner", id="same")
    assert await world.do("alice", "group.add", conv, user="bob", role="owner", id="same") == {
        **done, "dup": True,
    }  # fmt: skip
    assert [(one["user"], one["role"], one["message_id"]) for one in world.told("carol", conv)[-2:]] == [
        ("bob", "owner", 2), ("alice", "admin", 3),
    ]  # fmt: skip
    assert await world.roles("carol", conv) == {"alice": "admin", "bob": "owner", "carol": "member"}
    assert (await world.refused("alice", "group.dissolve", conv))[0] == "forbidden"
    left = await world.do("alice", "group.leave", conv)
    assert left["message_id"] == 4
    await world.do("bob", "group.add", conv, user="carol", role="owner")
    assert (await world.refused("carol", "group.leave", conv))[0] == "forbidden"
    await world.do("bob", "group.leave", conv)
    await world.do("carol", "group.leave", conv)


async def test_everything_of_one_batch_sees_the_roles_that_came_before_it(world):
    conv = await world.group("bob", "carol")
    requests = [
        ("alice", {"op": "group.add", "user": "dave"}),
        ("alice", {"op": "group.add", "user": "dave", "role": "admin"}),
        ("dave", {"op": "group.remove", "user": "carol"}),
        ("alice", {"op": "group.add", "user": "dave", "role": "owner"}),
        ("dave", {"op": "group.remove", "user": "alice"}),
        ("dave", {"op": "group.add", "user": "alice"}),
        ("dave", {"op": "group.add", "user": "bob", "role": "admin"}),
        ("bob", {"op": "group.leave"}),
        ("dave", {"op": "group.add", "user": "bob"}),
        ("bob", {"op": "group.add", "user": "carol"}),
    ]
    tickets = [
        world.harness.submit(user, {"id": f"b{number}", "conv": conv, **request})
        for number, (user, request) in enumerate(requests)
    ]
    for ticket in tickets:
        assert await world.harness.settled(ticket) is True
    assert world.harness.replies("bob")[-1]["error"] == "forbidden", "who comes back is a plain member"
    assert await world.roles("dave", conv) == {"alice": "member", "bob": "member", "dave": "owner"}


# Silence


async def test_who_is_silenced_reads_and_reacts_until_the_time_is_over(world):
    conv = await world.group("bob", "carol")
    mine = await world.send("bob", conv)
    until = START_MS + 1000
    done = await world.do("alice", "group.mute", conv, user="bob", until=until)
    told = world.told("carol", conv)[-1]
    assert (told["action"], told["user"], told["until"], told["message_id"]) == (
        "muted", "bob", until, done["message_id"],
    )  # fmt: skip
    assert world.inbox("bob")[-1]["action"] == "muted"
    shown = (await world.do("carol", "group.get", conv))["members"]
    assert [one.get("muted_until") for one in shown] == [None, until, None]
    for _ in range(2):
        assert await world.refused("bob", "send", conv, text="x") == ("forbidden", "conv")
        assert await world.refused("bob", "edit", conv, target=mine, text="x") == ("forbidden", "conv")
        world.clock.now = until - 1
    await world.do("bob", "react", conv, target=mine, emoji="+")
    await world.do("bob", "recall", conv, target=mine)
    world.clock.now = until
    await world.send("bob", conv)
    shown = (await world.do("carol", "group.get", conv))["members"]
    assert [one.get("muted_until") for one in shown] == [None, None, None]
    assert (await world.refused("alice", "group.mute", conv, user="bob", remove=True))[0] == "not_found"


async def test_silence_is_taken_back_and_ends_with_becoming_an_admin_but_not_by_coming_back(world):
    conv = await world.group("bob", "carol")
    await world.do("alice", "group.mute", conv, user="bob")
    assert "until" not in world.told("carol", conv)[-1], "for good"
    await world.do("bob", "group.leave", conv)
    code = (await world.do("alice", "group.invite", conv))["code"]
    tickets = [
        world.harness.submit("bob", {"op": "group.join", "id": "back", "code": code}),
        world.harness.submit("bob", {"conv": conv, "id": "at once", "text": "x"}),
    ]
    for ticket in tickets:
        await world.harness.settled(ticket)
    assert [reply.get("error") for reply in world.harness.replies("bob")[-2:]] == [None, "forbidden"]
    assert (await world.refused("bob", "send", conv, text="x"))[0] == "forbidden"
    await world.do("alice", "group.mute", conv, user="bob", remove=True)
    assert world.told("carol", conv)[-1]["action"] == "unmuted"
    await world.send("bob", conv)
    await world.do("alice", "group.mute", conv, user="bob")
    await world.do("alice", "group.add", conv, user="bob", role="admin")
    await world.send("bob", conv)
    await world.do("alice", "group.add", conv, user="bob", role="member")
    await world.send("bob", conv)


async def test_a_silence_that_cannot_be_is_refused(world):
    conv = await world.group("bob", "carol")
    silenced = await world.do("alice", "group.mute", conv, user="carol", id="same")
    for user, fields, error in (
        ("bob", {"user": "carol"}, "forbidden"),
        ("bob", {"user": "bob", "remove": True}, "forbidden"),
        ("dave", {"user": "bob"}, "not_a_member"),
        ("alice", {"user": "dave"}, "not_found"),
        ("alice", {"user": "alice"}, "forbidden"),
        ("alice", {"user": "bob", "remove": True}, "not_found"),
        ("alice", {"user": "bob", "until": START_MS}, "bad_request"),
        ("alice", {"user": "bob", "until": 0}, "bad_request"),
        ("alice", {"user": "bob", "until": START_MS + 5, "remove": True}, "bad_request"),
        ("alice", {"user": "carol"}, "conflict"),
        ("alice", {"user": "bob", "conv": "alice~bob"}, "bad_request"),
        ("alice", {"user": "bob", "conv": "gaaaaaaaaaaaa"}, "not_found"),
    ):
        assert (await world.refused(user, "group.mute", **{"conv": conv, **fields}))[0] == error, fields
    again = await world.do("alice", "group.mute", conv, user="carol", id="same")
    assert again == {**silenced, "dup": True}
    fine = await world.do("alice", "group.mute", conv, user="bob", until=START_MS + 1)
    assert fine["message_id"] == silenced["message_id"] + 1


# One's own quiet


async def test_a_muted_conversation_is_shown_so_to_oneself_alone(world):
    conv = await world.group("bob", "carol")
    await world.do("alice", "send", to="bob", text="x")
    before = len(world.inbox("bob"))
    for _ in range(2):
        await world.do("bob", "mute", conv)
        await world.do("bob", "mute", "alice~bob", until=5)
    assert [(one["type"], one["action"], one["conv"], one["until"]) for one in world.inbox("bob")[before:]] == [
        ("conversation", "muted", conv, MAX_NUMBER), ("conversation", "muted", "alice~bob", 5),
    ]  # fmt: skip

    async def quiet(user: str) -> dict:
        rows = (await world.do(user, "conversations"))["conversations"]
        return {row["conv"]: row.get("muted_until") for row in rows}

    assert await quiet("bob") == {conv: MAX_NUMBER, "alice~bob": 5}
    assert await quiet("alice") == {conv: None, "alice~bob": None}
    await world.send("alice", conv)
    await world.do("bob", "mute", conv, remove=True)
    assert world.inbox("bob")[-1]["action"] == "unmuted"
    assert await quiet("bob") == {conv: None, "alice~bob": 5}
    synced = await world.do("bob", "sync", after=0)
    assert synced["items"] == world.inbox("bob")
    assert [one["type"] for one in world.told("carol", conv)][-1] == "message", "nobody else is told"


async def test_only_what_one_is_in_can_be_muted(world):
    made = await world.group("bob", "carol")
    for user, conv, fields, error in (
        ("dave", made, {}, "not_a_member"),
        ("bob", "bob~carol", {}, "not_found"),
        ("bob", "alice~carol", {}, "not_a_member"),
        ("bob", "gaaaaaaaaaaaa", {}, "not_found"),
        ("bob", made, {"until": 0}, "bad_request"),
        ("bob", made, {"until": 5, "remove": True}, "bad_request"),
    ):
        assert (await world.refused(user, "mute", conv, **fields))[0] == error, (user, conv)
    await world.do("bob", "mute", made)
