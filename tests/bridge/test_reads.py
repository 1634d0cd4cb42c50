"""sync, history, conversations, read and ack, over a real database."""

import pytest
from sqlalchemy import text


async def filled(harness, count: int = 5, *, size: int = 1) -> None:
    tickets = [
        harness.submit("alice", {"id": f"f{n}", "to": "bob", "text": f"{n}".ljust(size, "x")})
        for n in range(count)
    ]
    for ticket in tickets:
        await harness.settled(ticket)


async def test_sync_gives_what_is_above_the_cursor_exactly_as_it_was_delivered(harness):
    await filled(harness)
    page = await harness.ask("bob", {"id": "s", "op": "sync", "after": 2})
    delivered = [update for seq, update in harness.broker.inboxes["bob"] if seq > 2]
    assert page == {
        "re": "s", "ok": True, "epoch": harness.bridge.reads.epoch, "head": 5, "items": delivered,
        "more": False, "rooms": {},
    }  # fmt: skip


async def test_the_senders_own_copy_is_the_same_by_sync_as_it_was_live(harness):
    await harness.ask("alice", {"id": "1", "to": "bob", "text": "x", "body": {"k": [1]}, "mentions": ["bob"]})
    page = await harness.ask("alice", {"id": "s", "op": "sync", "after": 0})
    assert page["items"] == [update for _seq, update in harness.broker.inboxes["alice"]]
    assert page["items"][0]["id"] == "1"


async def test_sync_pages_are_joined_by_more_without_gap_or_overlap(harness):
    await filled(harness, 7)
    after, seqs, pages = 0, [], 0
    while True:
        page = await harness.ask("bob", {"id": f"s{after}", "op": "sync", "after": after, "limit": 3})
        seqs += [item["seq"] for item in page["items"]]
        after, pages = seqs[-1], pages + 1
        if not page["more"]:
            break
    assert (seqs, pages) == ([1, 2, 3, 4, 5, 6, 7], 3)


async def test_a_sync_page_ends_at_200_kib(harness):
    await filled(harness, 10, size=32_000)
    page = await harness.ask("bob", {"id": "s", "op": "sync", "after": 0})
    assert page["more"] is True
    assert 5 <= len(page["items"]) <= 6
    rest = await harness.ask("bob", {"id": "t", "op": "sync", "after": page["items"][-1]["seq"]})
    assert [item["seq"] for item in page["items"] + rest["items"]] == list(range(1, 11))


@pytest.mark.parametrize("question", [{"after": 6}, {"after": 2, "epoch": "another"}])
async def test_a_cursor_that_cannot_be_continued_from_gets_a_snapshot(harness, question):
    await filled(harness)
    reset = await harness.ask("bob", {"id": "s", "op": "sync", **question})
    assert (reset["ok"], reset["reset"], reset["head"]) == (True, True, 5)
    assert reset["epoch"] == harness.bridge.reads.epoch
    assert [(row["conv"], row["head"], row["unread"]) for row in reset["conversations"]] == [
        ("alice~bob", 5, 5)
    ]
    assert "items" not in reset


async def test_a_cursor_older_than_what_is_kept_gets_a_snapshot(harness, engine):
    await filled(harness)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM inbox WHERE user_id = 'bob' AND seq < 4"))
        connection.execute(text("UPDATE inbox_head SET min_seq = 4 WHERE user_id = 'bob'"))
    assert (await harness.ask("bob", {"id": "a", "op": "sync", "after": 2}))["reset"] is True
    kept = await harness.ask("bob", {"id": "b", "op": "sync", "after": 3})
    assert [item["seq"] for item in kept["items"]] == [4, 5]


async def test_the_own_epoch_and_the_head_itself_are_continued_from(harness):
    await filled(harness)
    page = await harness.ask(
        "bob", {"id": "s", "op": "sync", "after": 5, "epoch": harness.bridge.reads.epoch}
    )
    assert (page["items"], page["more"], page["head"]) == ([], False, 5)


async def test_an_empty_inbox_syncs_from_nothing(harness):
    page = await harness.ask("carol", {"id": "s", "op": "sync", "after": 0})
    assert (page["items"], page["head"], page["more"]) == ([], 0, False)


async def test_history_shows_the_newest_first_page_in_order(harness):
    await filled(harness)
    page = await harness.ask("bob", {"id": "h", "op": "history", "conv": "alice~bob", "limit": 2})
    assert [item["message_id"] for item in page["items"]] == [4, 5]
    assert (page["more"], page["head"], page["conv"]) == (True, 5, "alice~bob")
    assert page["receipts"] == [
        {"user": "alice", "delivered": 5, "read": 5},
        {"user": "bob", "delivered": 0, "read": 0},
    ]


