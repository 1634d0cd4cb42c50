"""Reading and typing over REST: what the relay is asked, and what it is never asked."""

import pytest

from pabal.errors import NotAMember, NotFound, Unavailable

READ = ("read", {"message_id": 3}, {"op": "read", "conv": "alice~bob", "message_id": 3})
TYPING = ("typing", {"on": True}, {"op": "typing", "conv": "alice~bob", "on": True})
BOTH = pytest.mark.parametrize(("call", "body", "asked"), [READ, TYPING])


def post(web, call, body, conv="alice~bob", token=None):
    return web.call("POST", f"/v1/conversations/{conv}/{call}", body, token=token or web.login())


def code_of(answer) -> tuple[int, str]:
    assert answer.mimetype == "application/problem+json"
    return answer.status_code, answer.json["code"]


@BOTH
@pytest.mark.parametrize("conv", ["alice~bob", "@bob"])
def test_the_relay_is_asked_in_the_devices_name_and_there_is_nothing_more_to_say(
    web, call, body, asked, conv
):
    answer = post(web, call, body, conv)
    assert (answer.status_code, answer.data) == (204, b"")
    ((user, device, request),) = web.chat.requests
    assert (user, device) == ("alice", "phone")
    assert request.pop("id")
    assert request == asked


@BOTH
@pytest.mark.parametrize(
    ("refusal", "status"), [(NotAMember("no"), 403), (NotFound("no"), 404), (Unavailable("no"), 503)]
)
def test_a_refusal_of_the_relay_is_told_with_its_status(web, call, body, asked, refusal, status):  # noqa: ARG001 -- of the table
    web.chat.refusal = refusal
    assert code_of(post(web, call, body)) == (status, refusal.code)


@pytest.mark.parametrize(
    ("call", "body", "names"),
    [
        ("read", {}, "message_id"),
        ("read", {"message_id": 0}, "message_id"),
        ("read", {"message_id": "3"}, "message_id"),
        ("read", {"message_id": 2**53}, "message_id"),
        ("typing", {}, "on"),
        ("typing", {"on": "yes"}, "on"),
        ("typing", {"on": None}, "on"),
    ],
)
def test_a_malformed_body_is_a_bad_request_that_names_the_field(web, call, body, names):
    answer = post(web, call, body)
    assert code_of(answer) == (400, "bad_request")
    assert names in answer.json["detail"]
    assert web.chat.requests == []


@BOTH
@pytest.mark.parametrize("conv", ["x", "bob~alice", "@Bob", "@"])
def test_a_malformed_conversation_is_a_bad_request(web, call, body, asked, conv):  # noqa: ARG001 -- of the table
    answer = post(web, call, body, conv)
    assert code_of(answer) == (400, "bad_request")
    assert "conv" in answer.json["detail"]


@BOTH
@pytest.mark.parametrize("allow", ["send", "receive"])
def test_to_read_is_for_devices_that_receive_and_to_type_for_those_that_send(web, call, body, asked, allow):
    answer = post(web, call, body, token=web.secret(allow=[allow]))
    if (allow == "receive") == (asked["op"] == "read"):
        assert answer.status_code == 204
    else:
        assert code_of(answer) == (403, "forbidden")
        assert web.chat.requests == []


@BOTH
def test_without_a_credential_it_is_refused(web, call, body, asked):  # noqa: ARG001 -- of the table
    answer = web.call("POST", f"/v1/conversations/alice~bob/{call}", body)
    assert code_of(answer) == (401, "unauthorized")
