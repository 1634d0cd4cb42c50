"""Contacts, blocks, profiles, search, privacy and reports over HTTP."""

import pytest
from account_fakes import PASSWORD
from sqlalchemy import insert, update

from bridge.store.tables import account, block, change_log, contact, conversation, member, report
from pabal.errors import Blocked, NotFound


def assert_problem(answer, status, code, says=""):
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/problem+json"
    assert (answer.json["status"], answer.json["code"]) == (status, code)
    assert says in answer.json["detail"]


@pytest.fixture
def write(web):
    def run(*statements):
        with web.world.store.writing() as tx:
            for statement in statements:
                tx._connection.execute(statement)

    return run


def accepts(user, other, state="accepted", **more):
    return insert(contact).values(user_id=user, other_id=other, state=state, ts=5, **more)


def blocks(user, other):
    return insert(block).values(user_id=user, blocked_id=other, ts=6)


def ops(web):
    """What the relay was asked, without ids."""
    return [
        {name: value for name, value in request.items() if name != "id"}
        for _user, _device, request in web.chat.requests
    ]


# Profiles


@pytest.fixture
def described(web):
    web.world.accounts.update_profile("bob", display_name="Bob", about="rides")
    return web


def seen(web, who="alice", of="bob"):
    answer = web.call("GET", f"/v1/users/{of}", token=web.login(who))
    assert answer.status_code == 200, answer.text
    return answer.json


WHOLE = {"user": "bob", "display_name": "Bob", "about": "rides"}


def test_a_stranger_sees_that_there_is_somebody_and_nothing_more(described, write):
    assert seen(described) == {"user": "bob"}
    # Nor does it help to have accepted somebody oneself, or to ask.
    write(accepts("alice", "bob"), accepts("bob", "alice", "received"))
    assert seen(described) == {"user": "bob"}


def test_a_contact_sees_the_profile(described, write):
    write(accepts("bob", "alice"))
    assert seen(described) == WHOLE


def test_everybody_sees_their_own(described):
    assert seen(described, "bob") == WHOLE


@pytest.mark.parametrize(("mode", "expected"), [("small", WHOLE), ("large", {"user": "bob"})])
def test_a_member_of_the_same_small_group_sees_the_profile(described, write, mode, expected):
    conv = "gaaaaaaaaaaaa"
    shared = {
        "from_id": 1, "visible_from": 1, "role": "member", "delivered_upto": 0, "read_upto": 0, "read_ordinal": 0,
    }  # fmt: skip
    write(
        insert(conversation).values(conv_id=conv, kind="group", mode=mode, head=1, ordinal=0, created_ts=0),
        *(insert(member).values(conv_id=conv, user_id=user, **shared) for user in ("alice", "bob")),
    )
    assert seen(described) == expected


@pytest.mark.parametrize("pair", [("alice", "bob"), ("bob", "alice")])
def test_a_block_hides_the_profile_both_ways(described, write, pair):
    write(accepts("bob", "alice"), accepts("alice", "bob"), blocks(*pair))
    assert seen(described) == {"user": "bob"}


def test_nobody_sees_whoever_is_gone(described, write):
    write(accepts("bob", "alice"))
    write(update(account).where(account.c.user_id == "bob").values(state="disabled"))
    token = described.login()
    assert_problem(described.call("GET", "/v1/users/bob", token=token), 404, "not_found", "bob")
    assert_problem(described.call("GET", "/v1/users/nobody", token=token), 404, "not_found")
    assert_problem(described.call("GET", "/v1/users/No%20Name", token=token), 400, "bad_request", "user")


# Search


@pytest.fixture
def town(web):
    for user, name in (
        ("anna", "Ånna"), ("annb", None), ("an_c", "100% Anne"), ("carol", "Annabel"), ("dave", "ANNE"),
    ):  # fmt: skip
        web.world.accounts.sign_up(user, PASSWORD, display_name=name)
    return web


