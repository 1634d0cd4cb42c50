"""Receipts of what was delivered and read: who is told, how often, and that the last word is always said."""

from collections.abc import AsyncIterator

import msgspec
import pytest
from bridge_fakes import FakeBroker
from bridge_harness import Harness
from sqlalchemy import text

from bridge.build import Bridge
from bridge.ports import Source
from bridge.store.tables import block
from pabal.acl import EVERYTHING
from pabal.ids import DeviceId, UserId

CONV = "alice~bob"


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def chat(url) -> AsyncIterator[Harness]:
    bridge, broker = Bridge(url, receipts_every_s=0.01), FakeBroker()
    await bridge.start(broker)
    yield Harness(bridge, broker)
    await bridge.stop()


@pytest.fixture
async def stopped(url) -> AsyncIterator[tuple[Harness, Clock]]:
    """With a second between receipts, which does not pass by itself."""
    bridge, broker, clock = Bridge(url), FakeBroker(), Clock()
    bridge.live.receipts._clock = clock
    await bridge.start(broker)
    yield Harness(bridge, broker), clock
    await bridge.stop()


def heard(chat: Harness, user: str, conv: str = CONV) -> list[dict]:
    """The receipts of one conversation that came for this user, in order, without their times."""
    topic = f"pabal/v1/live/{user}"
    found = [msgspec.json.decode(raw) for name, raw, _qos in chat.broker.published if name == topic]
    assert all(qos == 0 for name, _raw, qos in chat.broker.published if name == topic)
    return [
        {key: value for key, value in one.items() if key not in {"type", "ts", "conv"}}
        for one in found
        if one["type"] == "receipt" and one["conv"] == conv
    ]


async def until_heard(chat: Harness, listener: str, of: str = CONV, **expected: object) -> None:
    """Until the newest receipt of this conversation says so."""
    await chat.broker.until(lambda: heard(chat, listener, of)[-1:] == [expected])


async def send(chat: Harness, user: str, number: int, **to: object) -> int:
    reply = await chat.ask(user, {"id": f"{user}{number}", "text": "x", **to})
    assert reply["ok"], reply
    return reply["message_id"]


async def read(chat: Harness, user: str, upto: int, conv: str = CONV, device: str = "d") -> None:
    request = {"id": f"r{conv}{upto}", "op": "read", "conv": conv, "message_id": upto}
    assert (await chat.ask(user, request, device=device))["ok"]


async def settled(chat: Harness, between: tuple[str, str] = ("carol", "bob")) -> None:
    """Whatever was to be told by now was told: two markers in a row from another conversation got through."""
    reader, writer = between
    conv = "~".join(sorted(between))
    for _ in range(2):
        number = len(chat.broker.published)
        upto = await send(chat, writer, 10_000 + number, to=reader)
        await read(chat, reader, upto, conv)
        await until_heard(chat, writer, conv, user=reader, delivered=upto, read=upto)


def set_privacy(engine, user: str, kept: str | None) -> None:
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE account SET privacy = :kept WHERE user_id = :user"), {"kept": kept, "user": user}
        )


async def test_who_reads_is_told_of_to_the_other_side_and_reading_is_delivered(chat):
    for n in range(3):
        await send(chat, "alice", n, to="bob")
    await read(chat, "bob", 2)
    await until_heard(chat, "alice", user="bob", delivered=2, read=2)
    await settled(chat)
    assert heard(chat, "bob") == []
    assert heard(chat, "carol") == []
    assert len(heard(chat, "alice")) == 1


async def test_an_ack_says_what_was_delivered(chat):
    for n in range(3):
        await send(chat, "alice", n, to="bob")
    assert (await chat.ask("bob", {"id": "a", "op": "ack", "seq": 2}))["ok"]
    await until_heard(chat, "alice", user="bob", delivered=2, read=0)
    await read(chat, "bob", 1)
    await until_heard(chat, "alice", user="bob", delivered=2, read=1)


async def test_a_plain_clients_acknowledgements_say_it_too_of_each_conversation(chat):
    await send(chat, "alice", 1, to="bob")
    await send(chat, "carol", 1, to="bob")
    await send(chat, "alice", 2, to="bob")
    chat.bridge.sessions.moved("bob:d", UserId("bob"), DeviceId("d"), 3)
    await until_heard(chat, "alice", user="bob", delivered=2, read=0)
    await until_heard(chat, "carol", "bob~carol", user="bob", delivered=1, read=0)


async def test_one_device_that_has_it_is_enough_and_a_slower_one_takes_nothing_back(chat):
    for n in range(4):
        await send(chat, "alice", n, to="bob")
    assert (await chat.ask("bob", {"id": "a", "op": "ack", "seq": 3}))["ok"]
    await until_heard(chat, "alice", user="bob", delivered=3, read=0)
    assert (await chat.ask("bob", {"id": "a", "op": "ack", "seq": 1}, device="slow"))["ok"]
    await settled(chat)
    assert heard(chat, "alice") == [{"user": "bob", "delivered": 3, "read": 0}]


