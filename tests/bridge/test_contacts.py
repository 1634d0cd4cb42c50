"""Contacts: asked for, accepted, refused and ended, and told to all devices of both."""

import pytest
from bridge_harness import Harness
from sqlalchemy import insert, select, update

from bridge import people_rules
from bridge.store.tables import account, contact
from pabal.acl import RECEIVE, SEND


def told(harness: Harness, user: str) -> list[tuple[str, str]]:
    """`(action, about whom)` of each update about contacts."""
    return [
        (update["action"], update["user"])
        for _seq, update in harness.broker.inboxes.get(user, [])
        if update["type"] == "contact"
    ]


async def ask(harness: Harness, user: str, act: str, other: str, id_: str = "q", **more) -> dict:
    return await harness.ask(user, {"op": f"contact.{act}", "id": id_, "user": other, **more})


async def listed(harness: Harness, user: str, **more) -> list[tuple[str, str]]:
    page = await harness.ask(user, {"op": "contacts", "id": "l", **more})
    assert page["ok"] is True, page
    return [(one["user"], one["state"]) for one in page["contacts"]]


async def befriend(harness: Harness, one: str, other: str) -> None:
    assert (await ask(harness, one, "request", other))["ok"] is True
    assert (await ask(harness, other, "accept", one))["ok"] is True


async def test_a_request_is_told_to_both_with_its_words(harness):
    reply = await ask(harness, "alice", "request", "bob", text="from the market")
    assert reply == {"re": "q", "ok": True, "user": "bob", "state": "requested"}
    [(seq, got)] = harness.broker.inboxes["bob"]
    assert (seq, got["type"], got["action"], got["user"], got["text"]) == (
        1, "contact", "received", "alice", "from the market",
    )  # fmt: skip
    assert told(harness, "alice") == [("requested", "bob")]
    page = await harness.ask("bob", {"op": "contacts", "id": "l"})
    assert page["contacts"] == [
        {"user": "alice", "state": "received", "since": got["ts"], "text": "from the market"}
    ]
    assert await listed(harness, "alice") == [("bob", "requested")]
    # Whoever comes later catches up on it like on anything else.
    synced = await harness.ask("bob", {"op": "sync", "id": "s", "after": 0})
    assert synced["items"] == [got | {"seq": 1}]


async def test_an_accepted_request_makes_both_contacts(harness):
    await ask(harness, "alice", "request", "bob")
    reply = await ask(harness, "bob", "accept", "alice")
    assert (reply["ok"], reply["state"]) == (True, "accepted")
    assert told(harness, "alice") == [("requested", "bob"), ("accepted", "bob")]
    assert told(harness, "bob") == [("received", "alice"), ("accepted", "alice")]
    assert (await listed(harness, "alice"), await listed(harness, "bob")) == (
        [("bob", "accepted")],
        [("alice", "accepted")],
    )
    assert sorted(harness.broker.reviewed) == ["alice", "bob"]


async def test_two_requests_that_cross_make_contacts(harness):
    await ask(harness, "alice", "request", "bob")
    reply = await ask(harness, "bob", "request", "alice", text="me too")
    assert reply["state"] == "accepted"
    assert await listed(harness, "alice") == [("bob", "accepted")]
    assert told(harness, "alice")[-1] == ("accepted", "bob")


async def test_two_requests_that_cross_in_one_batch_make_contacts_too(harness):
    tickets = [
        harness.submit("alice", {"op": "contact.request", "id": "1", "user": "bob"}),
        harness.submit("bob", {"op": "contact.request", "id": "2", "user": "alice"}),
    ]
    for ticket in tickets:
        await harness.settled(ticket)
    assert await listed(harness, "alice") == [("bob", "accepted")]
    assert await listed(harness, "bob") == [("alice", "accepted")]


async def test_asking_and_accepting_again_changes_and_tells_nothing(harness):
    await ask(harness, "alice", "request", "bob", text="first")
    assert (await ask(harness, "alice", "request", "bob", "q2", text="second"))["state"] == "requested"
    assert len(told(harness, "bob")) == 1
    await ask(harness, "bob", "accept", "alice")
    assert (await ask(harness, "bob", "accept", "alice", "a2"))["state"] == "accepted"
    assert (await ask(harness, "alice", "request", "bob", "q3"))["state"] == "accepted"
    assert len(told(harness, "bob")) == 2