def found(web, q, token=None, **query):
    answer = web.call("GET", "/v1/users", query_string={"q": q, **query}, token=token or web.login())
    assert answer.status_code == 200, answer.text
    return [one["user"] for one in answer.json["users"]]


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("ann", ["anna", "annb", "carol", "dave"]),
        ("ANN", ["anna", "annb", "carol", "dave"]),
        ("annb", ["annb"]),
        ("anne", ["dave"]),
        ("ånn", ["anna"]),
        ("A\u030anna", ["anna"]),
        (" dave ", ["dave"]),
        ("100%", ["an_c"]),
        ("a%", []),
        ("a_", []),
        ("an_", ["an_c"]),
        ("%%", []),
        ("__", []),
        ("nna", []),
        ("al", []),
    ],
)
def test_people_are_found_by_how_their_names_begin(town, q, expected):
    assert found(town, q) == expected


def test_what_is_found_has_its_name(town):
    answer = town.call("GET", "/v1/users?q=ann", token=town.login())
    assert answer.json == {
        "users": [
            {"user": "anna", "display_name": "Ånna"},
            {"user": "annb"},
            {"user": "carol", "display_name": "Annabel"},
            {"user": "dave", "display_name": "ANNE"},
        ],
        "more": False,
    }


def test_a_limit_says_that_there_are_more(town):
    answer = town.call("GET", "/v1/users?q=ann&limit=3", token=town.login())
    assert ([one["user"] for one in answer.json["users"]], answer.json["more"]) == (
        ["anna", "annb", "carol"],
        True,
    )


def test_who_does_not_want_to_be_found_is_not_until_that_changes(town):
    accounts, token = town.world.accounts, town.login("dave")
    assert found(town, "dave") == ["dave"]
    answer = town.call("PATCH", "/v1/me", {"privacy": {"search": False}}, token=token)
    assert answer.json["privacy"]["search"] is False
    assert (found(town, "dave"), found(town, "anne")) == ([], [])
    # A new name is not to be found either.
    accounts.update_profile("dave", display_name="David")
    assert found(town, "david") == []
    town.call("PATCH", "/v1/me", {"privacy": {"search": True}}, token=token)
    assert (found(town, "dave"), found(town, "david"), found(town, "anne")) == (["dave"], ["dave"], [])


@pytest.mark.parametrize("pair", [("alice", "dave"), ("dave", "alice")])
def test_a_block_hides_either_from_the_other(town, write, pair):
    token = town.login()
    assert found(town, "dave", token) == ["dave"]
    write(blocks(*pair))
    assert found(town, "dave", token) == []
    assert found(town, "dave", town.login("anna")) == ["dave"]


@pytest.mark.parametrize("state", ["disabled", "deleted"])
def test_whoever_is_gone_is_not_found(town, state):
    (town.world.accounts.disable if state == "disabled" else town.world.accounts.delete)("dave")
    assert (found(town, "dave"), found(town, "anne")) == ([], [])


@pytest.mark.parametrize(
    ("query", "says"),
    [("", "q"), ("q=", "q"), ("q=a", "q"), ("q=%20a%20", "q"), ("q=a%00b", "q"), ("q=" + "a" * 65, "q"),
     ("q=ann&limit=0", "limit"), ("q=ann&limit=101", "limit")],
)  # fmt: skip
def test_a_search_that_cannot_be_is_refused(town, query, says):
    assert_problem(town.call("GET", f"/v1/users?{query}", token=town.login()), 400, "bad_request", says)


# Privacy


DEFAULTS = {
    "write": "everyone", "groups": "everyone", "presence": "contacts", "last_seen": "contacts",
    "read_receipts": True, "search": True,
}  # fmt: skip


def test_what_one_lets_others_do_is_shown_and_changed_bit_by_bit(web):
    token = web.login()
    assert web.call("GET", "/v1/me", token=token).json["privacy"] == DEFAULTS
    answer = web.call("PATCH", "/v1/me", {"privacy": {"write": "contacts"}}, token=token)
    assert (answer.status_code, answer.json["privacy"]) == (200, {**DEFAULTS, "write": "contacts"})
    web.call("PATCH", "/v1/me", {"privacy": {"presence": "nobody"}, "about": "x"}, token=token)
    now = web.call("GET", "/v1/me", token=token).json
    assert now["privacy"] == {**DEFAULTS, "write": "contacts", "presence": "nobody"}
    assert now["about"] == "x"
    # What is left out stays, and null is as at first.
    assert web.call("PATCH", "/v1/me", {"about": None}, token=token).json["privacy"] == now["privacy"]
    assert web.call("PATCH", "/v1/me", {"privacy": None}, token=token).json["privacy"] == DEFAULTS


