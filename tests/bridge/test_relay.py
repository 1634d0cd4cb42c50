"""The gate between loop and committer, with a store that a test holds back, breaks and inspects."""

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator

import msgspec
import pytest
from bridge_fakes import FakeTicket
from relay_rig import Rig, relaying
from sqlalchemy.exc import OperationalError

from bridge.commands import DeleteSession
from bridge.store.failures import Conflicted, Disconnected, InDoubt, LeaseLost
from pabal.errors import Unavailable
from pabal.ids import DeviceId, UserId
from pabal.ratelimit import RateLimiter


@pytest.fixture
def limiter() -> RateLimiter | None:
    return None


@pytest.fixture
def stalled_s() -> float:
    """Longer than any machine is slow; tests of what a database does that is silent set it themselves."""
    return 600


@pytest.fixture
async def rig(limiter, stalled_s) -> AsyncIterator[Rig]:
    async with relaying(limiter, stalled_s) as rig:
        yield rig


async def test_what_comes_while_a_batch_commits_is_the_next_batch(rig):
    rig.store.gate.clear()
    first = rig.send(1)
    await rig.until(rig.store.entered.is_set)
    later = [rig.send(n) for n in (2, 3, 4)]
    rig.store.gate.set()
    await rig.until(lambda: all(ticket.settled for ticket in [first, *later]))
    assert [[c.text for c in batch.commands] for batch in rig.store.batches] == [["1"], ["2", "3", "4"]]


async def test_a_batch_has_a_bound(rig):
    rig.store.gate.clear()
    tickets = [rig.send(n) for n in range(9)]
    rig.store.gate.set()
    await rig.until(lambda: all(ticket.settled for ticket in tickets))
    assert [len(batch.commands) for batch in rig.store.batches] == [4, 4, 1]


async def test_nothing_is_acknowledged_or_answered_before_the_commit(rig):
    rig.store.gate.clear()
    ticket = rig.send(1)
    await rig.until(rig.store.entered.is_set)
    assert (ticket.settled, rig.broker.published, rig.broker.inboxes) == ([], [], {})
    rig.store.gate.set()
    await rig.until(lambda: ticket.settled == [True])
    assert rig.replies() == [{"re": "1", "ok": True}]
    await rig.until(lambda: "bob" in rig.broker.inboxes)


async def test_beyond_the_bound_requests_are_unavailable_and_later_taken_again(rig):
    rig.store.gate.clear()
    rig.send("first")
    await rig.until(rig.store.entered.is_set)
    waiting = [rig.send(n) for n in range(10)]
    over = rig.send("over")
    without_id = rig.submit(b'{"to":"bob","text":"x"}')
    rig.store.gate.set()
    await rig.until(lambda: over.settled and without_id.settled and all(t.settled for t in waiting))
    assert all(ticket.settled == [True] for ticket in waiting)
    assert over.settled == [True]
    [refused] = [reply for reply in rig.replies() if reply["re"] == "over"]
    assert (refused["error"], refused["retry_after"]) == ("unavailable", 1)
    assert without_id.settled == [False], "so that the client's own resending carries it"
    again = rig.send("over")
    await rig.until(lambda: again.settled == [True])
    assert rig.replies()[-1] == {"re": "over", "ok": True}


async def test_a_database_failure_is_unavailable_and_the_next_batch_goes_on(rig):
    rig.store.failures.append(OperationalError("INSERT", {}, Exception("disk I/O error")))
    with_id, without_id = rig.send(1), rig.submit(b'{"to":"bob","text":"x"}')
    await rig.until(lambda: with_id.settled and without_id.settled)
    assert (with_id.settled, without_id.settled) == ([True], [False])
    [refused] = rig.replies()
    assert (refused["re"], refused["error"], refused["retry_after"]) == ("1", "unavailable", 1)
    assert refused["detail"] == "the database did not answer: disk I/O error"
    assert rig.broker.inboxes == {}
    again = rig.send(1)
    await rig.until(lambda: again.settled == [True])
    assert rig.replies()[-1] == {"re": "1", "ok": True}


@pytest.mark.parametrize("failure", [Conflicted, Disconnected])
async def test_a_transaction_that_was_undone_is_run_again_and_nobody_notices(rig, failure, caplog):
    rig.store.failures += [failure("undone", retry_after=1)] * 4
    ticket = rig.send(1)
    await rig.until(lambda: ticket.settled == [True])
    assert rig.replies() == [{"re": "1", "ok": True}]
    assert caplog.text == ""


