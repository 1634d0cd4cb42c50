"""Who may write to one, and who may add one to groups."""

import pytest
from bridge_harness import Harness
from sqlalchemy import insert, update

from bridge.store.tables import account, change_log, contact
from pabal.privacy import Privacy, dump


@pytest.fixture
def choose(engine):
    """Bob's settings, as they are kept."""

    def run(**settings) -> None:
        with engine.begin() as connection:
            kept = dump(Privacy(**settings))
            connection.execute(update(account).where(account.c.user_id == "bob").values(privacy=kept))

    return run


@pytest.fixture
def accepts(engine):
    def run(user: str, other: str, state: str = "accepted") -> None:
        with engine.begin() as connection:
            connection.execute(insert(contact).values(user_id=user, other_id=other, state=state, ts=1))

    return run


async def send(harness: Harness, user: str, to: str, id_: str = "m") -> dict:
    return await harness.ask(user, {"id": id_, "to": to, "text": "hi"})


async def test_whoever_writes_to_somebody_who_takes_messages_from_contacts_is_one(harness, choose, accepts):
    choose(write="contacts")
    refused = await send(harness, "alice", "bob")
    assert (refused["error"], refused["detail"]) == (
        "forbidden",
        "to: 'bob' takes messages from contacts only; ask to be one",
    )
    assert "bob" not in harness.broker.inboxes
    accepts("bob", "alice")
    assert (await send(harness, "alice", "bob", "m2"))["ok"] is True


@pytest.mark.parametrize("state", ["requested", "received"])
async def test_an_open_request_lets_nobody_write(harness, choose, accepts, state):
    choose(write="contacts")
    accepts("bob", "alice", state)
    accepts("alice", "bob")
    assert (await send(harness, "alice", "bob"))["error"] == "forbidden"


async def test_a_conversation_that_there_is_changes_nothing(harness, choose):
    assert (await send(harness, "alice", "bob"))["ok"] is True
    choose(write="contacts")
    assert (await send(harness, "alice", "bob", "m2"))["error"] == "forbidden"
    about = {"conv": "alice~bob", "target": 1}
    for request in ({"op": "edit", "text": "x"}, {"op": "react", "emoji": "+"}):
        refused = await harness.ask("alice", {"id": request["op"], **about, **request})
        assert refused["error"] == "forbidden"
    assert (await harness.ask("alice", {"op": "recall", "id": "r", **about}))["ok"] is True
    # What was committed before is known by its id all the same.
    assert (await send(harness, "alice", "bob"))["dup"] is True


async def test_the_one_who_chose_so_writes_to_whom_one_likes(harness, choose):
    choose(write="contacts")
    assert (await send(harness, "bob", "alice"))["ok"] is True
    assert (await send(harness, "bob", "bob", "note"))["ok"] is True


async def test_a_request_to_be_a_contact_passes_all_the_same(harness, choose):
    choose(write="contacts", groups="contacts")
    assert (await harness.ask("alice", {"op": "contact.request", "id": "q", "user": "bob"}))["ok"] is True


async def test_groups_with_both_in_them_are_not_meant(harness, choose):
    made = await harness.ask("alice", {"op": "group.create", "id": "g", "name": "g", "members": ["bob"]})
    choose(write="contacts", groups="contacts")
    sent = await harness.ask("alice", {"id": "m", "conv": made["conv"], "text": "hi"})
    assert sent["ok"] is True


async def test_whoever_is_added_to_groups_by_contacts_only_is_not_added_by_others(harness, choose, accepts):
    choose(groups="contacts")
    create = {"op": "group.create", "id": "g1", "name": "g", "members": ["carol", "bob"]}
    refused = await harness.ask("alice", create)
    assert (refused["error"], refused["detail"]) == (
        "forbidden",
        "members: 'bob' is added to groups by contacts only",
    )
    assert "carol" not in harness.broker.inboxes
    made = await harness.ask("alice", {**create, "id": "g2", "members": ["carol"]})
    add = {"op": "group.add", "conv": made["conv"], "user": "bob"}
    assert (await harness.ask("alice", {**add, "id": "a1"}))["error"] == "forbidden"
    accepts("bob", "alice")
    assert (await harness.ask("alice", {**add, "id": "a2"}))["ok"] is True
    assert (await harness.ask("alice", {**create, "id": "g3"}))["ok"] is True


async def test_who_was_removed_is_not_added_again_without_being_a_contact(harness, choose):
    made = await harness.ask("alice", {"op": "group.create", "id": "g", "name": "g", "members": ["bob"]})
    await harness.ask("bob", {"op": "group.leave", "id": "l", "conv": made["conv"]})
    choose(groups="contacts")
    add = {"op": "group.add", "id": "a", "conv": made["conv"], "user": "bob"}
    assert (await harness.ask("alice", add))["error"] == "forbidden"


async def test_a_new_choice_has_those_looked_at_again_who_follow(harness, engine):
    with engine.begin() as connection:
        connection.execute(insert(change_log).values(kind="related", user_id="bob", ts=1))
    await harness.broker.until(lambda: bool(harness.broker.reviewed))
    assert harness.broker.reviewed == ["bob"]
    assert harness.broker.kicked == []
