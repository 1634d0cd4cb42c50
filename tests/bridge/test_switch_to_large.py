"""The one-way switch of a group to large, and departures from it, while everybody sends: each member is told each
entry of its time exactly once, by its inbox up to the switch and by the room from there on.
"""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from bridge_fakes import FakeBroker
from bridge_harness import Harness
from sqlalchemy import text

from bridge.build import Bridge
from bridge.store.engine import open_engine

SENDERS = ("alice", "bob", "carol", "dave")
LIMIT = 4
EACH = 12


@pytest.fixture
async def harness(url) -> AsyncIterator[Harness]:
    engine = open_engine(url)
    with engine.begin() as connection:
        for user in ("dave", "erin", "frank"):
            connection.execute(
                text(
                    "INSERT INTO account (user_id, state, admin, created_ts) VALUES (:u, 'active', false, 0)"
                ),
                {"u": user},
            )
    engine.dispose()
    bridge, broker = Bridge(url, small_limit=LIMIT), FakeBroker()
    await bridge.start(broker)
    yield Harness(bridge, broker)
    await bridge.stop()


def in_inbox(harness: Harness, user: str, conv: str) -> list[int]:
    updates = harness.broker.inboxes.get(user, [])
    assert [seq for seq, _update in updates] == list(range(1, len(updates) + 1))
    return [update["message_id"] for _seq, update in updates if update["conv"] == conv]


def in_room(harness: Harness, conv: str) -> list[dict]:
    topic = f"pabal/v1/room/{conv}"
    return [msgspec.json.decode(raw) for name, raw, _qos in harness.broker.published if name == topic]


async def send_all(harness: Harness, user: str, device: str, conv: str) -> list[int]:
    """One after the other, as a device does that keeps its order. Returns the message_ids."""
    sent = []
    for number in range(EACH):
        request = {"id": f"{number}", "conv": conv, "text": f"{user} {device} {number}"}
        reply = await harness.ask(user, request, device=device)
        assert (reply["ok"], reply["dup"]) == (True, False)
        sent.append(reply["message_id"])
    assert sent == sorted(sent)
    return sent


async def until_head(harness: Harness, head: int) -> None:
    """Many have written so far, and many are still writing."""
    while max((update["message_id"] for _s, update in harness.broker.inboxes["alice"]), default=0) < head:
        await asyncio.sleep(0.001)


def everything(*parts: list[int]) -> list[int]:
    return sorted(number for part in parts for number in part)


async def test_while_everybody_sends_nobody_misses_or_doubles_anything(harness):
    made = await harness.ask(
        "alice", {"op": "group.create", "id": "g", "name": "Riders", "members": ["bob", "carol", "dave"]}
    )
    conv = made["conv"]
    async with asyncio.timeout(240):
        async with asyncio.TaskGroup() as group:
            sending = [
                group.create_task(send_all(harness, user, device, conv))
                for user in SENDERS
                for device in ("one", "two")
            ]
            await until_head(harness, len(SENDERS) * 2 * 3)
            change = {"conv": conv, "user": "erin"}
            joined = await harness.ask("alice", {"op": "group.add", "id": "add", **change}, device="admin")
            late = await harness.ask(
                "alice", {"op": "group.add", "id": "late", "conv": conv, "user": "frank"}, device="admin"
            )
            gone = await harness.ask("alice", {"op": "group.remove", "id": "r", **change}, device="admin")
    sent = everything(*(task.result() for task in sending))
    switch = joined["message_id"] + 1
    assert switch < late["message_id"] < gone["message_id"]
    head = len(sent) + 5
    assert sent == [
        number
        for number in range(1, head + 1)
        if number not in {1, joined["message_id"], switch, late["message_id"], gone["message_id"]}
    ], "dense, and given once"
    assert sent[0] < switch < sent[-1], "the switch came while they were sending"

    room = in_room(harness, conv)
    assert [entry["message_id"] for entry in room] == list(range(switch, head + 1))
    assert (room[0]["type"], room[0]["action"], room[0]["mode"]) == ("conversation", "mode", "large")
    for user in SENDERS:
        assert in_inbox(harness, user, conv) == list(range(1, switch + 1))
        _seq, last = harness.broker.inboxes[user][-1]
        assert (last["message_id"], last["mode"]) == (switch, "large"), "it names the first of the new way"
    # Who came and went by the room is told of it besides.
    assert in_inbox(harness, "erin", conv) == [switch - 1, switch, gone["message_id"]]
    assert in_inbox(harness, "frank", conv) == [late["message_id"]]
    assert harness.broker.revoked == [("erin", f"pabal/v1/room/{conv}")]
    page = await harness.ask(
        "frank", {"op": "history", "id": "h", "conv": conv, "after": late["message_id"] - 1, "limit": 200}
    )
    assert [item["message_id"] for item in page["items"]] == list(range(late["message_id"], head + 1))


async def test_who_is_removed_while_everybody_sends_gets_nothing_later(harness):
    made = await harness.ask(
        "alice", {"op": "group.create", "id": "g", "name": "Riders", "members": ["bob", "carol"]}
    )
    conv = made["conv"]
    async with asyncio.timeout(240):
        async with asyncio.TaskGroup() as group:
            for user in ("alice", "bob"):
                group.create_task(send_all(harness, user, "one", conv))
            await until_head(harness, 6)
            removal = {"op": "group.remove", "id": "r", "conv": conv, "user": "carol"}
            gone = await harness.ask("alice", removal, device="admin")
    assert in_inbox(harness, "carol", conv) == list(range(1, gone["message_id"] + 1))
    assert in_inbox(harness, "bob", conv) == list(range(1, 2 * EACH + 3))
    refused = await harness.ask("carol", {"id": "late", "conv": conv, "text": "let me in"})
    assert refused["error"] == "not_a_member"
    page = await harness.ask("carol", {"op": "sync", "id": "s", "after": 0})
    assert [item["message_id"] for item in page["items"]] == list(range(1, gone["message_id"] + 1))


async def test_whoever_joins_by_a_link_switches_it_too_and_an_edit_behind_it_shows_nobody_too_much(harness):
    made = await harness.ask(
        "alice", {"op": "group.create", "id": "g", "name": "Riders", "members": ["bob", "carol"]}
    )
    conv = made["conv"]
    said = await harness.ask("bob", {"id": "1", "conv": conv, "text": "secret"})
    await harness.ask("alice", {"op": "group.add", "id": "2", "conv": conv, "user": "dave"})
    await harness.ask("alice", {"op": "group.update", "id": "3", "conv": conv, "history": "all"})
    code = (await harness.ask("alice", {"op": "group.invite", "id": "4", "conv": conv}))["code"]
    tickets = [
        harness.submit("erin", {"op": "group.join", "id": "5", "code": code}),
        harness.submit(
            "bob", {"op": "edit", "id": "6", "conv": conv, "target": said["message_id"], "text": "hidden"}
        ),
    ]
    for ticket in tickets:
        assert await harness.settled(ticket) is True
    assert [update.get("mode") for _seq, update in harness.broker.inboxes["erin"]] == ["small", "large"]
    switch, edit = in_room(harness, conv)
    assert (switch["action"], edit["type"], edit.get("text")) == ("mode", "edited", None), (
        "dave may not read it"
    )
    page = await harness.ask("erin", {"op": "history", "id": "h", "conv": conv, "after": 0})
    assert [item.get("text") for item in page["items"] if item.get("type", "message") == "message"] == [
        "hidden"
    ]
