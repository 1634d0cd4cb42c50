"""Forwarding: what is copied, what is said of where it comes from, and what one cannot forward."""

import pytest
from message_talk import DIRECT

SOURCE = {"conv": DIRECT, "message_id": 1}


def forward(target="alice~carol", **fields):
    return {"conv": target, "forward_of": SOURCE, **fields}


async def test_a_forward_copies_kind_text_and_body_and_says_where_they_come_from(talk):
    await talk.said("look", by="bob", body={"a": 1}, kind="x.card")
    request = {"id": "f", **forward()}
    reply = await talk.ok("alice", request)
    update = talk.live("carol")[-1]
    came = {"conv": DIRECT, "message_id": 1, "from": "bob"}
    content = {"kind": "x.card", "text": "look", "body": {"a": 1}, "forward_of": came}
    assert {name: update.get(name) for name in content} == content
    assert (update["from"], update["conv"]) == ("alice", "alice~carol")
    [item] = await talk.history("carol", "alice~carol")
    [synced] = await talk.synced("carol")
    assert {name: item.get(name) for name in content} == content
    assert {name: synced.get(name) for name in content} == content
    assert await talk.ok("alice", request) == {**reply, "dup": True}
    assert len(await talk.synced("carol")) == 1


async def test_a_forward_with_words_of_its_own_keeps_them(talk):
    await talk.said("look", kind="x.card")
    await talk.ok("alice", forward(body={"cipher": "…"}))
    update = talk.live("carol")[-1]
    assert (update["kind"], update.get("text"), update["body"]) == ("text", None, {"cipher": "…"})
    assert update["forward_of"]["message_id"] == 1


async def test_the_copy_is_of_the_newest_content_and_outlives_what_happens_to_the_source(talk):
    await talk.said("helo")
    await talk.ok("alice", {"op": "edit", "conv": DIRECT, "target": 1, "text": "hello"})
    await talk.ok("bob", forward("bob~carol"))
    await talk.ok("alice", {"op": "edit", "conv": DIRECT, "target": 1, "text": "changed"})
    await talk.ok("alice", {"op": "recall", "conv": DIRECT, "target": 1})
    assert [item["text"] for item in await talk.history("carol", "bob~carol")] == ["hello"]


async def test_of_a_forward_that_is_recalled_nobody_sees_where_it_came_from(talk):
    await talk.said("look")
    await talk.ok("alice", forward())
    await talk.ok("alice", {"op": "recall", "conv": "alice~carol", "target": 1})
    [tombstone, _entry] = await talk.history("carol", "alice~carol")
    replayed = (await talk.synced("carol"))[0]
    assert (tombstone["recalled"], "forward_of" in tombstone) == (True, False)
    assert (replayed["recalled"], "forward_of" in replayed) == (True, False)


async def test_what_was_sent_and_edited_in_the_same_packet_is_forwarded(talk):
    ticket = talk.harness.submit(
        "alice",
        [
            {"id": "1", "to": "bob", "text": "helo", "body": {"a": 1}},
            {"id": "2", **forward()},
            {"id": "3", "op": "edit", "conv": DIRECT, "target": 1, "text": "hello"},
            {"id": "4", **forward()},
            {"id": "5", "op": "recall", "conv": DIRECT, "target": 1},
            {"id": "6", **forward()},
        ],
    )
    assert await talk.harness.settled(ticket) is True
    assert [reply.get("error") for reply in talk.harness.replies("alice")] == [None] * 5 + ["conflict"]
    copies = await talk.history("carol", "alice~carol")
    assert [(item["text"], item.get("body")) for item in copies] == [("helo", {"a": 1}), ("hello", None)]


@pytest.mark.parametrize("members", [("bob",), ("bob", "carol")], ids=["small", "large"])
async def test_from_and_into_groups_small_and_large(talk, members):
    conv = await talk.group(*members)
    await talk.said("look", conv, by="bob")
    await talk.ok("alice", forward("alice~alice", forward_of={"conv": conv, "message_id": 2}))
    await talk.ok("alice", forward(conv, forward_of={"conv": "alice~alice", "message_id": 1}))
    came = {"conv": "alice~alice", "message_id": 1, "from": "alice"}
    newest = (await talk.history("bob", conv))[-1]
    assert (newest["text"], newest["forward_of"]) == ("look", came)
    if len(members) > 1:
        assert talk.room(conv)[-1]["forward_of"] == came


async def test_another_source_under_the_same_id_is_a_conflict(talk):
    await talk.said("one")
    await talk.said("two")
    await talk.ok("alice", {"id": "f", **forward()})
    other = {"id": "f", **forward(forward_of={"conv": DIRECT, "message_id": 2})}
    assert (await talk.refused("alice", other))[0] == "conflict"
    assert (await talk.refused("alice", {"id": "f", "conv": "alice~carol", "text": "x"}))[0] == "conflict"


async def test_a_conversation_of_others_is_not_forwarded_from(talk):
    conv = await talk.group("bob")
    await talk.said()
    await talk.said(conv=conv)
    for source in (SOURCE, {"conv": conv, "message_id": 2}):
        ask = forward(forward_of=source)
        assert await talk.refused("carol", {**ask, "conv": "alice~carol"}) == ("not_a_member", "forward_of")
        assert (await talk.ok("alice", ask))["conv"] == "alice~carol"


@pytest.mark.parametrize(
    "source",
    [
        {"conv": DIRECT, "message_id": 2},
        {"conv": DIRECT, "message_id": 3},
        {"conv": "alice~carol", "message_id": 1},
        {"conv": "gaaaaaaaaaaaa", "message_id": 1},
    ],
)
async def test_what_is_no_message_is_not_forwarded(talk, source):
    await talk.said()
    await talk.ok("bob", {"op": "react", "conv": DIRECT, "target": 1, "emoji": "+"})
    assert await talk.refused("alice", forward(forward_of=source)) == ("not_found", "forward_of")
    await talk.ok("alice", forward())


async def test_a_message_from_before_ones_join_is_not_forwarded(talk):
    conv = await talk.group()
    await talk.said(conv=conv)
    await talk.ok("alice", {"op": "group.add", "conv": conv, "user": "bob"})
    after = await talk.said(conv=conv)
    early = forward("bob~carol", forward_of={"conv": conv, "message_id": 2})
    assert await talk.refused("bob", early) == ("not_found", "forward_of")
    await talk.ok("bob", forward("bob~carol", forward_of={"conv": conv, "message_id": after}))


async def test_what_one_has_deleted_for_oneself_is_not_forwarded_and_others_forward_it(talk):
    await talk.said()
    await talk.ok("alice", {"op": "delete", "conv": DIRECT, "target": 1})
    assert await talk.refused("alice", forward()) == ("not_found", "forward_of")
    await talk.ok("bob", forward("bob~carol"))


@pytest.mark.parametrize(
    "given",
    [
        5,
        {"conv": "nonsense", "message_id": 1},
        {"conv": 5, "message_id": 1},
        {"conv": DIRECT, "message_id": 0},
        {"conv": DIRECT},
        {},
        {"conv": "a\0~b", "message_id": 1},
    ],
)
async def test_a_malformed_source_is_a_bad_request_that_names_the_field(talk, given):
    code, field = await talk.refused("alice", forward(forward_of=given, text="x"))
    assert (code, field.partition(".")[0]) == ("bad_request", "forward_of")
