"""Marks wait a moment for each other; whatever else comes takes them along at once."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from bridge_fakes import FakeTicket
from relay_rig import Rig, relaying

from bridge import gathering, relay
from bridge.commands import AckCommand, DeleteSession, ReadCommand, SendCommand
from bridge.store.failures import LeaseLost
from bridge.store.relay_store import Batch

NEVER_S = 3600.0


@pytest.fixture
async def rig(monkeypatch) -> AsyncIterator[Rig]:
    """What gathers is not begun by time: neither by its own nor by the housekeeping."""
    monkeypatch.setattr(gathering, "GATHER_S", NEVER_S)
    monkeypatch.setattr(relay, "HOUSEKEEPING_S", NEVER_S)
    async with relaying() as rig:
        yield rig


def read(rig: Rig, user: str) -> FakeTicket:
    return rig.submit(b'{"id":"r","op":"read","conv":"%b~zoe","message_id":1}' % user.encode(), user)


def kinds(batches: list[Batch]) -> list[list[type]]:
    """Of what each batch committed, without those that only tidy up."""
    return [[type(command) for command in batch.commands] for batch in batches if batch.commands]


async def settled(rig: Rig, *tickets: FakeTicket) -> None:
    await rig.until(lambda: all(ticket.settled for ticket in tickets))
    assert all(ticket.settled == [True] for ticket in tickets)


async def test_marks_that_come_one_after_the_other_share_a_transaction(rig, monkeypatch):
    monkeypatch.setattr(gathering, "GATHER_S", 0.05)
    first = read(rig, "alice")
    await asyncio.sleep(0)
    second = rig.submit(b'{"op":"ack","seq":1}', "bob")
    await settled(rig, first, second)
    assert kinds(rig.store.batches) == [[ReadCommand, AckCommand]]


async def test_a_mark_is_acknowledged_after_its_commit_and_not_before(rig, monkeypatch):
    monkeypatch.setattr(gathering, "GATHER_S", 0.01)
    rig.store.gate.clear()
    ticket = read(rig, "alice")
    await rig.until(rig.store.entered.is_set)
    assert ticket.settled == []
    rig.store.gate.set()
    await settled(rig, ticket)


async def test_a_message_takes_along_what_gathered_and_comes_after_it(rig):
    marks = [read(rig, user) for user in ("alice", "carol")]
    assert rig.relay._gathering.is_on
    await settled(rig, rig.send(1, "dave"), *marks)
    assert kinds(rig.store.batches) == [[ReadCommand, ReadCommand, SendCommand]]
    assert not rig.relay._gathering.is_on


async def test_what_one_packet_asks_for_is_one_batch_in_order(rig):
    many = b'[{"op":"read","conv":"alice~zoe","message_id":1},{"to":"bob","text":"x"},{"op":"ack","seq":1}]'
    await settled(rig, rig.submit(many))
    assert kinds(rig.store.batches) == [[ReadCommand, SendCommand, AckCommand]]


async def test_the_servers_own_state_takes_along_what_gathered(rig):
    mark = read(rig, "alice")
    await rig.relay.commit(DeleteSession("bob:d"))
    await settled(rig, mark)
    assert kinds(rig.store.batches) == [[ReadCommand, DeleteSession]]


async def test_as_many_marks_as_a_batch_may_have_do_not_wait_for_more(rig):
    await settled(rig, *[read(rig, user) for user in ("alice", "bob", "carol", "dave")])
    assert kinds(rig.store.batches) == [[ReadCommand] * 4]


async def test_a_look_up_of_the_same_device_waits_for_its_mark_and_ends_the_gathering(rig):
    rig.store.gate.clear()
    mark = read(rig, "alice")
    look = rig.submit(b'{"id":"s","op":"sync","after":0}', "alice")
    await rig.until(rig.store.entered.is_set)
    assert (mark.settled, look.settled) == ([], [])
    rig.store.gate.set()
    await settled(rig, mark, look)


async def test_a_refusal_of_the_same_device_is_answered_in_order_and_ends_the_gathering(rig):
    rig.store.gate.clear()
    mark = read(rig, "alice")
    wrong = rig.submit(b'{"id":"x","op":"read","conv":"bob~carol","message_id":1}', "alice")
    await rig.until(rig.store.entered.is_set)
    assert (mark.settled, wrong.settled) == ([], [])
    rig.store.gate.set()
    await settled(rig, mark, wrong)


@pytest.mark.parametrize(
    "payload",
    [b'{"id":"s","op":"sync","after":0}', b'{"id":"s","op":"typing","conv":"bob~zoe","on":true}', b"{}"],
)
async def test_what_another_device_asks_without_writing_neither_waits_nor_ends_the_gathering(rig, payload):
    mark = read(rig, "alice")
    await settled(rig, rig.submit(payload, "bob"))
    assert (mark.settled, rig.store.batches) == ([], [])
    assert rig.relay._gathering.is_on


async def test_marks_that_came_while_a_batch_committed_gather_after_it(rig):
    rig.store.gate.clear()
    first = rig.send(1)
    await rig.until(rig.store.entered.is_set)
    marks = [read(rig, user) for user in ("carol", "dave")]
    rig.store.gate.set()
    await settled(rig, first)
    assert [mark.settled for mark in marks] == [[], []]
    await settled(rig, rig.send(2), *marks)
    assert kinds(rig.store.batches) == [[SendCommand], [ReadCommand, ReadCommand, SendCommand]]


async def test_what_only_looks_and_came_while_a_batch_committed_needs_none_of_its_own(rig):
    rig.store.gate.clear()
    first = rig.send(1)
    await rig.until(rig.store.entered.is_set)
    look = rig.submit(b'{"id":"s","op":"sync","after":0}', "alice")
    wrong = rig.submit(b'{"id":"x","op":"read","conv":"bob~carol","message_id":1}', "dave")
    rig.store.gate.set()
    await settled(rig, first, look, wrong)
    assert [reply["re"] for reply in rig.replies()] == ["1", "x", "s"]
    assert len(rig.store.batches) == 1


async def test_stopping_does_not_wait_for_more(rig):
    mark = read(rig, "alice")
    async with asyncio.timeout(60):
        await rig.relay.stop()
    assert mark.settled == [True]
    assert kinds(rig.store.batches) == [[ReadCommand]]


async def test_a_server_that_was_replaced_refuses_what_gathers(rig):
    rig.store.gate.clear()
    first = rig.send(1)
    await rig.until(rig.store.entered.is_set)
    rig.store.failures.append(LeaseLost("taken", retry_after=1))
    mark = read(rig, "carol")
    rig.store.gate.set()
    await settled(rig, first, mark)
    assert {reply["error"] for reply in rig.replies()} == {"unavailable"}
    assert not rig.relay._gathering.is_on
