"""What all calls have in common: limits, refusals of HTTP itself, CORS, health."""

import pytest
from account_fakes import PASSWORD
from webapi_fakes import FakeChat

from bridge.store.tables import metadata
from webapi.app import Services, close_app, create_app
from webapi.settings import BrokerEndpoint, PushOffer, WebSettings

WRONG = {"user": "alice", "password": "wrong password", "device": "phone"}
RIGHT = {**WRONG, "password": PASSWORD}


def assert_problem(answer, status, code):
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/problem+json"
    assert (answer.json["status"], answer.json["code"]) == (status, code)


# Limits


def test_after_too_many_failed_logins_even_the_right_password_waits(open_web):
    web = open_web(failed_logins_per_minute=3)
    for _ in range(3):
        assert_problem(web.call("POST", "/v1/sessions", WRONG), 401, "unauthorized")
    refused = web.call("POST", "/v1/sessions", RIGHT)
    assert_problem(refused, 429, "rate_limited")
    assert int(refused.headers["Retry-After"]) == refused.json["retry_after"] > 0
    elsewhere = web.call("POST", "/v1/sessions", RIGHT, environ_base={"REMOTE_ADDR": "192.0.2.7"})
    assert elsewhere.status_code == 201
    web.clock.advance(refused.json["retry_after"])
    assert web.call("POST", "/v1/sessions", RIGHT).status_code == 201


def test_guessing_the_password_with_a_credential_is_limited_too(open_web):
    web = open_web(failed_logins_per_minute=2)
    token = web.login()
    wrong = {"device": "x", "password": "wrong password"}
    for _ in range(2):
        assert_problem(web.call("POST", "/v1/devices", wrong, token=token), 401, "unauthorized")
    assert_problem(web.call("POST", "/v1/devices", wrong, token=token), 429, "rate_limited")
    change = {"password": "another horse", "current_password": PASSWORD}
    assert_problem(web.call("PATCH", "/v1/me", change, token=token), 429, "rate_limited")


def test_good_logins_are_not_counted(open_web):
    web = open_web(failed_logins_per_minute=1)
    for _ in range(3):
        assert web.call("POST", "/v1/sessions", RIGHT).status_code == 201


def test_too_many_sign_ups_from_one_address_wait(open_web):
    web = open_web(sign_ups_per_hour=2)

    def sign_up(name, address="192.0.2.1"):
        body = {"user": name, "password": PASSWORD}
        return web.call("POST", "/v1/users", body, environ_base={"REMOTE_ADDR": address})

    assert [sign_up(name).status_code for name in ("u1", "u2")] == [201, 201]
    refused = sign_up("u3")
    assert_problem(refused, 429, "rate_limited")
    assert sign_up("u3", "192.0.2.2").status_code == 201
    web.clock.advance(int(refused.headers["Retry-After"]))
    assert sign_up("u4").status_code == 201


def test_one_user_who_calls_too_often_waits_and_another_does_not(open_web):
    web = open_web(requests_per_s=1, request_burst=3)
    token, other = web.login(), web.login("bob")
    assert [web.call("GET", "/v1/me", token=token).status_code for _ in range(3)] == [200] * 3
    refused = web.call("GET", "/v1/me", token=token)
    assert_problem(refused, 429, "rate_limited")
    assert refused.headers["Retry-After"] == "1"
    assert web.call("GET", "/v1/me", token=other).status_code == 200
    web.clock.advance(1)
    assert web.call("GET", "/v1/me", token=token).status_code == 200


def test_without_rate_limits_nothing_waits(open_web):
    web = open_web(
        rate_limits=False, requests_per_s=1, request_burst=1, sign_ups_per_hour=1, failed_logins_per_minute=1
    )
    token = web.login()
    assert [web.call("GET", "/v1/me", token=token).status_code for _ in range(4)] == [200] * 4
    for _ in range(3):
        assert_problem(web.call("POST", "/v1/sessions", WRONG), 401, "unauthorized")
    for name in ("u1", "u2"):
        assert web.call("POST", "/v1/users", {"user": name, "password": PASSWORD}).status_code == 201


# Refusals of HTTP itself


def test_a_path_that_is_none_is_not_found(web):
    assert_problem(web.call("GET", "/v1/nothing"), 404, "not_found")


@pytest.mark.parametrize("path", ["/v1//me", "/v1/devices/..%2f/push"])
def test_a_path_with_an_empty_part_is_not_found_and_not_sent_elsewhere(web, path):
    assert_problem(web.call("GET", path), 404, "not_found")


def test_an_answer_without_content_names_no_kind_of_it(web):
    answer = web.call("DELETE", "/v1/sessions/current", token=web.login())
    assert answer.status_code == 204
    assert "Content-Type" not in answer.headers


def test_a_method_that_is_none_is_refused_and_the_right_ones_are_named(web):
    answer = web.call("PUT", "/v1/me")
    assert_problem(answer, 405, "bad_request")
    assert {"GET", "PATCH", "DELETE"} <= set(answer.headers["Allow"].split(", "))


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/msgpack"])
def test_a_body_of_another_kind_is_refused(web, kind):
    answer = web.call("POST", "/v1/sessions", data=b"{}", content_type=kind)
    assert_problem(answer, 415, "bad_request")


