"""People are found by how their names begin, over MQTT, on both databases."""

import pytest
from sqlalchemy import insert, text

from bridge.store.people_queries import CALLED, NAMED
from bridge.store.tables import account, contact
from pabal.acl import RECEIVE, SEND
from pabal.privacy import folded

NAMES = {
    "anna": "Ånna", "annb": None, "an_c": "100% Anne", "zoe": "Annabel", "dave": "ANNE", "hidden": "Annette",
    "minsu": "김민수", "gone": "Anneliese",
}  # fmt: skip


@pytest.fixture
async def town(harness, engine):
    with engine.begin() as connection:
        for user, name in NAMES.items():
            connection.execute(
                insert(account).values(
                    user_id=user,
                    display_name=name,
                    found_as=None if user == "hidden" else folded(name or ""),
                    state="disabled" if user == "gone" else "active",
                    admin=False,
                    created_ts=0,
                )
            )
    return harness


async def found(harness, q: str, user: str = "alice", **more) -> list[str]:
    page = await harness.ask(user, {"op": "users", "id": "u", "q": q, **more})
    assert page["ok"] is True, page
    return [one["user"] for one in page["users"]]


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("ann", ["anna", "annb", "zoe", "dave"]),
        ("ANNE", ["dave"]),
        ("Ånn", ["anna"]),
        ("김민", ["minsu"]),
        ("an_", ["an_c"]),
        ("100%", ["an_c"]),
        ("%n", []),
        ("__", []),
        ("hid", []),
        ("gone", []),
        ("alice", []),
        ("zz", []),
    ],
)
async def test_names_are_compared_from_their_beginning_and_without_case(town, q, expected):
    assert await found(town, q) == expected


async def test_a_block_hides_each_from_the_other_and_from_nobody_else(town):
    await town.ask("alice", {"op": "block.add", "id": "b", "user": "bob"})
    assert (await found(town, "bob"), await found(town, "ali", "bob")) == ([], [])
    assert (await found(town, "bob", "carol"), await found(town, "ali", "carol")) == (["bob"], ["alice"])


async def test_more_than_asked_for_is_said(town):
    page = await town.ask("alice", {"op": "users", "id": "u", "q": "ann", "limit": 1})
    assert page == {"re": "u", "ok": True, "users": [{"user": "anna", "display_name": "Ånna"}], "more": True}


@pytest.mark.parametrize("q", ["", "a", "  a ", "a\0b", "x" * 65, 5, None])
async def test_a_search_that_cannot_be_is_refused(harness, q):
    refused = await harness.ask("alice", {"op": "users", "id": "u", "q": q})
    assert (refused["error"], refused["detail"][:3]) == ("bad_request", "q: ")


async def test_a_device_that_may_only_send_finds_nobody(harness):
    ask = {"op": "users", "id": "u", "q": "bob"}
    assert (await harness.ask("alice", ask, allow=frozenset({SEND})))["error"] == "forbidden"
    assert (await harness.ask("alice", ask, allow=frozenset({RECEIVE})))["ok"] is True


@pytest.mark.parametrize(("query", "index"), [(NAMED, "pk_account"), (CALLED, "ix_account_found_as")])
def test_a_search_goes_by_an_index_however_many_people_there_are(engine, query, index):
    with engine.begin() as connection:
        rows = [
            {
                "user_id": f"user{number}", "display_name": f"Name {number}", "found_as": f"name {number}",
                "state": "active", "admin": False, "created_ts": 0,
            }
            for number in range(5000)
        ]  # fmt: skip
        connection.execute(insert(account), rows)
        connection.execute(text("ANALYZE"))
        sqlite = engine.dialect.name == "sqlite"
        explain = text(f"EXPLAIN {'QUERY PLAN ' if sqlite else ''}{query.text}")
        asked = {"viewer": "alice", "low": "name 12", "high": "name 12\U0010ffff", "limit": 20}
        plan = " ".join(str(row) for row in connection.execute(explain, asked))
    if sqlite:
        index = {"pk_account": "PRIMARY KEY (user_id>"}.get(index, index)
    assert index in plan


@pytest.mark.parametrize("knows", [False, True])
async def test_a_person_is_looked_up_by_name_and_shown_to_those_who_know_them(town, engine, knows):
    if knows:
        with engine.begin() as connection:
            row = {"user_id": "anna", "other_id": "alice", "state": "accepted", "ts": 0}
            connection.execute(insert(contact).values(row))
    looked_up = await town.ask("alice", {"op": "user.get", "id": "p", "user": "anna"})
    shown = {"display_name": "Ånna"} if knows else {}
    assert looked_up == {"re": "p", "ok": True, "user": "anna", **shown}


@pytest.mark.parametrize(
    ("user", "error"),
    [("nobody", "not_found"), ("gone", "not_found"), ("No!", "bad_request"), (7, "bad_request")],
)
async def test_who_is_not_there_is_not_looked_up(town, user, error):
    assert (await town.ask("alice", {"op": "user.get", "id": "p", "user": user}))["error"] == error
    assert (await town.ask("alice", {"op": "user.get", "id": "q", "user": "anna"}))["ok"]