async def test_after_five_tries_it_is_unavailable_and_the_outage_is_logged_once(rig, caplog):
    rig.store.failures += [Disconnected("gone", retry_after=1)] * 9
    tickets = [rig.send(1)]
    await rig.until(lambda: tickets[0].settled)
    tickets += [rig.send(2)]
    await rig.until(lambda: tickets[1].settled)
    assert [reply["error"] for reply in rig.replies()] == ["unavailable"] * 2
    assert len(rig.store.failures) == 2, "five tries, and two while it is known"
    tickets += [rig.send(3)]
    await rig.until(lambda: tickets[2].settled)
    tickets += [rig.send(4)]
    await rig.until(lambda: tickets[3].settled)
    assert rig.replies()[-1] == {"re": "4", "ok": True}
    assert caplog.text.count("nothing can be committed: gone") == 1
    assert caplog.text.count("the database commits again after") == 1


@pytest.mark.parametrize("stalled_s", [0.2])
async def test_what_is_in_doubt_is_neither_answered_nor_lost_and_what_is_behind_it_does_not_wait(rig):
    rig.store.failures += [InDoubt("who knows", retry_after=1)] * 1000
    doubtful = rig.submit(b'{"to":"bob","text":"no id"}')
    await rig.until(rig.store.entered.is_set)
    behind = rig.send(2)
    await rig.until(lambda: behind.settled)
    assert rig.replies()[0]["error"] == "unavailable"
    assert rig.store.failures, "the doubt lasts"
    assert doubtful.settled == []
    later = rig.send(3)
    await rig.until(lambda: later.settled)
    assert [(reply["re"], reply["error"]) for reply in rig.replies()] == [
        ("2", "unavailable"),
        ("3", "unavailable"),
    ]
    rig.store.failures.clear()
    await rig.until(lambda: doubtful.settled == [True])
    assert [len(batch.commands) for batch in rig.store.batches][:1] == [1]
    after = rig.send(4)
    await rig.until(lambda: after.settled == [True])
    assert rig.replies()[-1] == {"re": "4", "ok": True}


async def test_refusals_beyond_twice_the_bound_are_answered_at_once(rig):
    rig.store.gate.clear()
    rig.send("first")
    await rig.until(rig.store.entered.is_set)
    tickets = [rig.send(n) for n in range(25)]
    assert [bool(ticket.settled) for ticket in tickets] == [False] * 20 + [True] * 5
    rig.store.gate.set()
    await rig.until(lambda: all(ticket.settled == [True] for ticket in tickets))


async def test_what_waits_behind_a_read_counts_towards_the_bound(rig):
    rig.reads.gate.clear()
    rig.submit(b'{"id":"s","op":"sync","after":0}')
    behind = [rig.send(n) for n in range(10)]
    over = rig.send("over", user="carol")
    await rig.until(lambda: over.settled)
    assert rig.replies() == [
        {
            "re": "over",
            "ok": False,
            "error": "unavailable",
            "detail": "too much is waiting for the database",
            "retry_after": 1,
        }
    ]
    rig.reads.gate.set()
    await rig.until(lambda: all(ticket.settled == [True] for ticket in behind))
    again = rig.send("over", user="carol")
    await rig.until(lambda: again.settled == [True])
    assert all(reply["ok"] for reply in rig.replies()[1:])


async def test_broker_state_beyond_twice_the_bound_is_unavailable_at_once(rig):
    rig.store.gate.clear()
    rig.send("first")
    await rig.until(rig.store.entered.is_set)
    waiting = [asyncio.create_task(rig.relay.commit(DeleteSession(f"alice:{n}"))) for n in range(20)]
    await rig.until(lambda: len(rig.relay._waiting) == 20)
    with pytest.raises(Unavailable, match="too much is waiting"):
        await rig.relay.commit(DeleteSession("alice:over"))
    rig.store.gate.set()
    assert await asyncio.gather(*waiting) == [None] * 20
    assert await rig.relay.commit(DeleteSession("alice:over")) is None


async def test_stopping_does_not_wait_for_a_doubt_that_does_not_end(rig):
    rig.store.failures += [InDoubt("who knows", retry_after=1)] * 1000
    ticket = rig.send(1)
    await rig.until(rig.store.entered.is_set)
    await rig.relay.stop(0.1)
    await rig.until(lambda: ticket.settled == [True])
    assert rig.replies()[0]["error"] == "unavailable"


async def test_a_server_that_was_replaced_commits_nothing_more_and_says_so_once(rig):
    rig.store.failures.append(LeaseLost("another server", retry_after=1))
    rig.relay.moved("alice:d", UserId("alice"), DeviceId("d"), 7)
    with_id, without_id = rig.send(1), rig.submit(b'{"to":"bob","text":"x"}')
    await rig.until(lambda: with_id.settled and without_id.settled)
    assert (with_id.settled, without_id.settled) == ([True], [False])
    late = rig.send(2)
    assert late.settled == [True]
    assert [reply["error"] for reply in rig.replies()] == ["unavailable"] * 2
    with pytest.raises(Unavailable):
        await rig.relay.commit(DeleteSession("alice:d"))
    rig.relay.lose()
    await rig.relay.stop()
    assert rig.store.batches == []
    assert rig.lost == [True]


