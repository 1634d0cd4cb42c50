"""Unread messages and mentions, which equal a recount at the end of every test here."""

import threading

import pytest
from bridge_fakes import FakeBroker
from bridge_harness import PEOPLE, Harness
from recount import check_counts, listed
from sqlalchemy import event, text

from bridge.build import Bridge
from bridge.store import schema


@pytest.fixture(params=["small", "large"])
def mode(request):
    return request.param


@pytest.fixture
async def chat(url, engine, mode):
    bridge, broker = Bridge(url, small_limit=100 if mode == "small" else 2), FakeBroker()
    await bridge.start(broker)
    yield Harness(bridge, broker)
    check_counts(bridge, engine, PEOPLE)
    await bridge.stop()


async def group_of_three(chat) -> str:
    made = await chat.ask(
        "alice", {"id": "g", "op": "group.create", "name": "x", "members": ["bob", "carol"]}
    )
    return made["conv"]


async def say(chat, user: str, number: int, conv: str, mentions=()) -> int:
    request = {"id": f"{user}{number}", "conv": conv, "text": "x", "mentions": list(mentions)}
    reply = await chat.ask(user, request)
    assert reply["ok"], reply
    return reply["message_id"]


def counts(chat, user: str, conv: str) -> tuple[int, int]:
    return listed(chat.bridge, user)[conv]


async def test_a_mention_counts_for_who_is_named_and_one_of_all_for_everybody(chat):
    conv = await group_of_three(chat)
    await say(chat, "alice", 1, conv)
    await say(chat, "alice", 2, conv, ["bob"])
    await say(chat, "alice", 3, conv, ["bob", "@all", "bob"])
    assert counts(chat, "bob", conv) == (3, 2)
    assert counts(chat, "carol", conv) == (3, 1)
    assert counts(chat, "alice", conv) == (0, 0)


async def test_reading_takes_mentions_with_it_as_far_as_it_goes(chat):
    conv = await group_of_three(chat)
    ids = [await say(chat, "alice", n, conv, ["bob"]) for n in range(4)]
    for upto, left in ((ids[1], 2), (ids[0], 2), (ids[3], 0)):
        reply = await chat.ask("bob", {"id": f"r{upto}", "op": "read", "conv": conv, "message_id": upto})
        assert reply["ok"]
        assert counts(chat, "bob", conv) == (left, left)


async def test_to_answer_is_to_have_read_and_nobody_mentions_oneself(chat):
    conv = await group_of_three(chat)
    await say(chat, "alice", 1, conv, ["alice", "@all"])
    await say(chat, "bob", 1, conv, ["alice", "bob", "carol"])
    assert counts(chat, "bob", conv) == (0, 0)
    assert counts(chat, "carol", conv) == (2, 2)
    assert counts(chat, "alice", conv) == (1, 1)


async def test_a_message_that_was_recalled_counts_until_it_is_read_past(chat):
    """It keeps its number, and its place in the running count."""
    conv = await group_of_three(chat)
    target = await say(chat, "alice", 1, conv, ["bob"])
    assert (await chat.ask("alice", {"id": "c", "op": "recall", "conv": conv, "target": target}))["ok"]
    assert counts(chat, "bob", conv) == (1, 1)
    assert (await chat.ask("bob", {"id": "r", "op": "read", "conv": conv, "message_id": target}))["ok"]
    assert counts(chat, "bob", conv) == (0, 0)


async def test_the_same_message_sent_twice_counts_once(chat):
    conv = await group_of_three(chat)
    first = await say(chat, "alice", 1, conv, ["bob"])
    assert await say(chat, "alice", 1, conv, ["bob"]) == first
    assert counts(chat, "bob", conv) == (1, 1)


async def test_what_was_said_before_one_came_back_counts_for_nothing(chat):
    conv = await group_of_three(chat)
    await say(chat, "alice", 1, conv, ["carol"])
    for op in ("group.remove", "group.add"):
        if op == "group.add":
            await say(chat, "alice", 2, conv, ["carol", "@all"])
        reply = await chat.ask("alice", {"id": op, "op": op, "conv": conv, "user": "carol"})
        assert reply["ok"]
    assert counts(chat, "carol", conv) == (0, 0)
    await say(chat, "bob", 3, conv, ["carol"])
    assert counts(chat, "carol", conv) == (1, 1)


async def test_who_is_named_and_no_member_is_not_counted_and_breaks_nothing(chat):
    conv = await group_of_three(chat)
    await say(chat, "alice", 1, conv, ["zoe"])
    assert counts(chat, "bob", conv) == (1, 0)


@pytest.mark.parametrize("mode", ["small"], indirect=True)
async def test_between_two_everything_unread_is_meant_for_one_and_mentions_are_not_counted(chat):
    await chat.ask("alice", {"id": "1", "to": "bob", "text": "x", "mentions": ["bob"]})
    assert counts(chat, "bob", "alice~bob") == (1, 0)
    assert counts(chat, "alice", "alice~bob") == (0, 0)


@pytest.mark.parametrize("mode", ["small"], indirect=True)
async def test_a_list_of_many_conversations_takes_as_many_statements_as_one_of_few(chat):
    conv = await group_of_three(chat)
    await say(chat, "alice", 1, conv, ["bob"])
    seen: list[str] = []

    def note(_connection, _cursor, statement, *_rest) -> None:
        # The bridge looks for changes and for what is due all the time, in threads of its own.
        if threading.current_thread() is threading.main_thread():
            seen.append(statement)

    event.listen(chat.bridge._reader, "before_cursor_execute", note)
    chat.bridge.reads.conversations("bob", None, 200)
    few = len([statement for statement in seen if not statement.startswith("BEGIN")])
    for n in range(20):
        made = await chat.ask("alice", {"id": f"g{n}", "op": "group.create", "name": "x", "members": ["bob"]})
        await say(chat, "alice", 100 + n, made["conv"], ["bob"])
    seen.clear()
    chat.bridge.reads.conversations("bob", None, 200)
    assert len([statement for statement in seen if not statement.startswith("BEGIN")]) == few
    assert len(listed(chat.bridge, "bob")) == 21


async def test_what_was_said_before_mentions_were_kept_counts_after_the_migration(url, engine):
    bridge, broker = Bridge(url), FakeBroker()
    await bridge.start(broker)
    chat = Harness(bridge, broker)
    conv = await group_of_three(chat)
    await say(chat, "alice", 1, conv, ["bob", "zoe"])
    await say(chat, "alice", 2, conv, ["@all"])
    await say(chat, "bob", 3, conv, ["alice", "bob"])
    await say(chat, "bob", 4, conv)
    await bridge.stop()
    rows = text("SELECT conv_id, user_id, message_id FROM mention ORDER BY conv_id, user_id, message_id")
    with engine.begin() as connection:
        kept = connection.execute(rows).all()
    assert len(kept) == 3
    schema.downgrade(engine, "0005")
    schema.upgrade(engine)
    with engine.begin() as connection:
        assert connection.execute(rows).all() == kept
