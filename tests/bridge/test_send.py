"""A message through check, commit, reply and fan-out, over a real database."""

import msgspec
import pytest
from sqlalchemy import text


async def test_a_message_is_numbered_answered_and_copied_to_both_inboxes(harness):
    reply = await harness.ask("alice", {"id": "1", "to": "bob", "text": "hi"})
    assert reply == {
        "re": "1", "ok": True, "conv": "alice~bob", "message_id": 1, "ts": reply["ts"], "dup": False,
    }  # fmt: skip
    assert reply["ts"] > 1_700_000_000_000
    await harness.broker.until(lambda: set(harness.broker.inboxes) == {"alice", "bob"})
    [(seq, theirs)] = harness.broker.inboxes["bob"]
    assert seq == 1
    assert next(iter(theirs)) == "seq"
    assert theirs == {
        "seq": 1, "epoch": harness.bridge.reads.epoch, "type": "message", "ts": reply["ts"],
        "conv": "alice~bob", "message_id": 1, "from": "alice", "kind": "text", "text": "hi",
    }  # fmt: skip
    [(_, own)] = harness.broker.inboxes["alice"]
    assert own == {**theirs, "id": "1", "device": "d"}


async def test_message_ids_and_seqs_are_dense_and_in_commit_order(harness):
    for number in range(5):
        await harness.ask("alice", {"id": f"a{number}", "to": "bob", "text": str(number)})
        await harness.ask("carol", {"id": f"c{number}", "to": "bob", "text": str(number)})
    updates = [update for _seq, update in harness.broker.inboxes["bob"]]
    assert [update["seq"] for update in updates] == list(range(1, 11))
    assert [u["message_id"] for u in updates if u["from"] == "alice"] == [1, 2, 3, 4, 5]
    assert [u["message_id"] for u in updates if u["from"] == "carol"] == [1, 2, 3, 4, 5]


async def test_what_arrives_together_is_one_transaction_and_keeps_its_order(harness, engine):
    tickets = [harness.submit("alice", {"id": str(n), "to": "bob", "text": str(n)}) for n in range(100)]
    for ticket in tickets:
        assert await harness.settled(ticket) is True
    texts = [update["text"] for _seq, update in harness.broker.inboxes["bob"]]
    assert texts == [str(n) for n in range(100)]
    assert [r["message_id"] for r in harness.replies("alice")] == list(range(1, 101))
    with engine.connect() as connection:
        stamps = connection.execute(text("SELECT count(DISTINCT ts) FROM direct_message")).scalar_one()
    assert stamps == 1


async def test_the_same_id_sent_again_is_stored_once_and_answered_the_same(harness):
    first = await harness.ask("alice", {"id": "1", "to": "bob", "text": "hi"})
    again = await harness.ask("alice", {"id": "1", "to": "bob", "text": "hi"})
    assert again == {**first, "dup": True}
    assert len(harness.broker.inboxes["bob"]) == 1


async def test_the_same_id_twice_in_one_batch_is_stored_once(harness):
    tickets = [harness.submit("alice", {"id": "1", "to": "bob", "text": "hi"}) for _ in range(3)]
    for ticket in tickets:
        await harness.settled(ticket)
    assert [(r["message_id"], r["dup"]) for r in harness.replies("alice")] == [
        (1, False),
        (1, True),
        (1, True),
    ]
    assert len(harness.broker.inboxes["bob"]) == 1


async def test_to_and_conv_name_the_same_conversation_for_the_same_id(harness):
    await harness.ask("alice", {"id": "1", "to": "bob", "text": "hi"})
    again = await harness.ask("alice", {"id": "1", "conv": "alice~bob", "text": "hi"})
    assert again["dup"] is True


async def test_key_order_in_a_body_does_not_make_another_request(harness):
    await harness.ask("alice", {"id": "1", "to": "bob", "body": {"a": 1, "b": 2}})
    again = await harness.ask("alice", {"id": "1", "to": "bob", "body": {"b": 2, "a": 1}})
    assert again["dup"] is True


@pytest.mark.parametrize(
    "other",
    [
        {"text": "ho"},
        {"text": "hi", "kind": "note"},
        {"text": "hi", "body": {}},
        {"text": "hi", "mentions": ["bob"]},
    ],
)
async def test_another_content_under_a_used_id_is_a_conflict(harness, other):
    await harness.ask("alice", {"id": "1", "to": "bob", "text": "hi"})
    refused = await harness.ask("alice", {"id": "1", "to": "bob", **other})
    assert (refused["re"], refused["ok"], refused["error"]) == ("1", False, "conflict")
    assert len(harness.broker.inboxes["bob"]) == 1


