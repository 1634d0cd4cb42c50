"""Blocks: neither hears or sees the other, and nothing tells the one who is blocked."""

import pytest
from bridge_harness import Harness
from sqlalchemy import insert, select, update

from bridge import people_rules
from bridge.store.tables import account, block, contact


async def done(harness: Harness, who: str, op: str, /, **fields) -> dict:
    reply = await harness.ask(who, {"op": op, "id": f"{op}-{len(harness.replies(who))}", **fields})
    assert reply["ok"] is True, reply
    return reply


async def refusal(harness: Harness, who: str, op: str, /, **fields) -> str:
    reply = await harness.ask(who, {"op": op, "id": f"{op}-{len(harness.replies(who))}", **fields})
    assert reply["ok"] is False, reply
    return reply["error"]


@pytest.fixture
async def blocked(harness) -> Harness:
    """Alice has blocked Bob."""
    await done(harness, "alice", "block.add", user="bob")
    return harness


async def test_a_block_is_told_to_ones_own_devices_and_to_nobody_else(harness):
    await done(harness, "alice", "block.add", user="bob")
    [(seq, update_)] = harness.broker.inboxes["alice"]
    assert (seq, update_["type"], update_["action"], update_["user"]) == (1, "contact", "blocked", "bob")
    assert "bob" not in harness.broker.inboxes
    page = await done(harness, "alice", "blocks")
    assert (page["blocks"], page["more"]) == ([{"user": "bob", "since": update_["ts"]}], False)
    assert (await done(harness, "bob", "blocks"))["blocks"] == []
    await done(harness, "alice", "block.remove", user="bob")
    assert harness.broker.inboxes["alice"][-1][1]["action"] == "unblocked"
    assert "bob" not in harness.broker.inboxes
    assert (await done(harness, "alice", "blocks"))["blocks"] == []


async def test_whoever_follows_either_of_them_is_looked_at_again(harness):
    await done(harness, "alice", "block.add", user="bob")
    assert sorted(harness.broker.reviewed) == ["alice", "bob"]


async def test_blocking_again_and_unblocking_again_is_done_and_tells_nothing(blocked):
    await done(blocked, "alice", "block.add", user="bob")
    assert len(blocked.broker.inboxes["alice"]) == 1
    for _ in range(2):
        await done(blocked, "alice", "block.remove", user="bob")
    assert len(blocked.broker.inboxes["alice"]) == 2


@pytest.mark.parametrize(("one", "other"), [("alice", "bob"), ("bob", "alice")])
async def test_no_message_passes_between_them_either_way(blocked, one, other):
    assert await refusal(blocked, one, "send", to=other, text="hi") == "blocked"
    assert await refusal(blocked, one, "send", conv="alice~bob", text="hi") == "blocked"
    assert "bob" not in blocked.broker.inboxes
    # Everybody else is reached as before, and so are both of them by others.
    await done(blocked, one, "send", to="carol", text="hi")
    await done(blocked, "carol", "send", to=one, text="hi")


async def test_the_two_are_told_apart_by_the_sentence(blocked):
    mine = await blocked.ask("alice", {"id": "1", "to": "bob", "text": "hi"})
    theirs = await blocked.ask("bob", {"id": "1", "to": "alice", "text": "hi"})
    assert mine["detail"] == "to: you have blocked 'bob'"
    assert theirs["detail"] == "to: 'alice' does not want to hear from you"


async def test_a_block_holds_from_the_next_request_of_its_batch_on(harness):
    tickets = [
        harness.submit("bob", {"id": "1", "to": "alice", "text": "before"}),
        harness.submit("alice", {"op": "block.add", "id": "2", "user": "bob"}),
        harness.submit("bob", {"id": "3", "to": "alice", "text": "after"}),
    ]
    for ticket in tickets:
        await harness.settled(ticket)
    assert [reply.get("error") for reply in harness.replies("bob")] == [None, "blocked"]