@pytest.mark.parametrize(
    ("privacy", "says"),
    [
        ({"write": "nobody"}, "privacy.write"),
        ({"groups": True}, "privacy.groups"),
        ({"presence": "friends"}, "privacy.presence"),
        ({"last_seen": None}, "privacy.last_seen"),
        ({"read_receipts": "no"}, "privacy.read_receipts"),
        ({"search": 1}, "privacy.search"),
        ({"colour": "green"}, "colour"),
        ("contacts", "privacy"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_and_named(web, privacy, says):
    token = web.login()
    answer = web.call("PATCH", "/v1/me", {"privacy": privacy, "about": "x"}, token=token)
    assert_problem(answer, 400, "bad_request", says)
    assert web.call("GET", "/v1/me", token=token).json["about"] is None


def test_a_device_secret_changes_no_privacy(web):
    answer = web.call("PATCH", "/v1/me", {"privacy": {"write": "contacts"}}, token=web.secret())
    assert_problem(answer, 403, "forbidden")


@pytest.mark.parametrize("changed", [{"presence": "nobody"}, {"write": "contacts"}])
def test_the_relay_hears_of_a_change_in_who_sees_one_or_writes_to_one(web, changed):
    token = web.login()

    def related():
        with web.world.store.reading() as tx:
            rows = tx._connection.execute(change_log.select().where(change_log.c.kind == "related"))
            return [row.user_id for row in rows]

    web.call("PATCH", "/v1/me", {"privacy": {"write": "everyone", "presence": "contacts"}}, token=token)
    assert related() == []
    web.call("PATCH", "/v1/me", {"privacy": changed}, token=token)
    assert related() == ["alice"]


def test_a_deleted_account_keeps_nothing_of_it(web):
    web.world.accounts.update_profile("bob", display_name="Bob")
    web.call("PATCH", "/v1/me", {"privacy": {"write": "contacts"}}, token=web.login("bob"))
    web.world.accounts.delete("bob")
    with web.world.store.reading() as tx:
        row = tx.account("bob")
    assert (row.privacy, row.found_as) == (None, None)


# Contacts and blocks


def test_contacts_are_listed_in_pages(web, write):
    web.world.accounts.sign_up("carol", PASSWORD, display_name="Carol")
    write(accepts("alice", "bob", "requested", text="hi"), accepts("alice", "carol"))
    token = web.login()
    first = web.call("GET", "/v1/contacts?limit=1", token=token)
    assert first.json == {
        "contacts": [{"user": "bob", "state": "requested", "since": 5, "text": "hi"}],
        "more": True,
    }
    rest = web.call("GET", "/v1/contacts?after=bob", token=token)
    assert rest.json == {
        "contacts": [{"user": "carol", "state": "accepted", "since": 5, "display_name": "Carol"}],
        "more": False,
    }


def test_blocks_are_listed(web, write):
    write(blocks("alice", "bob"))
    assert web.call("GET", "/v1/blocks", token=web.login()).json == {
        "blocks": [{"user": "bob", "since": 6}],
        "more": False,
    }
    assert web.call("GET", "/v1/blocks", token=web.login("bob")).json == {"blocks": [], "more": False}


@pytest.mark.parametrize("path", ["contacts", "blocks"])
@pytest.mark.parametrize("query", ["after=No%20Name", "limit=0", "limit=501"])
def test_a_page_that_cannot_be_is_refused(web, path, query):
    answer = web.call("GET", f"/v1/{path}?{query}", token=web.login())
    assert_problem(answer, 400, "bad_request", query.partition("=")[0])


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        (None, {"op": "contact.request", "user": "bob"}),
        ({}, {"op": "contact.request", "user": "bob"}),
        ({"text": "hello"}, {"op": "contact.request", "user": "bob", "text": "hello"}),
    ],
)
def test_asking_for_a_contact_asks_the_relay(web, body, asked):
    answer = web.call("PUT", "/v1/contacts/bob", body, token=web.login())
    assert (answer.status_code, answer.json) == (200, {"user": "bob", "state": "requested"})
    assert ops(web) == [asked]


@pytest.mark.parametrize(
    ("method", "path", "asked"),
    [
        ("DELETE", "/v1/contacts/bob", {"op": "contact.remove", "user": "bob"}),
        ("PUT", "/v1/blocks/bob", {"op": "block.add", "user": "bob"}),
        ("DELETE", "/v1/blocks/bob", {"op": "block.remove", "user": "bob"}),
    ],
)
def test_what_changes_between_people_is_asked_of_the_relay(web, method, path, asked):
    answer = web.call(method, path, token=web.login())
    assert (answer.status_code, answer.data) == (204, b"")
    assert ops(web) == [asked]


CHANGES = [("PUT", "/v1/contacts/"), ("DELETE", "/v1/contacts/"), ("PUT", "/v1/blocks/"), ("DELETE", "/v1/blocks/")]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), CHANGES)
@pytest.mark.parametrize(
    ("refusal", "status"), [(Blocked("no", field="user"), 403), (NotFound("no", field="user"), 404)]
)
def test_what_the_relay_refuses_is_refused(web, method, path, refusal, status):
    web.chat.refusal = refusal
    assert_problem(web.call(method, path + "bob", token=web.login()), status, refusal.code, "user")