async def test_old_updates_are_forgotten_when_there_is_nothing_else_to_do(rig):
    steps = [True, True, False]
    rig.store.trim = lambda: steps.pop(0) if steps else False
    await rig.until(lambda: not steps)


async def test_forgetting_that_fails_is_logged_and_stops_nothing(rig, caplog):
    def trim() -> bool:
        raise Disconnected("gone", retry_after=1)

    rig.store.trim = trim
    await rig.until(lambda: "old updates could not be forgotten" in caplog.text)
    ticket = rig.send(1)
    await rig.until(lambda: ticket.settled == [True])
    assert rig.replies()[-1] == {"re": "1", "ok": True}


async def test_positions_of_a_failed_batch_are_written_with_the_next(rig):
    rig.store.failures.append(OperationalError("INSERT", {}, Exception("disk I/O error")))
    rig.relay.moved("alice:d", UserId("alice"), DeviceId("d"), 7)
    ticket = rig.send(1)
    await rig.until(lambda: ticket.settled)
    rig.relay.moved("bob:d", UserId("bob"), DeviceId("d"), 3)
    await rig.until(lambda: rig.store.batches)
    assert rig.store.batches[0].positions == {"alice:d": ("alice", "d", 7), "bob:d": ("bob", "d", 3)}


async def test_what_cannot_be_read_is_answered_in_its_place_in_the_array(rig):
    ticket = rig.submit(
        b'[{"id":"1","to":"bob","text":"x"},7,{"id":"3","to":"bob","text":"y"},{"op":"no"},{"id":"5","to":"carl"}]'
    )
    await rig.until(lambda: ticket.settled == [True])
    assert [(reply["re"], reply.get("error")) for reply in rig.replies()] == [
        ("1", None),
        (None, "bad_request"),
        ("3", None),
        (None, "bad_request"),
        ("5", "bad_request"),
    ]


async def test_one_request_that_breaks_the_batch_does_not_take_the_others_with_it(rig):
    rig.store.poison = "bad"
    rig.store.gate.clear()
    tickets = [rig.send("a"), rig.send("bad"), rig.send("b")]
    rig.store.gate.set()
    await rig.until(lambda: all(ticket.settled for ticket in tickets))
    assert [(reply["re"], reply["ok"]) for reply in rig.replies()] == [
        ("a", True),
        ("bad", False),
        ("b", True),
    ]
    assert len(rig.broker.inboxes["bob"]) == 2


async def test_positions_alone_are_committed_within_a_second(rig):
    rig.relay.moved("alice:d", UserId("alice"), DeviceId("d"), 7)
    rig.relay.moved("alice:d", UserId("alice"), DeviceId("d"), 9)
    await rig.until(lambda: rig.store.batches)
    assert rig.store.batches[0].positions == {"alice:d": ("alice", "d", 9)}


async def test_the_outbox_is_emptied_after_publishing_even_when_nothing_follows(rig):
    ticket = rig.send(1)
    await rig.until(lambda: ticket.settled == [True])
    await rig.until(lambda: len(rig.store.batches) == 2)
    assert [batch.published_upto for batch in rig.store.batches] == [0, 1]


async def test_broker_state_is_durable_when_the_call_returns(rig):
    rig.store.gate.clear()
    task = asyncio.create_task(rig.relay.commit(DeleteSession("alice:d")))
    await rig.until(rig.store.entered.is_set)
    assert not task.done()
    rig.store.gate.set()
    assert await task is None


async def test_broker_state_that_cannot_be_stored_raises_unavailable(rig):
    rig.store.failures.append(OperationalError("DELETE", {}, Exception("disk I/O error")))
    with pytest.raises(Unavailable, match="disk I/O error"):
        await rig.relay.commit(DeleteSession("alice:d"))


async def test_a_read_that_fails_is_answered_and_opens_the_lane_again(rig):
    rig.reads.failure = Unavailable("the database did not answer", retry_after=1)
    ticket = rig.submit(b'{"id":"s","op":"sync","after":0}')
    follows = rig.send(1)
    await rig.until(lambda: ticket.settled and follows.settled)
    assert [(reply["re"], reply["ok"]) for reply in rig.replies()] == [("s", False), ("1", True)]


async def test_a_read_with_a_bug_is_answered_unavailable(rig):
    rig.reads.failure = ZeroDivisionError("a bug")
    ticket = rig.submit(b'{"id":"s","op":"sync","after":0}')
    await rig.until(lambda: ticket.settled == [True])
    assert rig.replies()[0]["error"] == "unavailable"