async def test_an_id_belongs_to_its_device_and_conversation(harness):
    replies = [
        await harness.ask("alice", {"id": "1", "to": "bob", "text": "hi"}),
        await harness.ask("alice", {"id": "1", "to": "bob", "text": "hi"}, device="e"),
        await harness.ask("alice", {"id": "1", "to": "carol", "text": "hi"}),
        await harness.ask("bob", {"id": "1", "to": "alice", "text": "hi"}),
    ]
    assert [(r["conv"], r["message_id"], r["dup"]) for r in replies] == [
        ("alice~bob", 1, False),
        ("alice~bob", 2, False),
        ("alice~carol", 1, False),
        ("alice~bob", 3, False),
    ]


async def test_a_known_id_is_answered_before_any_other_rule(harness, engine):
    first = await harness.ask("alice", {"id": "1", "to": "bob", "text": "hi"})
    with engine.begin() as connection:
        connection.execute(text("UPDATE account SET state = 'deleted' WHERE user_id = 'bob'"))
    assert await harness.ask("alice", {"id": "1", "to": "bob", "text": "hi"}) == {**first, "dup": True}
    refused = await harness.ask("alice", {"id": "2", "to": "bob", "text": "hi"})
    assert refused["error"] == "not_found"


async def test_without_an_id_there_is_no_reply_but_the_acknowledgement(harness):
    ticket = harness.submit("alice", {"to": "bob", "text": "hi"})
    assert await harness.settled(ticket) is True
    await harness.broker.until(lambda: "bob" in harness.broker.inboxes)
    assert harness.replies("alice") == []
    [(_, own)] = harness.broker.inboxes["alice"]
    assert "id" not in own
    assert own["device"] == "d"


async def test_a_message_to_oneself_has_one_copy(harness):
    reply = await harness.ask("alice", {"id": "1", "to": "alice", "text": "note"})
    assert reply["conv"] == "alice~alice"
    assert len(harness.broker.inboxes["alice"]) == 1


async def test_all_parts_of_a_message_arrive(harness):
    await harness.ask("bob", {"id": "0", "to": "alice", "text": "first"})
    await harness.ask(
        "alice",
        {
            "id": "1", "to": "bob", "text": "파발 🐎", "body": {"a": [1, None, {"b": 1.5}]}, "kind": "x.card",
            "reply_to": 1, "mentions": ["bob"],
        },
    )  # fmt: skip
    theirs = harness.broker.inboxes["bob"][1][1]
    assert theirs["text"] == "파발 🐎"
    assert theirs["body"] == {"a": [1, None, {"b": 1.5}]}
    assert (theirs["kind"], theirs["reply_to"], theirs["mentions"]) == ("x.card", 1, ["bob"])


async def test_message_pack_is_answered_in_message_pack_and_delivered_as_json(harness):
    ticket = harness.submit("alice", msgspec.msgpack.encode({"id": "1", "to": "bob", "text": "hi"}))
    await harness.settled(ticket)
    topic, raw, qos = harness.broker.published[0]
    assert (topic, qos) == ("pabal/v1/down/alice/d", 1)
    assert msgspec.msgpack.decode(raw)["message_id"] == 1
    assert harness.broker.inboxes["bob"][0][1]["text"] == "hi"


@pytest.mark.parametrize(
    ("request_", "error", "names"),
    [
        ({"to": "nobody-here", "text": "x"}, "not_found", "to"),
        ({"to": "Bob", "text": "x"}, "bad_request", "to"),
        ({"conv": "bob~alice", "text": "x"}, "bad_request", "conv"),
        ({"conv": "bob~carol", "text": "x"}, "not_a_member", "conv"),
        ({"conv": "gaaaaaaaaaaaa", "text": "x"}, "not_found", "conv"),
        ({"to": "bob", "text": "x", "reply_to": 1}, "not_found", "reply_to"),
        ({"to": "bob", "text": "x", "mentions": ["B"]}, "bad_request", "mentions"),
        ({"to": "bob"}, "bad_request", "text"),
        ({"to": "bob", "text": "x" * 32_769}, "too_large", "text"),
        ({"op": "dance"}, "bad_request", "op"),
        ({"to": "bob", "text": "x", "expires_in": 0}, "bad_request", "expires_in"),
        ({"to": "bob", "text": "x", "forward_of": 5}, "bad_request", "forward_of"),
        ({"op": "conversations", "after": "\0"}, "bad_request", "after"),
    ],
)
async def test_a_refused_send_names_its_code_and_field_and_leaves_nothing(harness, request_, error, names):
    refused = await harness.ask("alice", {"id": "1", **request_})
    assert (refused["re"], refused["ok"], refused["error"]) == ("1", False, error)
    assert refused["detail"].startswith(f"{names}: ")
    assert harness.broker.inboxes == {}
    accepted = await harness.ask("alice", {"id": "2", "to": "bob", "text": "x"})
    assert accepted["message_id"] == 1