@pytest.mark.parametrize("who", ["alice", "bob"], ids=["taken back", "refused"])
async def test_a_request_is_taken_back_or_refused_by_removing(harness, who):
    await ask(harness, "alice", "request", "bob")
    other = "bob" if who == "alice" else "alice"
    assert await ask(harness, who, "remove", other) == {"re": "q", "ok": True}
    assert told(harness, "alice")[-1] == ("removed", "bob")
    assert told(harness, "bob")[-1] == ("removed", "alice")
    assert (await listed(harness, "alice"), await listed(harness, "bob")) == ([], [])
    refused = await ask(harness, "bob", "accept", "alice")
    assert (refused["error"], refused["detail"][:6]) == ("not_found", "user: ")
    # It may be asked again.
    assert (await ask(harness, "alice", "request", "bob", "again"))["state"] == "requested"


async def test_a_request_from_before_a_block_that_has_ended_is_made_again_by_asking_again(
    harness, monkeypatch
):
    monkeypatch.setattr(people_rules, "MAX_REQUESTED", 1)
    await ask(harness, "alice", "request", "bob", text="first")
    for op in ("block.add", "block.remove"):
        assert (await harness.ask("bob", {"op": op, "id": op, "user": "alice"}))["ok"] is True
    assert (await listed(harness, "alice"), await listed(harness, "bob")) == ([("bob", "requested")], [])
    assert (await ask(harness, "alice", "request", "bob", "q2", text="second"))["state"] == "requested"
    assert await listed(harness, "bob") == [("alice", "received")]
    assert told(harness, "bob")[-1] == ("received", "alice")
    assert (await ask(harness, "bob", "accept", "alice"))["state"] == "accepted"


async def test_a_contact_ends_for_both(harness):
    await befriend(harness, "alice", "bob")
    harness.broker.reviewed.clear()
    assert (await ask(harness, "bob", "remove", "alice"))["ok"] is True
    assert (await listed(harness, "alice"), await listed(harness, "bob")) == ([], [])
    assert told(harness, "alice")[-1] == ("removed", "bob")
    assert sorted(harness.broker.reviewed) == ["alice", "bob"]


async def test_removing_what_is_not_there_is_done_and_told_to_nobody(harness):
    assert (await ask(harness, "alice", "remove", "bob"))["ok"] is True
    assert "alice" not in harness.broker.inboxes
    assert "bob" not in harness.broker.inboxes


async def test_a_request_of_ones_own_cannot_be_accepted_by_oneself(harness):
    await ask(harness, "alice", "request", "bob")
    assert (await ask(harness, "alice", "accept", "bob"))["error"] == "not_found"
    assert await listed(harness, "bob") == [("alice", "received")]


@pytest.mark.parametrize(
    ("fields", "error", "detail"),
    [
        ({"user": "nobody"}, "not_found", "user: "),
        ({"user": "alice"}, "bad_request", "user: "),
        ({"user": "Not A Name"}, "bad_request", "user: "),
        ({"user": 5}, "bad_request", "user: "),
        ({}, "bad_request", "user: "),
        ({"user": "bob", "text": "a\0b"}, "bad_request", "text: "),
        ({"user": "bob", "text": "x" * 501}, "bad_request", "text: "),
    ],
)
async def test_a_request_that_cannot_be_is_refused_and_says_why(harness, fields, error, detail):
    refused = await harness.ask("alice", {"op": "contact.request", "id": "q", **fields})
    assert (refused["error"], refused["detail"][: len(detail)]) == (error, detail)
    assert "bob" not in harness.broker.inboxes


@pytest.mark.parametrize("state", ["disabled", "deleted"])
async def test_whoever_is_gone_is_nobodys_contact(harness, engine, state):
    await befriend(harness, "alice", "bob")
    with engine.begin() as connection:
        connection.execute(update(account).where(account.c.user_id == "bob").values(state=state))
    assert await listed(harness, "alice") == []
    assert (await ask(harness, "alice", "request", "bob"))["error"] == "not_found"
    assert (await ask(harness, "bob", "request", "carol"))["error"] == "unauthorized"