@pytest.mark.parametrize("kind", [None, "application/json; charset=utf-8", "application/vnd.x+json"])
def test_a_body_that_says_that_it_is_json_or_nothing_is_read(web, kind):
    data = b'{"user":"alice","password":"correct horse","device":"phone"}'
    assert web.call("POST", "/v1/sessions", data=data, content_type=kind).status_code == 201


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"user":' * 2000, b'"\\ud800"', b"{}{}", b"NaN"]
)
def test_a_malformed_body_is_a_bad_request(web, data):
    answer = web.call("POST", "/v1/sessions", data=data, content_type="application/json")
    assert_problem(answer, 400, "bad_request")


def test_a_body_at_the_bound_is_read_and_above_it_is_too_large(open_web):
    web = open_web(max_body_bytes=200)
    body = b'{"user":"alice","password":"correct horse","device":"phone"}'
    fits = web.call("POST", "/v1/sessions", data=body.ljust(200), content_type="application/json")
    assert fits.status_code == 201
    above = web.call("POST", "/v1/sessions", data=body.ljust(201), content_type="application/json")
    assert_problem(above, 413, "too_large")


def test_a_fault_of_ours_is_a_problem_that_tells_nothing_and_is_logged(web, caplog):
    def fault(_user):
        raise ZeroDivisionError("secret detail")

    token = web.login()
    web.world.accounts.look_up = fault
    answer = web.call("GET", "/v1/me", token=token)
    assert_problem(answer, 500, "internal_error")
    assert "secret detail" not in answer.text
    assert "secret detail" in caplog.text


# CORS


def test_no_origin_may_call_by_default(web):
    answer = web.call("GET", "/healthz", headers={"Origin": "https://chat.example"})
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_an_allowed_origin_may_call_and_another_may_not(open_web):
    web = open_web(cors_origins=("https://chat.example",))
    mine = web.call("GET", "/v1/me", headers={"Origin": "https://chat.example"})
    assert mine.headers["Access-Control-Allow-Origin"] == "https://chat.example"
    assert "Origin" in mine.headers["Vary"]
    for origin in ({"Origin": "https://evil.example"}, {}):
        other = web.call("GET", "/v1/me", headers=origin)
        assert "Access-Control-Allow-Origin" not in other.headers
        assert "Origin" in other.headers["Vary"]


def test_a_preflight_is_answered_without_a_login(open_web):
    web = open_web(cors_origins=("*",))
    answer = web.call(
        "OPTIONS",
        "/v1/me",
        headers={"Origin": "https://any.example", "Access-Control-Request-Method": "PATCH"},
    )
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "PATCH" in answer.headers["Access-Control-Allow-Methods"]
    assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]


# Proxies


def test_behind_a_proxy_the_address_is_the_one_that_it_tells(open_web):
    web = open_web(proxies=1, sign_ups_per_hour=1)

    def sign_up(name, forwarded):
        body = {"user": name, "password": PASSWORD}
        return web.call("POST", "/v1/users", body, headers={"X-Forwarded-For": forwarded}).status_code

    assert [sign_up("u1", "192.0.2.1"), sign_up("u2", "192.0.2.2")] == [201, 201]
    assert sign_up("u3", "192.0.2.2") == 429


def test_without_a_proxy_nobody_can_make_up_an_address(open_web):
    web = open_web(sign_ups_per_hour=1)

    def sign_up(name, forwarded):
        body = {"user": name, "password": PASSWORD}
        return web.call("POST", "/v1/users", body, headers={"X-Forwarded-For": forwarded}).status_code

    assert [sign_up("u1", "192.0.2.1"), sign_up("u2", "192.0.2.2")] == [201, 429]


# Health


def test_what_pushes_go_by_is_told_to_everybody(open_web):
    told = open_web(push=PushOffer(("webpush", "stdout"), "BKey")).call("GET", "/v1/push")
    assert told.json == {"services": ["webpush", "stdout"], "vapid_key": "BKey"}


def test_without_push_there_is_nothing_to_go_by(web):
    assert web.call("GET", "/v1/push").json == {"services": [], "vapid_key": None}


def test_brokers_are_told(web):
    answer = web.call("GET", "/v1/brokers", token=web.login())
    assert answer.json == {"brokers": [{"tcp": "mqtt://127.0.0.1:1883", "ws": "ws://127.0.0.1:8083/mqtt"}]}


def test_a_process_that_answers_is_healthy_even_if_the_relay_is_away(web):
    web.chat.is_up = False
    answer = web.call("GET", "/healthz")
    assert (answer.status_code, answer.json) == (200, {"ok": True})


def test_it_is_ready_while_the_relay_and_the_database_answer(web):
    assert web.call("GET", "/readyz").json == {"ready": True}
    web.chat.is_up = False
    assert_problem(web.call("GET", "/readyz"), 503, "unavailable")
    web.chat.is_up = True
    assert web.call("GET", "/readyz").status_code == 200
    metadata.tables["account"].drop(web.world.store._writer)
    assert_problem(web.call("GET", "/readyz"), 503, "unavailable")


def test_settings_without_a_broker_are_refused(web):
    chat = FakeChat()
    with pytest.raises(ValueError, match="brokers"):
        create_app(Services(web.world.accounts, chat, chat), WebSettings(brokers=()))


def test_closing_the_application_closes_its_services(web):
    closed = []
    chat = FakeChat()
    services = Services(web.world.accounts, chat, chat, close=lambda: closed.append(1))
    app = create_app(services, WebSettings(brokers=(BrokerEndpoint(None, None),)))
    close_app(app)
    assert closed == [1]
