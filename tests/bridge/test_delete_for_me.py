"""Deleting for oneself: gone from one's own view on all one's devices, counted right, and nobody else notices."""

import pytest
from message_talk import DIRECT
from sqlalchemy import text

BOTH = pytest.mark.parametrize("members", [("bob",), ("bob", "carol")], ids=["small", "large"])


def delete(target, conv=DIRECT):
    return {"op": "delete", "conv": conv, "target": target}


async def recount(talk, user, conv):
    """Unread, as a client counts it that has the whole history."""
    row = await talk.summary(user, conv)
    items = await talk.history(user, conv)
    return sum(
        item.get("type", "message") == "message" and item["message_id"] > row["read"] for item in items
    )


async def test_the_message_is_gone_from_ones_own_view_and_stays_in_that_of_others(talk):
    await talk.said("keep")
    target = await talk.said("secret")
    before = await talk.everything("bob")
    reply = await talk.ok("alice", delete(target))
    assert set(reply) == {"re", "ok"}
    assert talk.live("alice")[-1] == {
        "seq": 3, "epoch": talk.harness.bridge.reads.epoch, "type": "deleted", "ts": talk.clock.now,
        "conv": DIRECT, "target": target,
    }  # fmt: skip
    assert "secret" not in await talk.everything("alice")
    assert [item["message_id"] for item in await talk.history("alice")] == [1]
    assert (await talk.summary("alice"))["last"]["text"] == "keep"
    replayed = (await talk.synced("alice"))[1:]
    assert [(u["type"], u.get("deleted"), u.get("text")) for u in replayed] == [
        ("message", True, None), ("deleted", None, None),
    ]  # fmt: skip
    assert await talk.everything("bob") == before
    assert "secret" in before


async def test_edits_of_what_is_deleted_show_nothing_either(talk):
    target = await talk.said("secret")
    await talk.ok("alice", {"op": "edit", "conv": DIRECT, "target": target, "text": "secret too"})
    await talk.ok("bob", delete(target))
    assert "secret" not in await talk.everything("bob")
    assert "secret too" in await talk.everything("alice")


async def test_doing_it_again_does_nothing_more(talk):
    target = await talk.said()
    for id_ in ("1", "1", "2"):
        await talk.ok("bob", {"id": id_, **delete(target)})
    await talk.ok("bob", {**delete(target)}, device="other")
    assert [update["type"] for update in await talk.synced("bob")] == ["message", "deleted"]
    ticket = talk.harness.submit("alice", [{"id": "a", **delete(target)}, {"id": "b", **delete(target)}])
    await talk.harness.settled(ticket)
    assert [update["type"] for update in await talk.synced("alice")] == ["message", "deleted"]


@BOTH
async def test_unread_stays_what_a_recount_says(talk, members):
    conv = await talk.group(*members)
    ids = [await talk.said(f"{n}", conv) for n in range(6)]
    await talk.ok("bob", {"op": "read", "conv": conv, "message_id": ids[1]})
    expected = 4
    await talk.said("bob!", conv, mentions=["bob"])
    named = await talk.said("bob again!", conv, mentions=["bob", "@all"])
    assert (await talk.summary("bob", conv))["mentions"] == 2
    await talk.ok("bob", delete(named, conv))
    assert (await talk.summary("bob", conv))["mentions"] == 1
    expected += 1
    for target, counted in ((ids[0], 0), (ids[3], 1), (ids[3], 0), (ids[5], 1)):
        await talk.ok("bob", delete(target, conv))
        expected -= counted
        assert (await talk.summary("bob", conv))["unread"] == expected == await recount(talk, "bob", conv)
    await talk.ok("bob", {"op": "read", "conv": conv, "message_id": ids[3]})
    assert (await talk.summary("bob", conv))["unread"] == 2 == await recount(talk, "bob", conv)
    await talk.said("own", conv, by="bob")
    assert (await talk.summary("bob", conv))["unread"] == 0 == await recount(talk, "bob", conv)


async def test_pages_of_history_go_on_over_what_is_deleted(talk):
    for n in range(1, 7):
        await talk.said(f"{n}")
    for target in (2, 3, 4, 5):
        await talk.ok("bob", delete(target))
    page = await talk.ok("bob", {"op": "history", "conv": DIRECT, "limit": 1})
    assert ([item["message_id"] for item in page["items"]], page["more"]) == ([6], True)
    page = await talk.ok("bob", {"op": "history", "conv": DIRECT, "limit": 1, "before": 6})
    assert ([item["message_id"] for item in page["items"]], page["more"]) == ([1], False)
    page = await talk.ok("bob", {"op": "history", "conv": DIRECT, "limit": 1, "after": 1})
    assert ([item["message_id"] for item in page["items"]], page["more"]) == ([6], False)


async def test_with_all_messages_deleted_there_is_no_last_one(talk):
    await talk.ok("bob", delete(await talk.said()))
    assert "last" not in await talk.summary("bob")
    assert "last" in await talk.summary("alice")


async def test_what_was_recalled_can_be_deleted_too(talk):
    target = await talk.said()
    await talk.ok("alice", {"op": "recall", "conv": DIRECT, "target": target})
    await talk.ok("bob", delete(target))
    assert [item.get("type") for item in await talk.history("bob")] == ["recalled"]


async def test_a_mention_of_a_large_group_is_emptied_in_the_inbox(talk):
    conv = await talk.group("bob", "carol")
    target = await talk.said("secret", conv, mentions=["bob"])
    await talk.ok("bob", delete(target, conv))
    mention = (await talk.synced("bob"))[1]
    assert (mention["type"], mention["deleted"], mention.get("text")) == ("mention", True, None)
    assert "secret" not in await talk.everything("bob", conv)


@BOTH
async def test_who_is_not_in_the_group_and_who_does_not_see_the_message_deletes_nothing(talk, members):
    conv = await talk.group(*members[1:])
    early = await talk.said(conv=conv)
    ask = delete(early, conv)
    assert await talk.refused("bob", ask) == ("not_a_member", "conv")
    await talk.ok("alice", {"op": "group.add", "conv": conv, "user": "bob"})
    assert await talk.refused("bob", ask) == ("not_found", "target")
    await talk.ok("bob", delete(await talk.said(conv=conv), conv))


async def test_what_is_no_message_is_not_deleted(talk):
    conv = await talk.group("bob")
    await talk.said()
    for target in (delete(1, conv), delete(9), delete(1, "alice~carol")):
        assert (await talk.refused("alice", target))[0] == "not_found"
    assert await talk.refused("carol", delete(1)) == ("not_a_member", "conv")
    assert await talk.refused("alice", delete(0)) == ("bad_request", "target")


async def test_a_user_who_was_disabled_meanwhile_deletes_nothing(talk, engine):
    target = await talk.said()
    with engine.begin() as connection:
        connection.execute(text("UPDATE account SET state = 'disabled' WHERE user_id = 'bob'"))
    assert (await talk.refused("bob", delete(target)))[0] == "unauthorized"
    await talk.ok("alice", delete(target))


async def test_it_is_for_devices_that_receive(talk):
    """A sensor that may only send has no say in what its user still sees."""
    target = await talk.said()
    assert (await talk.refused("alice", delete(target), allow=frozenset({"send"})))[0] == "forbidden"
    await talk.ok("alice", delete(target), allow=frozenset({"receive"}))