async def test_reading_never_goes_back_and_says_so_only_once(chat):
    for n in range(3):
        await send(chat, "alice", n, to="bob")
    await read(chat, "bob", 3)
    await until_heard(chat, "alice", user="bob", delivered=3, read=3)
    await read(chat, "bob", 1)
    await read(chat, "bob", 3, device="other")
    await settled(chat)
    assert heard(chat, "alice") == [{"user": "bob", "delivered": 3, "read": 3}]


async def test_within_a_second_one_receipt_goes_out_and_the_newest_after_it(stopped):
    chat, clock = stopped
    for n in range(20):
        await send(chat, "alice", n, to="bob")
    await read(chat, "bob", 1)
    await until_heard(chat, "alice", user="bob", delivered=1, read=1)
    for upto in range(2, 20):
        await read(chat, "bob", upto)
    assert (await chat.ask("bob", {"id": "a", "op": "ack", "seq": 20}))["ok"]
    await send(chat, "carol", 1, to="bob")
    await read(chat, "bob", 1, "bob~carol")
    await until_heard(chat, "carol", "bob~carol", user="bob", delivered=1, read=1)
    assert len(heard(chat, "alice")) == 1
    clock.now += 1.0
    # What was acknowledged last is found by a step of its own, for which the same second may have to pass once more.
    await chat.broker.until(lambda: len(heard(chat, "alice")) == 2)
    assert heard(chat, "alice")[1]["read"] == 19
    clock.now += 1.0
    await until_heard(chat, "alice", user="bob", delivered=20, read=19)


async def test_members_of_a_small_group_hear_it_and_nobody_who_left(chat):
    members = ["bob", "carol"]
    made = await chat.ask("alice", {"id": "g", "op": "group.create", "name": "x", "members": members})
    conv = made["conv"]
    upto = await send(chat, "alice", 1, conv=conv)
    await read(chat, "bob", upto, conv)
    for user in ("alice", "carol"):
        await until_heard(chat, user, conv, user="bob", delivered=upto, read=upto)
    assert (await chat.ask("carol", {"id": "l", "op": "group.leave", "conv": conv}))["ok"]
    upto = await send(chat, "alice", 2, conv=conv)
    await read(chat, "bob", upto, conv)
    await until_heard(chat, "alice", conv, user="bob", delivered=upto, read=upto)
    assert len(heard(chat, "carol", conv)) == 1
    assert heard(chat, "bob", conv) == []


async def test_a_large_group_hears_nothing_and_history_shows_only_oneself(url):
    bridge, broker = Bridge(url, receipts_every_s=0.01, small_limit=2), FakeBroker()
    await bridge.start(broker)
    chat = Harness(bridge, broker)
    members = ["bob", "carol"]
    made = await chat.ask("alice", {"id": "g", "op": "group.create", "name": "x", "members": members})
    conv = made["conv"]
    upto = await send(chat, "alice", 1, conv=conv)
    await read(chat, "bob", upto, conv)
    assert (await chat.ask("bob", {"id": "a", "op": "ack", "seq": 1}))["ok"]
    await settled(chat)
    assert [heard(chat, user, conv) for user in ("alice", "bob", "carol")] == [[], [], []]
    page = await chat.ask("bob", {"id": "h", "op": "history", "conv": conv})
    assert page["receipts"] == [{"user": "bob", "delivered": upto, "read": upto}]
    await bridge.stop()


@pytest.mark.parametrize("silent", ["alice", "bob"])
async def test_who_keeps_reading_private_neither_shows_nor_sees_it(chat, engine, silent):
    set_privacy(engine, silent, '{"read_receipts":false}')
    for n in range(3):
        await send(chat, "alice", n, to="bob")
    await read(chat, "bob", 1)
    await until_heard(chat, "alice", user="bob", delivered=1)
    assert (await chat.ask("bob", {"id": "a", "op": "ack", "seq": 3}))["ok"]
    await until_heard(chat, "alice", user="bob", delivered=3)
    await read(chat, "bob", 2)
    await settled(chat, ("carol", "bob") if silent == "alice" else ("carol", "alice"))
    # Reading what was delivered long ago says nothing, not even that something happened.
    assert heard(chat, "alice") == [{"user": "bob", "delivered": n} for n in (1, 3)]
    shown = {}
    for user in ("alice", "bob"):
        page = await chat.ask(user, {"id": "h", "op": "history", "conv": CONV})
        shown[user] = page["receipts"]
    assert shown == {
        "alice": [{"user": "alice", "delivered": 3, "read": 3}, {"user": "bob", "delivered": 3}],
        "bob": [{"user": "alice", "delivered": 3}, {"user": "bob", "delivered": 3, "read": 2}],
    }
    set_privacy(engine, silent, None)
    await read(chat, "bob", 3)
    await until_heard(chat, "alice", user="bob", delivered=3, read=3)