@pytest.mark.parametrize(
    ("question", "ids", "more"),
    [
        ({"before": 4, "limit": 2}, [2, 3], True),
        ({"before": 3, "limit": 2}, [1, 2], False),
        ({"after": 0, "limit": 2}, [1, 2], True),
        ({"after": 3, "limit": 2}, [4, 5], False),
        ({"after": 5}, [], False),
        ({"before": 1}, [], False),
    ],
)
async def test_history_pages_go_both_ways(harness, question, ids, more):
    await filled(harness)
    page = await harness.ask("alice", {"id": "h", "op": "history", "conv": "alice~bob", **question})
    assert ([item["message_id"] for item in page["items"]], page["more"]) == (ids, more)


async def test_history_ends_at_200_kib_and_says_so(harness):
    await filled(harness, 10, size=32_000)
    page = await harness.ask("bob", {"id": "h", "op": "history", "conv": "alice~bob"})
    ids = [item["message_id"] for item in page["items"]]
    assert ids == list(range(11 - len(ids), 11))
    assert page["more"] is True
    assert 5 <= len(ids) <= 6


async def test_history_tells_request_ids_to_their_sender_only(harness):
    await harness.ask("alice", {"id": "secret", "to": "bob", "text": "x"})
    own = await harness.ask("alice", {"id": "h", "op": "history", "conv": "alice~bob"})
    theirs = await harness.ask("bob", {"id": "h", "op": "history", "conv": "alice~bob"})
    assert own["items"][0]["id"] == "secret"
    assert "id" not in theirs["items"][0]


@pytest.mark.parametrize(
    ("question", "error"),
    [
        ({"conv": "alice~bob"}, "not_a_member"),
        ({"conv": "gaaaaaaaaaaaa"}, "not_found"),
        ({"conv": "nonsense"}, "bad_request"),
        ({"conv": "alice~carol", "before": 1, "after": 1}, "bad_request"),
        ({"conv": "alice~carol", "limit": 201}, "bad_request"),
    ],
)
async def test_a_history_one_may_not_read_is_refused(harness, question, error):
    await filled(harness)
    refused = await harness.ask("carol", {"id": "h", "op": "history", **question})
    assert (refused["ok"], refused["error"]) == (False, error)


async def test_a_conversation_without_messages_has_an_empty_history(harness):
    page = await harness.ask("carol", {"id": "h", "op": "history", "conv": "alice~carol"})
    assert (page["items"], page["head"], page["more"]) == ([], 0, False)


async def test_a_conversation_with_nobody_has_none(harness):
    refused = await harness.ask("carol", {"id": "h", "op": "history", "conv": "carol~nobody"})
    assert (refused["error"], refused["detail"]) == ("not_found", "conv: no such user 'nobody'")
    own = await harness.ask("carol", {"id": "i", "op": "history", "conv": "carol~carol"})
    assert own["items"] == []


async def test_conversations_show_head_read_unread_and_the_last_message(harness):
    await harness.ask("alice", {"id": "1", "to": "bob", "text": "one"})
    await harness.ask("alice", {"id": "2", "to": "bob", "text": "two"})
    await harness.ask("carol", {"id": "3", "to": "bob", "text": "three", "body": {"k": 1}})
    page = await harness.ask("bob", {"id": "c", "op": "conversations"})
    first, second = page["conversations"]
    assert {key: first[key] for key in ("conv", "kind", "head", "read", "unread")} == {
        "conv": "alice~bob", "kind": "direct", "head": 2, "read": 0, "unread": 2,
    }  # fmt: skip
    assert (first["last"]["message_id"], first["last"]["from"], first["last"]["text"]) == (2, "alice", "two")
    assert (second["conv"], second["unread"], second["last"]["body"]) == ("bob~carol", 1, {"k": 1})
    assert page["more"] is False


async def test_conversations_come_in_pages(harness):
    for other in ("alice", "bob", "carol"):
        await harness.ask("bob", {"id": other, "to": other, "text": "x"})
    first = await harness.ask("bob", {"id": "1", "op": "conversations", "limit": 2})
    assert ([row["conv"] for row in first["conversations"]], first["more"]) == (
        ["alice~bob", "bob~bob"],
        True,
    )
    rest = await harness.ask("bob", {"id": "2", "op": "conversations", "after": "bob~bob"})
    assert ([row["conv"] for row in rest["conversations"]], rest["more"]) == (["bob~carol"], False)