async def test_there_is_a_bound_on_open_requests(harness, monkeypatch):
    monkeypatch.setattr(people_rules, "MAX_REQUESTED", 1)
    await ask(harness, "alice", "request", "bob")
    refused = await ask(harness, "alice", "request", "carol")
    assert refused["error"] == "too_large"
    assert "carol" not in harness.broker.inboxes
    await ask(harness, "alice", "remove", "bob")
    assert (await ask(harness, "alice", "request", "carol", "q2"))["state"] == "requested"


async def test_the_bound_holds_within_a_batch_too(harness, monkeypatch):
    monkeypatch.setattr(people_rules, "MAX_REQUESTED", 1)
    tickets = [
        harness.submit("alice", {"op": "contact.request", "id": other, "user": other})
        for other in ("bob", "carol")
    ]
    for ticket in tickets:
        await harness.settled(ticket)
    assert [reply.get("error") for reply in harness.replies("alice")] == [None, "too_large"]


async def test_there_is_a_bound_on_requests_that_wait_for_one(harness, monkeypatch):
    monkeypatch.setattr(people_rules, "MAX_RECEIVED", 1)
    await ask(harness, "alice", "request", "bob")
    assert (await ask(harness, "carol", "request", "bob"))["error"] == "too_large"


@pytest.mark.parametrize("crossing", [False, True])
async def test_there_is_a_bound_on_contacts(harness, engine, monkeypatch, crossing):
    monkeypatch.setattr(people_rules, "MAX_CONTACTS", 1)
    await befriend(harness, "alice", "carol")
    await ask(harness, "bob", "request", "alice")
    act = "request" if crossing else "accept"
    assert (await ask(harness, "alice", act, "bob", "a2"))["error"] == "too_large"
    with engine.connect() as connection:
        states = connection.execute(select(contact.c.state).where(contact.c.other_id == "bob")).scalars()
        assert list(states) == ["received"]


async def test_contacts_come_in_pages_with_the_names_of_who_is_known(harness, engine):
    with engine.begin() as connection:
        connection.execute(update(account).values(display_name="Somebody"))
        connection.execute(
            insert(contact),
            [
                {"user_id": "alice", "other_id": "bob", "state": "accepted", "ts": 5},
                {"user_id": "alice", "other_id": "carol", "state": "requested", "ts": 6},
            ],
        )
    first = await harness.ask("alice", {"op": "contacts", "id": "1", "limit": 1})
    assert first["contacts"] == [{"user": "bob", "state": "accepted", "since": 5, "display_name": "Somebody"}]
    assert first["more"] is True
    rest = await harness.ask("alice", {"op": "contacts", "id": "2", "after": "bob"})
    # Whoever has not answered yet has not shown a name either.
    assert rest["contacts"] == [{"user": "carol", "state": "requested", "since": 6}]
    assert rest["more"] is False
    refused = await harness.ask("alice", {"op": "contacts", "id": "3", "after": "Not A Name"})
    assert (refused["error"], refused["detail"][:7]) == ("bad_request", "after: ")


@pytest.mark.parametrize("right", [SEND, RECEIVE])
async def test_a_narrow_device_changes_nothing_between_people(harness, right):
    """It was made to send, or to show; neither is for deciding who reaches its owner."""
    for request in (
        {"op": "contact.request", "user": "bob"},
        {"op": "contact.accept", "user": "bob"},
        {"op": "contact.remove", "user": "bob"},
        {"op": "block.add", "user": "bob"},
        {"op": "block.remove", "user": "bob"},
    ):
        refused = await harness.ask("alice", {"id": "q", **request}, allow=frozenset({right}))
        assert refused["error"] == "forbidden", request


async def test_a_device_that_may_only_receive_sees_who_its_owner_knows(harness):
    await befriend(harness, "alice", "bob")
    for op in ("contacts", "blocks"):
        seen = await harness.ask("alice", {"op": op, "id": "r"}, allow=frozenset({RECEIVE}))
        assert seen["ok"] is True
        refused = await harness.ask("alice", {"op": op, "id": "s"}, allow=frozenset({SEND}))
        assert refused["error"] == "forbidden"


async def test_without_an_id_it_is_done_in_silence(harness):
    for act in ("request", "remove"):
        await harness.settled(harness.submit("alice", {"op": f"contact.{act}", "user": "bob"}))
    assert harness.replies("alice") == []
    assert told(harness, "bob") == [("received", "alice"), ("removed", "alice")]