async def test_a_message_that_was_committed_before_is_still_known_by_its_id(harness):
    first = await harness.ask("bob", {"id": "m", "to": "alice", "text": "hi"})
    await done(harness, "alice", "block.add", user="bob")
    assert await harness.ask("bob", {"id": "m", "to": "alice", "text": "hi"}) == {**first, "dup": True}


@pytest.mark.parametrize("user", ["alice", "bob"])
async def test_older_messages_are_neither_edited_nor_reacted_to_but_may_be_taken_back(harness, user):
    other = "bob" if user == "alice" else "alice"
    sent = await done(harness, user, "send", to=other, text="hi")
    await done(harness, "alice", "block.add", user="bob")
    about = {"conv": "alice~bob", "target": sent["message_id"]}
    assert await refusal(harness, user, "edit", **about, text="worse") == "blocked"
    assert await refusal(harness, user, "react", **about, emoji="+") == "blocked"
    await done(harness, user, "recall", **about)


async def test_what_was_said_before_stays_to_be_read(harness):
    await done(harness, "bob", "send", to="alice", text="hi")
    await done(harness, "alice", "block.add", user="bob")
    for user in ("alice", "bob"):
        page = await done(harness, user, "history", conv="alice~bob")
        assert [item["text"] for item in page["items"]] == ["hi"]


@pytest.mark.parametrize(("one", "other"), [("alice", "bob"), ("bob", "alice")])
async def test_neither_becomes_the_others_contact(blocked, one, other):
    assert await refusal(blocked, one, "contact.request", user=other) == "blocked"
    assert await refusal(blocked, one, "contact.accept", user=other) == "blocked"


@pytest.mark.parametrize(("one", "other"), [("alice", "bob"), ("bob", "alice")])
async def test_neither_puts_the_other_into_a_group(blocked, one, other):
    assert await refusal(blocked, one, "group.create", name="g", members=["carol", other]) == "blocked"
    made = await done(blocked, one, "group.create", name="g", members=["carol"])
    assert await refusal(blocked, one, "group.add", conv=made["conv"], user=other) == "blocked"


@pytest.mark.parametrize(("one", "other"), [("alice", "bob"), ("bob", "alice")])
async def test_a_link_lets_nobody_in_whom_its_maker_does_not_hear(harness, one, other):
    made = await done(harness, one, "group.create", name="g", members=[])
    link = await done(harness, one, "group.invite", conv=made["conv"])
    await done(harness, "alice", "block.add", user="bob")
    assert await refusal(harness, other, "group.join", code=link["code"]) == "blocked"
    await done(harness, "carol", "group.join", code=link["code"])
    await done(harness, "alice", "block.remove", user="bob")
    await done(harness, other, "group.join", code=link["code"])


async def test_in_a_group_that_both_are_in_everybody_hears_everybody(blocked):
    made = await done(blocked, "carol", "group.create", name="g", members=["alice", "bob"])
    await done(blocked, "bob", "send", conv=made["conv"], text="to all")
    assert [u.get("text") for _s, u in blocked.broker.inboxes["alice"]][-1] == "to all"


async def test_the_blocked_one_goes_from_ones_contacts_and_notices_nothing(harness):
    await done(harness, "bob", "contact.request", user="alice")
    await done(harness, "alice", "contact.accept", user="bob")
    heard = len(harness.broker.inboxes["bob"])
    await done(harness, "alice", "block.add", user="bob")
    assert (await done(harness, "alice", "contacts"))["contacts"] == []
    assert [one["user"] for one in (await done(harness, "bob", "contacts"))["contacts"]] == ["alice"]
    assert len(harness.broker.inboxes["bob"]) == heard