async def test_a_page_of_conversations_ends_at_200_kib(harness, engine):
    with engine.begin() as connection:
        for n in range(10):
            connection.execute(
                text(
                    "INSERT INTO account (user_id, state, admin, created_ts) VALUES (:u, 'active', false, 0)"
                ),
                {"u": f"x{n}"},
            )
    for n in range(10):
        await harness.ask("alice", {"id": f"{n}", "to": f"x{n}", "text": "y" * 32_000})
    page = await harness.ask("alice", {"id": "c", "op": "conversations"})
    assert page["more"] is True
    assert 5 <= len(page["conversations"]) <= 6


async def test_reading_moves_forward_and_is_told_to_ones_own_devices(harness):
    await filled(harness)
    assert await harness.ask("bob", {"id": "r", "op": "read", "conv": "alice~bob", "message_id": 3}) == {
        "re": "r", "ok": True,
    }  # fmt: skip
    seq, update = harness.broker.inboxes["bob"][-1]
    assert (seq, update["type"], update["conv"], update["message_id"]) == (6, "read", "alice~bob", 3)
    page = await harness.ask("bob", {"id": "c", "op": "conversations"})
    assert (page["conversations"][0]["read"], page["conversations"][0]["unread"]) == (3, 2)
    synced = await harness.ask("bob", {"id": "s", "op": "sync", "after": 5})
    assert synced["items"] == [update]


async def test_reading_never_goes_back_and_says_nothing_then(harness):
    await filled(harness)
    await harness.ask("bob", {"id": "r1", "op": "read", "conv": "alice~bob", "message_id": 3})
    assert (await harness.ask("bob", {"id": "r2", "op": "read", "conv": "alice~bob", "message_id": 2}))["ok"]
    assert len(harness.broker.inboxes["bob"]) == 6
    page = await harness.ask("bob", {"id": "c", "op": "conversations"})
    assert page["conversations"][0]["read"] == 3


async def test_reading_a_message_of_the_same_batch_counts_right(harness):
    tickets = [
        harness.submit("alice", {"id": "1", "to": "bob", "text": "a"}),
        harness.submit("alice", {"id": "2", "to": "bob", "text": "b"}),
        harness.submit("bob", {"id": "3", "op": "read", "conv": "alice~bob", "message_id": 1}),
    ]
    for ticket in tickets:
        await harness.settled(ticket)
    page = await harness.ask("bob", {"id": "c", "op": "conversations"})
    assert (page["conversations"][0]["read"], page["conversations"][0]["unread"]) == (1, 1)


async def test_sending_reads_up_to_ones_own_message(harness):
    await filled(harness)
    await harness.ask("bob", {"id": "1", "to": "alice", "text": "answer"})
    page = await harness.ask("bob", {"id": "c", "op": "conversations"})
    assert (page["conversations"][0]["read"], page["conversations"][0]["unread"]) == (6, 0)
    theirs = await harness.ask("alice", {"id": "c", "op": "conversations"})
    assert theirs["conversations"][0]["unread"] == 1


@pytest.mark.parametrize(
    ("user", "question", "error"),
    [
        ("bob", {"conv": "alice~bob", "message_id": 6}, "not_found"),
        ("bob", {"conv": "alice~bob", "message_id": 0}, "bad_request"),
        ("carol", {"conv": "alice~bob", "message_id": 1}, "not_a_member"),
        ("carol", {"conv": "alice~carol", "message_id": 1}, "not_found"),
        ("carol", {"conv": "gaaaaaaaaaaaa", "message_id": 1}, "not_found"),
    ],
)
async def test_a_read_mark_that_makes_no_sense_is_refused(harness, user, question, error):
    await filled(harness)
    refused = await harness.ask(user, {"id": "r", "op": "read", **question})
    assert (refused["ok"], refused["error"]) == (False, error)


async def test_an_ack_moves_the_devices_cursor_and_never_back(harness, engine):
    await filled(harness)

    def cursor() -> int:
        with engine.connect() as connection:
            return connection.execute(text("SELECT cursor FROM device WHERE user_id = 'bob'")).scalar_one()

    assert await harness.ask("bob", {"id": "1", "op": "ack", "seq": 4}) == {"re": "1", "ok": True}
    assert cursor() == 4
    assert (await harness.ask("bob", {"id": "2", "op": "ack", "seq": 3}))["ok"] is True
    assert cursor() == 4
    refused = await harness.ask("bob", {"id": "3", "op": "ack", "seq": 6})
    assert (refused["error"], refused["detail"][:5]) == ("bad_request", "seq: ")
    assert cursor() == 4
