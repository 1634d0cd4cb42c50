"""What a group is called, what newcomers see, who may write in it, and its end."""

import pytest
from group_world import KIND_NAMES, KINDS, open_groups

pytestmark = pytest.mark.parametrize(("url", "limit"), KINDS, ids=KIND_NAMES, indirect=["url"])


@pytest.fixture
async def world(url, limit):
    async with open_groups(url, limit) as made:
        yield made


async def test_everybody_is_told_of_a_new_name_and_of_just_the_settings_that_were_set(world):
    conv = await world.group("bob", "carol")
    renamed = await world.do("alice", "group.update", conv, name="Racers")
    await world.do("alice", "group.update", conv, posting="admins", history="all", name="Posts")
    one, other = world.told("bob", conv)[-2:]
    assert (one["type"], one["message_id"], one["action"], one["name"]) == (
        "conversation", renamed["message_id"], "renamed", "Racers",
    )  # fmt: skip
    assert not {"history", "posting", "members"} & one.keys()
    assert (other["action"], other["name"], other["history"], other["posting"]) == (
        "settings", "Posts", "all", "admins",
    )  # fmt: skip
    assert one["mode"] == ("large" if world.large else "small")
    page = await world.do("bob", "history", conv)
    assert [(item["action"], item.get("posting")) for item in page["items"]] == [
        ("created", None), ("renamed", None), ("settings", "admins"),
    ]  # fmt: skip
    listed = (await world.do("carol", "conversations"))["conversations"]
    assert [row["name"] for row in listed] == ["Posts"]
    synced = await world.do("bob", "sync", after=0)
    assert synced["items"] == world.inbox("bob")


async def test_settings_are_shown_to_members_and_kept_as_they_were_made(world):
    conv = await world.group("bob", "carol", history="all", posting="admins")
    shown = await world.do("carol", "group.get", conv, limit=2)
    assert {key: shown[key] for key in ("conv", "name", "history", "posting", "more")} == {
        "conv": conv, "name": "Riders", "history": "all", "posting": "admins", "more": True,
    }  # fmt: skip
    assert shown["members"] == [{"user": "alice", "role": "owner"}, {"user": "bob", "role": "member"}]
    rest = await world.do("carol", "group.get", conv, after="bob")
    assert (rest["members"], rest["more"]) == ([{"user": "carol", "role": "member"}], False)
    created = world.inbox("bob")[0]
    assert (created["history"], created["posting"]) == ("all", "admins")
    assert await world.refused("dave", "group.get", conv) == ("not_a_member", "conv")
    assert await world.refused("bob", "group.get", "gaaaaaaaaaaaa") == ("not_found", "conv")
    assert await world.refused("bob", "group.get", "alice~bob") == ("bad_request", "conv")


async def test_only_who_runs_a_group_changes_it_and_the_same_request_does_so_once(world):
    conv = await world.group("bob", "carol")
    assert (await world.refused("bob", "group.update", conv, name="Mine"))[0] == "forbidden"
    assert (await world.refused("dave", "group.update", conv, name="Mine"))[0] == "not_a_member"
    assert (await world.refused("alice", "group.update", "gaaaaaaaaaaaa", name="x"))[0] == "not_found"
    for wrong, field in (
        ({}, "name"), ({"name": ""}, "name"), ({"name": " "}, "name"), ({"name": "\0"}, "name"),
        ({"name": "x" * 129}, "name"), ({"history": "some"}, "history"), ({"posting": 1}, "posting"),
    ):  # fmt: skip
        assert await world.refused("alice", "group.update", conv, **wrong) == ("bad_request", field)
    await world.do("alice", "group.add", conv, user="bob", role="admin")
    first = await world.do("bob", "group.update", conv, name="Ours", id="same")
    again = await world.do("bob", "group.update", conv, name="Ours", id="same")
    assert again == {**first, "dup": True}
    other = await world.refused("bob", "group.update", conv, name="Theirs", id="same")
    assert other[0] == "conflict"
    assert await world.send("carol", conv) == first["message_id"] + 1


async def test_newcomers_see_what_the_group_said_when_they_joined(world):
    conv = await world.group("bob", "carol")
    said = await world.send("bob", conv, "before")
    await world.do("alice", "group.add", conv, user="dave")
    await world.do("alice", "group.update", conv, history="all")
    joined = (await world.do("alice", "group.add", conv, user="erin"))["message_id"]
    await world.do("alice", "group.update", conv, history="join")
    last = (await world.do("alice", "group.add", conv, user="frank"))["message_id"]
    assert said in await world.seen("erin", conv)
    assert (await world.seen("erin", conv))[0] == 1
    # With small groups that grew by these members, the switch to large is an entry too.
    assert (await world.seen("dave", conv))[0] == said + 1
    assert (await world.seen("frank", conv))[0] == last
    assert world.inbox("erin")[0]["message_id"] == joined, "the inbox is from the join on"
    unread = (await world.do("erin", "conversations"))["conversations"][0]
    assert (unread["unread"], unread["last"]["message_id"]) == (0, said)


