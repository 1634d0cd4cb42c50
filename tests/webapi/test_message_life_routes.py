"""Edits, recalls, deleting for oneself and reactions over HTTP: what the relay is asked, and how it is answered."""

from urllib.parse import quote

import pytest

from pabal.errors import Conflict, Forbidden, NotFound

MESSAGE = "/v1/conversations/alice~bob/messages/1"
REACTION = f"{MESSAGE}/reactions/{quote('👍')}"
CALLS = [
    ("PATCH", MESSAGE, {"text": "x"}),
    ("DELETE", MESSAGE, None),
    ("DELETE", f"{MESSAGE}?for=me", None),
    ("PUT", REACTION, None),
    ("DELETE", REACTION, None),
]
EACH = pytest.mark.parametrize(
    ("method", "path", "body"), CALLS, ids=["edit", "recall", "hide", "react", "unreact"]
)


@pytest.fixture
def token(web):
    """Of alice, who has said something to bob."""
    token = web.login()
    web.call("POST", "/v1/conversations/@bob/messages", {"text": "hi"}, token=token)
    web.chat.requests.clear()
    return token


def asked(web):
    ((user, device, request),) = web.chat.requests
    assert (user, device) == ("alice", "phone")
    return request


def test_a_message_is_edited(web, token):
    answer = web.call(
        "PATCH", MESSAGE, {"id": "e", "text": "x", "body": {"a": 1}, "conv": "other"}, token=token
    )
    assert (answer.status_code, answer.json) == (
        200,
        {"conv": "alice~bob", "message_id": 2, "ts": 1, "dup": False},
    )
    assert asked(web) == {
        "op": "edit", "id": "e", "conv": "alice~bob", "target": 1, "text": "x", "body": {"a": 1},
    }  # fmt: skip


@pytest.mark.parametrize("query", ["?id=r", "?id=r&for=everyone"])
def test_a_message_is_recalled(web, token, query):
    assert web.call("DELETE", MESSAGE + query, token=token).json["message_id"] == 2
    assert asked(web) == {"op": "recall", "id": "r", "conv": "alice~bob", "target": 1}


def test_a_message_is_deleted_for_oneself(web, token):
    answer = web.call("DELETE", f"{MESSAGE}?for=me&id=d", token=token)
    assert (answer.status_code, answer.data) == (204, b"")
    assert asked(web) == {"op": "delete", "id": "d", "conv": "alice~bob", "target": 1}


def test_a_reaction_is_given_and_taken_back(web, token):
    assert web.call("PUT", f"{REACTION}?id=1", token=token).json["message_id"] == 2
    assert asked(web) == {"op": "react", "id": "1", "conv": "alice~bob", "target": 1, "emoji": "👍"}
    web.chat.requests.clear()
    assert web.call("DELETE", f"{REACTION}?id=2", token=token).status_code == 200
    assert asked(web)["remove"] is True


def test_a_reaction_that_is_there_already_is_no_conflict_and_one_to_what_was_recalled_is(web, token):
    web.chat.refusal = Conflict("you reacted so already", field="emoji")
    assert web.call("PUT", REACTION, token=token).status_code == 204
    web.chat.refusal = Conflict("this message was recalled", field="target")
    assert web.call("PUT", REACTION, token=token).status_code == 409


@EACH
def test_the_conversation_may_be_named_by_the_other_user(web, token, method, path, body):
    answer = web.call(method, path.replace("alice~bob", "@bob"), body, token=token)
    assert answer.status_code in {200, 204}
    assert (asked(web)["conv"], len(asked(web)["id"])) == ("alice~bob", 36)


@EACH
def test_a_refusal_of_the_relay_is_told_with_its_status(web, token, method, path, body):
    for refusal, status in ((NotFound("no"), 404), (Forbidden("no"), 403), (Conflict("no"), 409)):
        web.chat.refusal = refusal
        answer = web.call(method, path, body, token=token)
        assert (answer.status_code, answer.json["code"]) == (status, refusal.code)


@EACH
def test_what_is_no_number_of_a_message_is_a_bad_request(web, token, method, path, body):
    arabic_one = "%D9%A1"
    for number in ("0", "x", "-1", "1.5", "9007199254740992", "1" * 400, arabic_one):
        answer = web.call(method, path.replace("messages/1", f"messages/{number}"), body, token=token)
        assert (answer.status_code, answer.json["code"]) == (400, "bad_request"), number
        assert answer.json["detail"].startswith("message_id:")
    assert web.chat.requests == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "names"),
    [
        ("PATCH", MESSAGE, {}, 400, "text"),
        ("PATCH", MESSAGE, {"text": 5}, 400, "text"),
        ("PATCH", MESSAGE, {"text": "a\0b"}, 400, "text"),
        ("PATCH", MESSAGE, {"text": "x" * 32_769}, 413, "text"),
        ("DELETE", f"{MESSAGE}?for=them", None, 400, "for"),
        ("DELETE", f"{MESSAGE}?id={'x' * 65}", None, 400, "id"),
        ("PUT", f"{MESSAGE}/reactions/{'x' * 33}", None, 400, "emoji"),
        ("PUT", f"{MESSAGE}/reactions/a%00b", None, 400, "emoji"),
        ("PUT", "/v1/conversations/bob~alice/messages/1/reactions/x", None, 400, "conv"),
    ],
)
def test_bad_input_names_the_field_and_asks_nothing(web, token, method, path, body, status, names):
    answer = web.call(method, path, body, token=token)
    assert (answer.status_code, answer.json["detail"].partition(":")[0]) == (status, names)
    assert web.chat.requests == []


@EACH
@pytest.mark.usefixtures("token")
def test_each_call_needs_the_right_to_send_but_deleting_for_oneself_that_to_receive(web, method, path, body):
    right, other = ("receive", "send") if "for=me" in path else ("send", "receive")
    refused = web.call(method, path, body, token=web.secret(device="one", allow=[other]))
    assert (refused.status_code, refused.json["code"]) == (403, "forbidden")
    assert web.call(method, path, body, token=web.secret(device="two", allow=[right])).status_code in {
        200,
        204,
    }
    assert web.call(method, path, body).status_code == 401
