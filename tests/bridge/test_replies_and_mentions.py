"""What a message may refer to: earlier entries that its sender sees, people in the conversation, and everybody."""

import pytest

MODES = pytest.mark.parametrize("large", [False, True], ids=["small", "large"])


async def a_group(talk, *members, large):
    """Of alice and these members; large from three on."""
    return await talk.group(*members, *(["carol"] if large else []))


@MODES
async def test_a_reply_refers_to_what_one_sees_and_to_nothing_from_before_ones_join(talk, large):
    conv = await a_group(talk, large=large)
    before = await talk.said("before", conv)
    join = (await talk.ok("alice", {"op": "group.add", "conv": conv, "user": "bob"}))["message_id"]
    after = await talk.said("after", conv)
    reply = {"conv": conv, "text": "re"}
    for target in (1, before, 99):
        assert await talk.refused("bob", {**reply, "reply_to": target}) == ("not_found", "reply_to")
    for target in (join, after):
        await talk.ok("bob", {**reply, "reply_to": target})
    await talk.ok("alice", {**reply, "reply_to": before})
    assert [item["reply_to"] for item in (await talk.history("bob", conv))[-3:]] == [join, after, before]


@MODES
async def test_what_was_recalled_is_replied_to(talk, large):
    conv = await a_group(talk, "bob", large=large)
    target = await talk.said("gone", conv)
    await talk.ok("alice", {"op": "recall", "conv": conv, "target": target})
    await talk.said("what was it?", conv, by="bob", reply_to=target)
    assert (await talk.history("alice", conv))[-1]["reply_to"] == target


@MODES
async def test_everybody_is_mentioned_by_owner_and_admins_alone(talk, large):
    conv = await a_group(talk, "bob", large=large)
    ask = {"conv": conv, "text": "all!", "mentions": ["@all"]}
    assert await talk.refused("bob", ask) == ("forbidden", "mentions")
    await talk.ok("alice", ask)
    await talk.ok("alice", {"op": "group.add", "conv": conv, "user": "bob", "role": "admin"})
    await talk.ok("bob", ask)
    await talk.ok("bob", {**ask, "conv": "alice~bob"})


@MODES
async def test_who_is_not_in_the_group_is_not_mentioned_and_nobody_is_refused_for_it(talk, large):
    outsider = "dave" if large else "carol"
    conv = await a_group(talk, "bob", large=large)
    heard = len(talk.live(outsider))
    await talk.said("look", conv, mentions=[outsider, "nobody-here", "bob"])
    marker = await talk.said("later", f"alice~{outsider}" if not large else conv, mentions=["bob"])
    assert [update["message_id"] for update in talk.live(outsider)[heard:]] == ([] if large else [marker])
    assert (await talk.summary("bob", conv))["mentions"] == (2 if large else 1)
    if not large:
        await talk.ok("alice", {"op": "group.add", "conv": conv, "user": "carol"})
        assert (await talk.summary("carol", conv))["mentions"] == 0


async def test_a_mention_of_somebody_else_in_a_direct_conversation_tells_nobody(talk):
    await talk.said("about carol", mentions=["carol"])
    await talk.said("marker", "alice~carol")
    assert [update["text"] for update in talk.live("carol")] == ["marker"]
