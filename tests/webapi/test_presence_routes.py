"""`GET /v1/presence`: the question goes to the relay, and its answer or refusal comes back."""

import pytest

from pabal.errors import RateLimited


def test_the_question_is_asked_of_the_relay_in_the_callers_name(web):
    answer = web.call("GET", "/v1/presence?users=bob,carol,bob", token=web.login())
    assert answer.status_code == 200
    assert {one["user"] for one in answer.json["presence"]} == {"bob", "carol"}
    assert set(answer.json) == {"presence"}
    ((user, device, request),) = web.chat.requests
    assert (user, device, request["op"]) == ("alice", "phone", "presence")
    assert request["users"] == ["bob", "carol", "bob"]


@pytest.mark.parametrize(
    "query",
    ["", "users=", "users=bob,,carol", "users=No+Name", "users=a%00b", "users=" + ",".join(["bob"] * 201)],
)
def test_a_question_that_is_none_is_refused_and_names_the_field(web, query):
    answer = web.call("GET", f"/v1/presence?{query}", token=web.login())
    assert (answer.status_code, answer.json["code"]) == (400, "bad_request")
    assert "users" in answer.json["detail"]
    assert web.chat.requests == []


def test_two_hundred_may_be_asked_about(web):
    answer = web.call("GET", "/v1/presence?users=" + ",".join(["bob"] * 200), token=web.login())
    assert answer.status_code == 200


def test_without_a_login_nobody_is_shown(web):
    assert web.call("GET", "/v1/presence?users=bob").status_code == 401


def test_a_refusal_of_the_relay_is_passed_on(web):
    web.chat.refusal = RateLimited("too many requests", retry_after=3)
    answer = web.call("GET", "/v1/presence?users=bob", token=web.login())
    assert (answer.status_code, answer.json["code"], answer.headers["Retry-After"]) == (
        429,
        "rate_limited",
        "3",
    )


def test_while_the_relay_is_away_nobody_can_be_asked(web):
    web.chat.is_up = False
    answer = web.call("GET", "/v1/presence?users=bob", token=web.login())
    assert (answer.status_code, answer.json["code"]) == (503, "unavailable")