async def test_a_disabled_sender_is_refused(harness, engine):
    with engine.begin() as connection:
        connection.execute(text("UPDATE account SET state = 'disabled' WHERE user_id = 'alice'"))
    refused = await harness.ask("alice", {"id": "1", "to": "bob", "text": "x"})
    assert refused["error"] == "unauthorized"


async def test_a_device_that_may_only_receive_may_not_send(harness):
    message = {"to": "bob", "text": "x"}
    refused = await harness.ask("alice", {"id": "1", **message}, allow=frozenset({"receive"}))
    assert refused["error"] == "forbidden"
    accepted = await harness.ask("alice", {"id": "2", **message}, allow=frozenset({"send"}))
    assert accepted["ok"] is True


@pytest.mark.parametrize(
    "asked",
    [
        {"op": "sync", "after": 0},
        {"op": "history", "conv": "alice~bob"},
        {"op": "conversations"},
        {"op": "read", "conv": "alice~bob", "message_id": 1},
        {"op": "ack", "seq": 1},
    ],
)
async def test_a_device_that_may_only_send_may_not_read(harness, asked):
    await harness.ask("alice", {"id": "0", "to": "bob", "text": "x"})
    refused = await harness.ask("alice", {"id": "1", **asked}, allow=frozenset({"send"}))
    assert refused["error"] == "forbidden"
    accepted = await harness.ask("alice", {"id": "2", **asked}, allow=frozenset({"receive"}))
    assert accepted["ok"] is True


async def test_a_payload_that_cannot_be_read_is_answered_with_re_null(harness):
    ticket = harness.submit("alice", b"{broken")
    assert await harness.settled(ticket) is True
    [reply] = harness.replies("alice")
    assert (reply["re"], reply["ok"], reply["error"]) == (None, False, "bad_request")


async def test_an_array_is_done_in_order_and_each_is_answered(harness):
    ticket = harness.submit(
        "alice",
        [
            {"id": "1", "to": "bob", "text": "one"},
            {"id": "2", "to": "nobody-here", "text": "x"},
            {"id": "3", "op": "history", "conv": "alice~bob"},
            {"id": "4", "to": "bob", "text": "two"},
            {"id": "5", "op": "sync", "after": 0},
        ],
    )
    assert await harness.settled(ticket) is True
    replies = harness.replies("alice")
    assert [reply["re"] for reply in replies] == ["1", "2", "3", "4", "5"]
    assert [reply["ok"] for reply in replies] == [True, False, True, True, True]
    assert [item["text"] for item in replies[2]["items"]] == ["one"]
    assert [item["text"] for item in replies[4]["items"]] == ["one", "two"]


async def test_what_follows_a_read_of_the_same_device_waits_for_it(harness):
    tickets = [
        harness.submit(
            "alice", [{"id": "1", "op": "sync", "after": 0}, {"id": "2", "to": "bob", "text": "a"}]
        ),
        harness.submit("alice", {"id": "3", "to": "bob", "text": "b"}),
        harness.submit("alice", {"id": "4", "op": "history", "conv": "alice~bob"}),
        harness.submit("alice", {"id": "5", "to": "bob", "text": "c"}),
    ]
    for ticket in tickets:
        assert await harness.settled(ticket) is True
    replies = harness.replies("alice")
    assert [reply["re"] for reply in replies] == ["1", "2", "3", "4", "5"]
    assert replies[0]["items"] == []
    assert [item["text"] for item in replies[3]["items"]] == ["a", "b"]


async def test_one_device_reading_does_not_hold_up_another(harness):
    reading = harness.submit("alice", {"id": "1", "op": "sync", "after": 0})
    other = await harness.ask("bob", {"id": "2", "to": "carol", "text": "x"})
    assert other["ok"] is True
    assert await harness.settled(reading) is True


@pytest.mark.parametrize("some", [["x"], [[]], {}, 0, "", False])
async def test_attachments_are_refused_and_none_of_them_is_no_attachment(harness, some):
    taken = await harness.ask("alice", {"id": "1", "to": "bob", "text": "hi", "attachments": []})
    again = await harness.ask("alice", {"id": "1", "to": "bob", "text": "hi"})
    assert (taken["ok"], again["dup"]) == (True, True)
    refused = await harness.ask("alice", {"id": "2", "to": "bob", "text": "hi", "attachments": some})
    assert refused["error"] == "bad_request"
    assert refused["detail"].startswith("attachments: ")