async def test_a_request_of_ones_own_goes_with_the_block(harness, engine):
    await done(harness, "alice", "contact.request", user="bob")
    await done(harness, "alice", "block.add", user="bob")
    await done(harness, "alice", "block.remove", user="bob")
    assert await refusal(harness, "bob", "contact.accept", user="alice") == "not_found"
    with engine.connect() as connection:
        assert connection.execute(select(contact)).all() == []


async def test_a_contact_comes_back_by_asking_after_the_block(harness):
    await done(harness, "bob", "contact.request", user="alice")
    await done(harness, "alice", "contact.accept", user="bob")
    await done(harness, "alice", "block.add", user="bob")
    await done(harness, "alice", "block.remove", user="bob")
    # Bob, who still has her, asks; she is asked.
    assert (await done(harness, "bob", "contact.request", user="alice"))["state"] == "requested"
    assert (await done(harness, "alice", "contact.request", user="bob"))["state"] == "accepted"


async def test_whoever_asks_somebody_who_still_has_one_is_a_contact_at_once(harness):
    await done(harness, "bob", "contact.request", user="alice")
    await done(harness, "alice", "contact.accept", user="bob")
    await done(harness, "alice", "block.add", user="bob")
    await done(harness, "alice", "block.remove", user="bob")
    assert (await done(harness, "alice", "contact.request", user="bob"))["state"] == "accepted"


async def test_one_may_take_ones_own_contact_away_while_blocked(harness):
    await done(harness, "bob", "contact.request", user="alice")
    await done(harness, "alice", "contact.accept", user="bob")
    await done(harness, "alice", "block.add", user="bob")
    heard = len(harness.broker.inboxes["alice"])
    await done(harness, "bob", "contact.remove", user="alice")
    assert (await done(harness, "bob", "contacts"))["contacts"] == []
    assert len(harness.broker.inboxes["alice"]) == heard


async def test_who_is_blocked_may_block_too_and_one_unblocking_is_not_enough(blocked):
    await done(blocked, "bob", "block.add", user="alice")
    await done(blocked, "alice", "block.remove", user="bob")
    assert await refusal(blocked, "alice", "send", to="bob", text="hi") == "blocked"
    await done(blocked, "bob", "block.remove", user="alice")
    await done(blocked, "alice", "send", to="bob", text="hi")


async def test_messages_to_oneself_always_pass(blocked):
    await done(blocked, "alice", "send", to="alice", text="a note")


@pytest.mark.parametrize(
    ("op", "user", "error"),
    [
        ("block.add", "nobody", "not_found"),
        ("block.add", "alice", "bad_request"),
        ("block.remove", "alice", "bad_request"),
        ("block.add", "Not A Name", "bad_request"),
    ],
)
async def test_a_block_that_cannot_be_is_refused(harness, op, user, error):
    assert await refusal(harness, "alice", op, user=user) == error


async def test_there_is_a_bound_on_blocks(blocked, monkeypatch):
    monkeypatch.setattr(people_rules, "MAX_BLOCKED", 1)
    assert await refusal(blocked, "alice", "block.add", user="carol") == "too_large"
    await done(blocked, "alice", "block.remove", user="bob")
    await done(blocked, "alice", "block.add", user="carol")


@pytest.mark.parametrize("state", ["deleting", "deleted"])
async def test_blocks_come_in_pages_without_deleted_accounts(harness, engine, state):
    with engine.begin() as connection:
        for other in ("bob", "carol"):
            connection.execute(insert(block).values(user_id="alice", blocked_id=other, ts=7))
    first = await done(harness, "alice", "blocks", limit=1)
    assert (first["blocks"], first["more"]) == ([{"user": "bob", "since": 7}], True)
    rest = await done(harness, "alice", "blocks", after="bob")
    assert (rest["blocks"], rest["more"]) == ([{"user": "carol", "since": 7}], False)
    with engine.begin() as connection:
        connection.execute(update(account).where(account.c.user_id == "bob").values(state=state))
    assert [one["user"] for one in (await done(harness, "alice", "blocks"))["blocks"]] == ["carol"]