async def test_who_sees_all_may_react_to_what_was_before_and_hears_of_its_changes(world):
    conv = await world.group("bob", "carol")
    said = await world.send("bob", conv, "before")
    await world.do("alice", "group.add", conv, user="dave")
    await world.do("alice", "group.update", conv, history="all")
    await world.do("alice", "group.add", conv, user="erin")
    assert await world.refused("dave", "react", conv, target=said, emoji="+") == ("not_found", "target")
    await world.do("erin", "react", conv, target=said, emoji="+")
    await world.do("bob", "edit", conv, target=said, text="after")
    edited = world.told("erin", conv)[-1]
    if world.large:
        # One room for all, and dave may not read this.
        assert (edited["type"], edited["truncated"]) == ("edited", True)
        assert "text" not in edited
    else:
        assert (edited["type"], edited["text"]) == ("edited", "after")
        assert [one["type"] for one in world.inbox("erin")][-2:] == ["reaction", "edited"]
        assert world.inbox("dave")[-1]["type"] == "member", "nothing about it"
    for user, shown in (("erin", "after"), ("dave", None)):
        page = await world.do(user, "history", conv, after=0, limit=200)
        [item] = [one for one in page["items"] if one.get("type") == "edited"]
        assert item.get("text") == shown
    await world.do("bob", "recall", conv, target=said)
    assert world.told("erin", conv)[-1]["type"] == "recalled"


async def test_where_everybody_sees_all_the_room_has_the_new_content(world):
    conv = await world.group("bob", "carol", history="all")
    said = await world.send("bob", conv, "before")
    await world.do("alice", "group.add", conv, user="dave")
    await world.do("bob", "edit", conv, target=said, text="after")
    assert world.told("dave", conv)[-1]["text"] == "after"


async def test_who_comes_back_sees_all_again_or_only_from_then_on(world):
    conv = await world.group("bob", "carol", history="all")
    await world.do("bob", "group.leave", conv)
    missed = await world.send("alice", conv, "missed")
    assert (await world.refused("bob", "history", conv))[0] == "not_a_member"
    await world.do("alice", "group.add", conv, user="bob")
    assert missed in await world.seen("bob", conv)
    await world.do("bob", "group.leave", conv)
    await world.do("alice", "group.update", conv, history="join")
    back = (await world.do("alice", "group.add", conv, user="bob"))["message_id"]
    assert await world.seen("bob", conv) == [back]


async def test_where_only_admins_write_members_read_and_react(world):
    conv = await world.group("bob", "carol")
    mine = await world.send("bob", conv, "mine")
    await world.do("alice", "group.update", conv, posting="admins")
    assert await world.refused("bob", "send", conv, text="x") == ("forbidden", "conv")
    assert await world.refused("bob", "edit", conv, target=mine, text="x") == ("forbidden", "conv")
    news = await world.send("alice", conv, "news")
    await world.do("bob", "react", conv, target=news, emoji="+")
    await world.do("bob", "read", conv, message_id=news)
    await world.do("bob", "recall", conv, target=mine)
    await world.do("alice", "group.add", conv, user="carol", role="admin")
    await world.send("carol", conv, "more news")
    await world.do("carol", "group.update", conv, posting="all")
    await world.send("bob", conv, "at last")


async def test_what_was_sent_before_it_was_forbidden_is_still_answered(world):
    conv = await world.group("bob", "carol")
    first = await world.do("bob", "send", conv, text="x", id="same")
    await world.do("alice", "group.update", conv, posting="admins")
    assert await world.do("bob", "send", conv, text="x", id="same") == {**first, "dup": True}


async def test_when_a_group_is_dissolved_everybody_is_told_and_nobody_is_in_it(world):
    conv = await world.group("bob", "carol")
    assert (await world.refused("bob", "group.dissolve", conv))[0] == "forbidden"
    assert (await world.refused("dave", "group.dissolve", conv))[0] == "not_a_member"
    await world.do("alice", "group.add", conv, user="bob", role="admin")
    assert (await world.refused("bob", "group.dissolve", conv))[0] == "forbidden"
    invited = (await world.do("alice", "group.invite", conv))["code"]
    done = await world.do("alice", "group.dissolve", conv, id="same")
    assert await world.do("alice", "group.dissolve", conv, id="same") == {**done, "dup": True}
    for user in ("alice", "bob", "carol"):
        last = world.inbox(user)[-1]
        assert (last["type"], last["action"], last["message_id"]) == (
            "conversation", "dissolved", done["message_id"],
        )  # fmt: skip
        for op, fields in (("send", {"text": "x"}), ("history", {}), ("group.get", {}), ("mute", {})):
            assert (await world.refused(user, op, conv, **fields))[0] == "not_a_member"
        assert (await world.do(user, "conversations"))["conversations"] == []
        synced = await world.do(user, "sync", after=0)
        assert (synced["items"], synced["rooms"]) == (world.inbox(user), {})
    assert {user for user, _topic in world.broker.revoked} == {"alice", "bob", "carol"}
    assert await world.refused("dave", "group.join", code=invited) == ("not_found", "code")
    assert (await world.refused("alice", "group.add", conv, user="dave"))[0] == "not_a_member"


async def test_a_group_has_no_more_members_than_it_may(url, limit):
    async with open_groups(url, limit, max_members=4) as world:
        many = ["bob", "carol", "dave", "erin"]
        assert (await world.refused("alice", "group.create", name="x", members=many))[0] == "too_large"
        conv = await world.group("bob", "carol")
        code = (await world.do("alice", "group.invite", conv))["code"]
        await world.do("alice", "group.add", conv, user="dave")
        assert (await world.refused("alice", "group.add", conv, user="erin"))[0] == "too_large"
        assert (await world.refused("erin", "group.join", code=code))[0] == "too_large"
        await world.do("dave", "group.leave", conv)
        await world.do("erin", "group.join", code=code)
