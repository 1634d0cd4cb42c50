"""The conversation with oneself: everything works in it, with one copy of each update, and nothing is unread."""

SAVED = "alice~alice"


async def test_each_update_comes_once_and_nothing_is_ever_unread(talk):
    note = {"conv": SAVED}
    first = (await talk.ok("alice", {"to": "alice", "text": "milk"}))["message_id"]
    second = await talk.said("bread", SAVED)
    await talk.ok("alice", {**note, "op": "edit", "target": first, "text": "oat milk"})
    await talk.ok("alice", {**note, "op": "react", "target": first, "emoji": "✔"})
    await talk.ok("alice", {**note, "op": "recall", "target": second})
    await talk.ok("alice", {**note, "op": "read", "message_id": 5})
    seen = [(update["seq"], update["type"], update["message_id"]) for update in talk.live("alice")]
    assert seen == [
        (1, "message", 1), (2, "message", 2), (3, "edited", 3), (4, "reaction", 4), (5, "recalled", 5),
        (6, "read", 5),
    ]  # fmt: skip
    assert [(u["seq"], u["type"], u["message_id"]) for u in await talk.synced("alice")] == seen
    row = await talk.summary("alice", SAVED)
    assert (row["kind"], row["head"], row["read"], row["unread"]) == ("direct", 5, 5, 0)
    items = await talk.history("alice", SAVED)
    assert (items[0]["text"], items[0]["reactions"][0]["count"]) == ("oat milk", 1)
    assert (items[1]["recalled"], "text" in items[1]) == (True, False)


async def test_nothing_is_unread_also_before_anything_is_read(talk):
    for text in ("one", "two"):
        await talk.said(text, SAVED)
    assert (await talk.summary("alice", SAVED))["unread"] == 0
    await talk.ok("alice", {"op": "delete", "conv": SAVED, "target": 2})
    row = await talk.summary("alice", SAVED)
    assert (row["unread"], row["last"]["text"]) == (0, "one")


async def test_a_note_expires_with_one_update(talk):
    await talk.said("soon gone", SAVED, expires_in=1)
    talk.clock.now += 1_000
    await talk.harness.broker.until(lambda: talk.live("alice")[-1]["type"] == "recalled")
    assert [update["type"] for update in await talk.synced("alice")] == ["message", "recalled"]
    assert "soon gone" not in await talk.everything("alice", SAVED)


async def test_nobody_else_is_in_it(talk):
    await talk.said("mine", SAVED)
    for request in (
        {"conv": SAVED, "text": "x"},
        {"op": "history", "conv": SAVED},
        {"op": "delete", "conv": SAVED, "target": 1},
        {"op": "react", "conv": SAVED, "target": 1, "emoji": "+"},
    ):
        assert await talk.refused("bob", request) == ("not_a_member", "conv")
