"""One message's way, as who runs the server sees it and as who wrote it does."""

from collections import Counter

import msgspec
import pytest
from sqlalchemy import event

from bridge.push.ports import Refused
from bridge.store.engine import open_engine
from bridge.store.read_store import ReadStore
from bridge.trace import TraceReads
from pabal.errors import Forbidden, NotAMember, NotFound
from pabal.ids import ConvId, UserId

ALICE, BOB, CAROL = UserId("alice"), UserId("bob"), UserId("carol")
DIRECT = ConvId("alice~bob")


def whole(push, conv, message_id) -> dict:
    return msgspec.to_builtins(push.harness.bridge.reads.traces.whole(ConvId(conv), message_id))


def own(push, user, conv, message_id) -> dict:
    return msgspec.to_builtins(push.harness.bridge.reads.traces.own(user, ConvId(conv), message_id))


async def published(push) -> None:
    """The outbox is empty: what was published is forgotten with the next batch."""
    await push.ok("alice", {"op": "ack", "seq": 0})


async def test_it_tells_of_the_commit_each_copy_each_acknowledgement_and_each_push(push):
    await push.subscribe()
    await push.ok("alice", {"to": "bob", "text": "hi", "id": "mine"})
    await push.pushed()
    await push.ok("bob", {"op": "ack", "seq": 1})
    await published(push)
    trace = whole(push, DIRECT, 1)
    people = trace.pop("recipients")
    assert trace == {
        "conv": DIRECT,
        "message_id": 1,
        "type": "message",
        "kind": "text",
        "from": "alice",
        "device": "d",
        "id": "mine",
        "committed": push.clock.now,
        "way": "inbox",
    }
    assert people[0] == {
        "user": "alice",
        "seq": 1,
        "delivered": True,
        "read": True,
        "devices": [{"device": "d", "cursor": 0, "acknowledged": False}],
    }
    now = push.clock.now
    people[1].pop("delivered", None)  # which is found out a moment later
    assert people[1] == {
        "user": "bob",
        "seq": 1,
        "read": False,
        "pushed": True,
        "devices": [{"device": "d", "cursor": 1, "acknowledged": True}],
        "pushes": [
            {
                "device": "d",
                "kind": "message",
                "state": "sent",
                "service": "fake",
                "tries": 1,
                "answer": "201",
                "created": now,
                "due": now,
                "sending": now,
                "done": now,
            }
        ],
    }


async def test_it_says_why_there_was_no_push(push):
    await push.subscribe()
    await push.said("hi")
    assert whole(push, DIRECT, 1)["recipients"][1]["pushes"][0]["state"] == "queued"
    push.service.answer = lambda _s, _n: Refused("BadTopic")
    await push.pushed()
    (job,) = whole(push, DIRECT, 1)["recipients"][1]["pushes"]
    assert (job["state"], job["answer"]) == ("dead", "refused: BadTopic")
    assert "pushed" not in whole(push, DIRECT, 1)["recipients"][1]


async def test_what_the_broker_may_not_have_is_said_to_be_in_the_outbox(push):
    await push.said("hi")
    push.execute("DELETE FROM outbox")
    assert "in_outbox" not in whole(push, DIRECT, 1)["recipients"][1]
    push.execute("INSERT INTO outbox (batch_id, ranges) VALUES (1, :ranges)", ranges='{"bob":[1,3]}')
    alice, bob = whole(push, DIRECT, 1)["recipients"]
    assert bob["in_outbox"] is True
    assert "in_outbox" not in alice


async def test_in_a_large_group_only_who_is_named_has_a_copy(push):
    conv = await push.group("bob", "carol")
    message_id = await push.said("bob", conv, mentions=["bob"])
    trace = whole(push, conv, message_id)
    assert trace["way"] == "room"
    assert {one["user"]: "seq" in one for one in trace["recipients"]} == {
        "alice": False,
        "bob": True,
        "carol": False,
    }