class TestWithALimit:
    @pytest.fixture
    def limiter(self) -> RateLimiter:
        return RateLimiter(rate_per_s=0.001, burst=3)

    async def test_too_many_requests_of_a_user_are_rate_limited_and_others_are_not(self, rig):
        tickets = [rig.send(n) for n in range(4)]
        other = rig.send("x", user="carol")
        await rig.until(lambda: all(ticket.settled for ticket in [*tickets, other]))
        refused = [reply for reply in rig.replies() if not reply["ok"]]
        assert [(reply["re"], reply["error"]) for reply in refused] == [("3", "rate_limited")]
        assert refused[0]["retry_after"] >= 1

    async def test_each_request_of_an_array_counts(self, rig):
        many = msgspec.json.encode([{"id": str(n), "to": "bob", "text": "x"} for n in range(5)])
        ticket = rig.submit(many)
        await rig.until(lambda: ticket.settled == [True])
        assert [reply["ok"] for reply in rig.replies()] == [True, True, True, False, False]

    @pytest.mark.parametrize("many", [False, True])
    async def test_what_is_refused_is_not_read(self, rig, many):
        for number in range(3):
            earlier = rig.send(number)
        await rig.until(lambda: earlier.settled == [True])
        body = b'{"id":"q","to":"bob","body":{"a":[' + b"[]," * (800 if many else 20_000) + b"[]]}}"
        payload = b"[" + b",".join([body] * 100) + b"]" if many else body
        tracemalloc.start()
        try:
            ticket = rig.submit(payload)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 4 * len(payload) + 100_000
        await rig.until(lambda: ticket.settled == [True])
        refused = [reply["error"] for reply in rig.replies() if reply["re"] == "q"]
        assert refused == ["rate_limited"] * (100 if many else 1)


async def test_what_waits_for_a_commit_is_not_kept_as_objects(rig):
    rig.store.gate.clear()
    payload = b'{"id":"%d","to":"bob","text":"x","body":{"a":[' + b"[]," * 20_000 + b"[]]}}"
    tracemalloc.start()
    try:
        tickets = [rig.submit(payload % number) for number in range(8)]
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 8 * 3 * len(payload)
    rig.store.gate.set()
    await rig.until(lambda: all(ticket.settled == [True] for ticket in tickets))
    assert rig.replies() == [{"re": str(n), "ok": True} for n in range(8)]


async def test_the_search_for_cycles_goes_on_after_a_large_payload(rig):
    ticket = rig.submit(b'{"id":"1","to":"bob","text":"' + b"x" * 30_000 + b'"}')
    await rig.until(lambda: ticket.settled == [True])
    assert gc.isenabled()


class TestService:
    def ask(self, rig: Rig, payload: bytes) -> FakeTicket:
        ticket = FakeTicket()
        rig.relay.submit_service("web1", payload, ticket)
        return ticket

    async def test_a_service_asks_in_a_users_name_and_gets_its_reference_back(self, rig):
        ticket = self.ask(
            rig,
            b'{"ref":"r1","as":{"user":"alice","device":"web"},"request":{"id":"1","to":"bob","text":"x"}}',
        )
        await rig.until(lambda: ticket.settled == [True])
        [(topic, raw, qos)] = rig.broker.published
        assert (topic, qos) == ("pabal/v1/svc/web1/down", 1)
        assert msgspec.json.decode(raw) == {"ref": "r1", "reply": {"re": "1", "ok": True}}
        [batch] = rig.store.batches[:1]
        assert (batch.commands[0].user, batch.commands[0].device) == ("alice", "web")

    @pytest.mark.parametrize(
        "payload",
        [b"", b"{}", b'{"ref":"r","as":{"user":"!","device":"d"},"request":{}}', b"\xff"],
    )
    async def test_what_a_service_sends_that_cannot_be_read_is_dropped(self, rig, payload):
        ticket = self.ask(rig, payload)
        assert ticket.settled == [True]
        assert rig.broker.published == []


async def test_stopping_commits_what_was_taken_and_refuses_what_comes(rig):
    rig.store.gate.clear()
    taken = rig.send(1)
    await rig.until(rig.store.entered.is_set)
    stopping = asyncio.create_task(rig.relay.stop())
    await rig.until(lambda: rig.relay._stopping)
    late = rig.send(2)
    rig.store.gate.set()
    await stopping
    assert (taken.settled, late.settled) == ([True], [True])
    assert {reply["re"]: reply.get("error") for reply in rig.replies()} == {"1": None, "2": "unavailable"}
    assert rig.store.batches[-1].published_upto == 1