@pytest.mark.parametrize("pair", [("alice", "bob"), ("bob", "alice")])
async def test_two_of_whom_one_blocked_the_other_hear_nothing_of_each_other(chat, engine, pair):
    await send(chat, "alice", 1, to="bob")
    with engine.begin() as connection:
        connection.execute(block.insert(), {"user_id": pair[0], "blocked_id": pair[1], "ts": 0})
    await read(chat, "bob", 1)
    assert (await chat.ask("bob", {"id": "a", "op": "ack", "seq": 1}))["ok"]
    await settled(chat)
    assert heard(chat, "alice") == []
    page = await chat.ask("alice", {"id": "h", "op": "history", "conv": CONV})
    assert page["receipts"] == [{"user": "alice", "delivered": 1, "read": 1}]


async def test_history_brings_the_marks_again(chat):
    for n in range(3):
        await send(chat, "alice", n, to="bob")
    assert (await chat.ask("bob", {"id": "a", "op": "ack", "seq": 3}))["ok"]
    await read(chat, "bob", 2)
    await until_heard(chat, "alice", user="bob", delivered=3, read=2)
    page = await chat.ask("alice", {"id": "h", "op": "history", "conv": CONV})
    assert page["receipts"] == [
        {"user": "alice", "delivered": 3, "read": 3},
        {"user": "bob", "delivered": 3, "read": 2},
    ]


async def test_what_was_acknowledged_just_before_the_end_is_told_after_the_next_start(url):
    bridge, broker = Bridge(url, receipts_every_s=0.01), FakeBroker()
    await bridge.start(broker)
    chat = Harness(bridge, broker)
    for n in range(3):
        await send(chat, "alice", n, to="bob")
    await bridge.live.receipts.stop()
    assert (await chat.ask("bob", {"id": "a", "op": "ack", "seq": 3}))["ok"]
    await bridge.stop()
    assert heard(chat, "alice") == []
    bridge, broker = Bridge(url, receipts_every_s=0.01), FakeBroker()
    await bridge.start(broker)
    chat = Harness(bridge, broker)
    await until_heard(chat, "alice", user="bob", delivered=3, read=0)
    await bridge.stop()


async def test_a_long_way_is_looked_through_step_by_step(chat, monkeypatch):
    monkeypatch.setattr("bridge.store.live_store.SPAN", 7)
    for n in range(40):
        await send(chat, "alice", n, to="bob")
    assert (await chat.ask("bob", {"id": "a", "op": "ack", "seq": 40}))["ok"]
    await until_heard(chat, "alice", user="bob", delivered=40, read=0)


async def test_a_database_that_does_not_answer_for_a_while_makes_receipts_late_and_loses_none(
    chat, monkeypatch, caplog
):
    from bridge import receipts  # noqa: PLC0415
    from pabal.errors import Unavailable  # noqa: PLC0415

    monkeypatch.setattr(receipts, "RETRY_S", 0.01)
    store = chat.bridge.live.receipts._store
    failed: list[str] = []

    def failing(name: str):
        def call(*_arguments: object) -> object:
            failed.append(name)
            if failed.count(name) == 2:
                monkeypatch.undo()
            raise Unavailable("gone for a moment", retry_after=1)

        return call

    for n in range(3):
        await send(chat, "alice", n, to="bob")
    for name in ("arrivals", "circle"):
        monkeypatch.setattr(store, name, failing(name))
        if name == "arrivals":
            assert (await chat.ask("bob", {"id": "a", "op": "ack", "seq": 3}))["ok"]
            await until_heard(chat, "alice", user="bob", delivered=3, read=0)
        else:
            await read(chat, "bob", 3)
            await until_heard(chat, "alice", user="bob", delivered=3, read=3)
    assert failed == ["arrivals", "arrivals", "circle", "circle"]
    assert caplog.text.count("receipts wait") == 2, "once for each time that it was away"
    assert caplog.text.count("receipts go on") >= 1


async def test_a_device_that_only_receives_reads_and_acknowledges_and_one_that_only_sends_does_not(chat):
    await send(chat, "alice", 1, to="bob")
    for op in ({"op": "read", "conv": CONV, "message_id": 1}, {"op": "ack", "seq": 1}):
        reply = await chat.ask("bob", {"id": f"s{op['op']}", **op}, allow=frozenset({"send"}))
        assert reply["error"] == "forbidden"
        reply = await chat.ask("bob", {"id": f"r{op['op']}", **op}, allow=frozenset({"receive"}))
        assert reply["ok"]
    await until_heard(chat, "alice", user="bob", delivered=1, read=1)
    assert Source(UserId("bob"), DeviceId("d")).allow == EVERYTHING


async def test_reading_where_one_is_no_member_is_refused_and_tells_nobody(chat):
    await send(chat, "alice", 1, to="bob")
    request = {"id": "r", "op": "read", "conv": CONV, "message_id": 1}
    assert (await chat.ask("carol", request))["error"] == "not_a_member"
    assert (await chat.ask("bob", {**request, "message_id": 2}))["error"] == "not_found"
    assert (await chat.ask("bob", {**request, "message_id": 0}))["error"] == "bad_request"
    await settled(chat)
    assert heard(chat, "alice") == []