async def test_who_came_later_or_had_left_is_not_in_it(push):
    conv = await push.group("bob")
    await push.ok("alice", {"op": "group.remove", "conv": conv, "user": "bob"})
    message_id = await push.said("without bob", conv)
    await push.ok("alice", {"op": "group.add", "conv": conv, "user": "carol"})
    assert [one["user"] for one in whole(push, conv, message_id)["recipients"]] == ["alice"]


async def test_the_writer_sees_of_others_whether_it_arrived_and_nothing_of_their_devices(push):
    await push.subscribe()
    await push.said("hi")
    await push.pushed()
    alice, bob = own(push, ALICE, DIRECT, 1)["recipients"]
    assert bob == {"user": "bob", "pushed": True, "read": False}
    assert alice["devices"]
    await push.ok("bob", {"op": "read", "conv": DIRECT, "message_id": 1})
    assert own(push, ALICE, DIRECT, 1)["recipients"][1] == {
        "user": "bob",
        "pushed": True,
        "delivered": True,
        "read": True,
    }


async def test_whoever_keeps_reading_private_keeps_it_private_here_too(push):
    kept = '{"read_receipts":false}'
    push.execute("UPDATE account SET privacy = :kept WHERE user_id = 'bob'", kept=kept)
    await push.said("hi")
    await push.ok("bob", {"op": "read", "conv": DIRECT, "message_id": 1})
    assert own(push, ALICE, DIRECT, 1)["recipients"][1] == {"user": "bob", "delivered": True}


async def test_of_whom_a_block_is_between_nothing_is_told(push):
    await push.said("hi")
    await push.ok("bob", {"op": "block.add", "user": "alice"})
    assert [one["user"] for one in own(push, ALICE, DIRECT, 1)["recipients"]] == ["alice"]
    assert len(whole(push, DIRECT, 1)["recipients"]) == 2


@pytest.mark.parametrize(
    ("who", "message_id", "refusal"),
    [(BOB, 1, Forbidden), (CAROL, 1, NotAMember), (ALICE, 2, NotFound)],
)
async def test_nobody_else_is_told_of_its_way(push, who, message_id, refusal):
    await push.said("hi")
    assert own(push, ALICE, DIRECT, 1)
    with pytest.raises(refusal):
        own(push, who, DIRECT, message_id)


async def test_whoever_is_not_in_a_group_is_not_told(push):
    conv = await push.group("bob")
    with pytest.raises(NotAMember):
        own(push, CAROL, conv, 1)
    with pytest.raises(NotFound):
        whole(push, conv, 2)


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_a_long_inbox_is_not_read_through_for_what_is_new(push):
    push.execute(
        "WITH RECURSIVE old(seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM old WHERE seq < 2000)"
        " INSERT INTO inbox (user_id, seq, type, ts) SELECT 'bob', seq, 'message', 0 FROM old"
    )
    push.execute("INSERT INTO inbox_head (user_id, head) VALUES ('bob', 2000)")
    await push.said("hi", "alice~carol")
    await push.said("hi")
    steps = Counter()

    def counted(connection, _record):
        connection.set_progress_handler(lambda: steps.update([conv]), 1)

    engine = open_engine(str(push.engine.url), read_only=True)
    event.listen(engine, "connect", counted)
    for conv in ("alice~carol", DIRECT):
        trace = TraceReads(ReadStore(engine)).whole(ConvId(conv), 1)
        assert all(one.seq for one in trace.recipients)
    engine.dispose()
    assert steps[DIRECT] < 2 * steps["alice~carol"]


async def test_a_copy_is_found_also_where_the_clock_was_put_back_after_it(push):
    await push.said("hi")
    push.clock.now -= 599_000
    await push.said("ho")
    assert [one["seq"] for one in whole(push, DIRECT, 1)["recipients"]] == [1, 1]


async def test_a_copy_that_is_kept_no_longer_has_no_seq(push):
    conv = await push.group("bob")
    await push.said("hi", conv)
    push.execute("DELETE FROM inbox WHERE user_id = 'bob' AND conv_id = :conv", conv=conv)
    seqs = {one["user"]: one.get("seq") for one in whole(push, conv, 2)["recipients"]}
    assert (seqs["bob"], seqs["alice"] is None) == (None, False)