@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_a_name_that_cannot_be_is_refused(web, method, path):
    assert_problem(web.call(method, path + "No%20Name", token=web.login()), 400, "bad_request", "user")


@pytest.mark.parametrize("right", ["send", "receive"])
@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_a_narrow_device_changes_nothing_between_people(web, method, path, right):
    token = web.secret(allow=[right])
    assert_problem(web.call(method, path + "bob", token=token), 403, "forbidden")
    assert ops(web) == []


@pytest.mark.parametrize("path", ["/v1/contacts", "/v1/blocks", "/v1/users?q=bob"])
def test_a_device_that_may_only_send_sees_nobody(web, path):
    assert_problem(web.call("GET", path, token=web.secret(allow=["send"])), 403, "forbidden")
    assert web.call("GET", path, token=web.secret(device="screen", allow=["receive"])).status_code == 200


def test_a_word_that_is_too_long_is_refused(web):
    answer = web.call("PUT", "/v1/contacts/bob", {"text": "x" * 501}, token=web.login())
    assert_problem(answer, 400, "bad_request", "text")


# Reports


def test_a_report_is_asked_of_the_relay(web):
    body = {"conv": "alice~bob", "message_id": 3, "reason": "spam", "text": "again"}
    answer = web.call("POST", "/v1/reports", body, token=web.login())
    assert (answer.status_code, answer.json) == (201, {"report": 1, "dup": False})
    assert web.call("POST", "/v1/reports", body, token=web.login()).status_code == 200
    assert ops(web)[0] == {"op": "report", **body}


@pytest.mark.parametrize(
    ("body", "says"),
    [({"user": "bob"}, "reason"), ({"user": "bob", "reason": ""}, "reason"), ({"user": 1, "reason": "x"}, "user"),
     ({"conv": "alice~bob", "message_id": 0, "reason": "x"}, "message_id")],
)  # fmt: skip
def test_a_report_that_cannot_be_is_refused(web, body, says):
    assert_problem(web.call("POST", "/v1/reports", body, token=web.login()), 400, "bad_request", says)


def test_reports_are_for_admins(web, write):
    about = {"reporter": "alice", "about": "bob", "reason": "spam", "ts": 9}
    write(
        insert(report).values(report_id=1, conv_id="", message_id=0, **about),
        insert(report).values(
            report_id=2, conv_id="alice~bob", message_id=3, text="again",
            content='{"from":"bob","kind":"text","ts":8,"text":"buy"}', **about,
        ),
    )  # fmt: skip
    assert_problem(web.call("GET", "/v1/reports", token=web.login("bob")), 403, "forbidden", "admins")
    web.world.accounts.set_admin("alice", True)
    token = web.login()
    first = web.call("GET", "/v1/reports?limit=1", token=token)
    assert first.json == {
        "reports": [{"report": 1, "ts": 9, "reporter": "alice", "user": "bob", "reason": "spam"}],
        "more": True,
    }
    [second] = web.call("GET", "/v1/reports?after=1", token=token).json["reports"]
    assert second == {
        "report": 2, "ts": 9, "reporter": "alice", "user": "bob", "reason": "spam", "text": "again",
        "conv": "alice~bob", "message_id": 3,
        "content": {"from": "bob", "kind": "text", "ts": 8, "text": "buy"},
    }  # fmt: skip
    assert_problem(web.call("GET", "/v1/reports", token=web.secret()), 403, "forbidden")
