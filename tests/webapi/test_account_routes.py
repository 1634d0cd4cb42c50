import pytest
from account_fakes import PASSWORD

from bridge.accounts.keys import ACCESS_TTL_S


def assert_problem(answer, status, code, says=""):
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/problem+json"
    problem = answer.json
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["type"]
    assert problem["title"]
    assert says in problem["detail"]
    return problem


def log_in(web, user="alice", password=PASSWORD, device="phone"):
    return web.call("POST", "/v1/sessions", {"user": user, "password": password, "device": device})


# Users


def test_signing_up_makes_an_account_that_can_log_in(web):
    body = {"user": "carol", "password": PASSWORD, "display_name": "Carol"}
    answer = web.call("POST", "/v1/users", body)
    assert (answer.status_code, answer.json) == (201, {"user": "carol"})
    assert log_in(web, "carol").status_code == 201


def test_signing_up_under_a_taken_name_is_a_conflict(web):
    assert_problem(web.call("POST", "/v1/users", {"user": "alice", "password": PASSWORD}), 409, "conflict")


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({"user": "carol"}, "password"),
        ({"password": PASSWORD}, "user"),
        ({"user": "Carol", "password": PASSWORD}, "user"),
        ({"user": "admin", "password": PASSWORD}, "user"),
        ({"user": "carol", "password": "short"}, "password"),
        ({"user": "carol", "password": 12345678}, "password"),
        ({"user": "carol", "password": PASSWORD, "display_name": "x" * 65}, "display_name"),
    ],
)
def test_signing_up_with_a_wrong_field_is_a_bad_request_that_names_it(web, body, names):
    assert_problem(web.call("POST", "/v1/users", body), 400, "bad_request", names)


def test_a_deleted_name_is_not_given_again(web):
    assert web.call("DELETE", "/v1/me", token=web.login()).status_code == 204
    assert_problem(web.call("POST", "/v1/users", {"user": "alice", "password": PASSWORD}), 409, "conflict")


def test_that_a_name_exists_can_be_looked_up_and_nothing_more(web):
    answer = web.call("GET", "/v1/users/bob", token=web.login())
    assert (answer.status_code, answer.json) == (200, {"user": "bob"})


def test_a_name_that_nobody_has_is_not_found(web):
    assert_problem(web.call("GET", "/v1/users/nobody", token=web.login()), 404, "not_found")


def test_a_name_that_cannot_be_is_a_bad_request(web):
    assert_problem(web.call("GET", "/v1/users/No", token=web.login()), 400, "bad_request", "user")


# Sessions


def test_a_login_tells_everything_that_a_client_needs(web):
    answer = log_in(web)
    assert answer.status_code == 201
    body = answer.json
    assert (body["user"], body["device"], body["expires_in"]) == ("alice", "phone", ACCESS_TTL_S)
    assert body["mqtt"] == {
        "tcp": "mqtt://127.0.0.1:1883",
        "ws": "ws://127.0.0.1:8083/mqtt",
        "client_id": "alice:phone",
        "username": "alice",
        "topics": {
            "up": "pabal/v1/up/alice/phone",
            "down": "pabal/v1/down/alice/phone",
            "inbox": "pabal/v1/inbox/alice",
            "live": "pabal/v1/live/alice",
            "status": "pabal/v1/status/alice/phone",
        },
    }
    assert answer.headers["Cache-Control"] == "no-store"
    assert web.call("GET", "/v1/me", token=body["access_token"]).status_code == 200
    assert web.world.accounts.authenticate_mqtt("alice", body["access_token"]).device == "phone"


@pytest.mark.parametrize(("user", "password"), [("alice", "wrong password"), ("nobody", PASSWORD)])
def test_a_login_with_a_wrong_name_or_password_is_unauthorized(web, user, password):
    answer = log_in(web, user, password)
    assert_problem(answer, 401, "unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_login_on_a_device_that_cannot_be_is_a_bad_request(web):
    assert_problem(log_in(web, device="a b"), 400, "bad_request", "device")


def test_a_login_of_a_disabled_user_is_forbidden(web):
    web.world.accounts.disable("alice")
    assert_problem(log_in(web), 403, "forbidden")
    assert_problem(log_in(web, password="wrong password"), 401, "unauthorized")


def test_a_disabled_user_loses_what_there_was(web):
    token, secret = web.login(), web.secret()
    web.world.accounts.disable("alice")
    for credential in (token, secret):
        assert_problem(web.call("GET", "/v1/me", token=credential), 401, "unauthorized")


def test_a_login_on_the_same_device_ends_the_older_session(web):
    old = log_in(web).json
    new = log_in(web).json
    assert_problem(web.call("GET", "/v1/me", token=old["access_token"]), 401, "unauthorized")
    refreshed = web.call("POST", "/v1/sessions/refresh", {"refresh_token": old["refresh_token"]})
    assert_problem(refreshed, 401, "unauthorized")
    assert web.call("GET", "/v1/me", token=new["access_token"]).status_code == 200
    assert web.world.kicks() == [("alice", "phone", "replaced")]


def test_a_refresh_gives_new_tokens_of_the_same_device(web):
    old = log_in(web).json
    answer = web.call("POST", "/v1/sessions/refresh", {"refresh_token": old["refresh_token"]})
    assert answer.status_code == 200
    assert answer.json.keys() == old.keys()
    assert answer.json["refresh_token"] != old["refresh_token"]
    assert answer.json["mqtt"] == old["mqtt"]


def test_using_a_refresh_token_again_ends_the_session(web):
    old = log_in(web).json
    new = web.call("POST", "/v1/sessions/refresh", {"refresh_token": old["refresh_token"]}).json
    again = web.call("POST", "/v1/sessions/refresh", {"refresh_token": old["refresh_token"]})
    assert_problem(again, 401, "unauthorized")
    assert_problem(web.call("GET", "/v1/me", token=new["access_token"]), 401, "unauthorized")
    after = web.call("POST", "/v1/sessions/refresh", {"refresh_token": new["refresh_token"]})
    assert_problem(after, 401, "unauthorized")


def test_logging_out_ends_the_session(web):
    token = web.login()
    assert web.call("DELETE", "/v1/sessions/current", token=token).status_code == 204
    assert_problem(web.call("DELETE", "/v1/sessions/current", token=token), 401, "unauthorized")
    assert web.world.kicks() == [("alice", "phone", "logout")]


def test_a_device_secret_cannot_log_out(web):
    assert_problem(web.call("DELETE", "/v1/sessions/current", token=web.secret()), 409, "conflict")


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic YTpi", "Bearer x.y.z", "Bearer pds_nonsense"]
)
def test_without_a_good_credential_a_call_is_unauthorized(web, header):
    headers = {} if header is None else {"Authorization": header}
    answer = web.call("GET", "/v1/me", headers=headers)
    assert_problem(answer, 401, "unauthorized")
    assert "WWW-Authenticate" in answer.headers


def test_an_expired_token_is_unauthorized_and_says_so(web):
    token = web.login()
    web.world.clock.advance(ACCESS_TTL_S)
    assert_problem(web.call("GET", "/v1/me", token=token), 401, "unauthorized", "expired")


# Devices


def test_devices_are_listed_with_what_they_are(web):
    web.secret(allow=["send"])
    devices = web.call("GET", "/v1/devices", token=web.login()).json["devices"]
    phone, sensor = devices
    assert (phone["device"], phone["logged_in"], phone["has_secret"], phone["current"]) == (
        "phone",
        True,
        False,
        True,
    )
    assert (sensor["device"], sensor["logged_in"], sensor["has_secret"], sensor["current"]) == (
        "sensor",
        False,
        True,
        False,
    )
    assert sensor["allow"] == ["send"]


def test_a_device_gets_a_secret_that_is_good_for_rest_and_mqtt(web):
    answer = web.call("POST", "/v1/devices", {"device": "sensor", "password": PASSWORD}, token=web.login())
    assert answer.status_code == 201
    made = answer.json
    assert (made["user"], made["device"], made["allow"]) == ("alice", "sensor", ["receive", "send"])
    assert made["mqtt"]["client_id"] == "alice:sensor"
    assert web.call("GET", "/v1/me", token=made["secret"]).status_code == 200
    assert web.world.accounts.authenticate_mqtt("alice", made["secret"]).device == "sensor"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"device": "sensor", "password": "wrong password"}, 401, "unauthorized"),
        ({"device": "a b", "password": PASSWORD}, 400, "bad_request"),
        ({"device": "sensor", "password": PASSWORD, "allow": []}, 400, "bad_request"),
        ({"device": "sensor", "password": PASSWORD, "allow": ["fly"]}, 400, "bad_request"),
        ({"device": "sensor"}, 400, "bad_request"),
        ({"device": "old", "password": PASSWORD}, 409, "conflict"),
    ],
)
def test_a_device_is_refused(web, body, status, code):
    web.secret(device="old")
    assert_problem(web.call("POST", "/v1/devices", body, token=web.login()), status, code)


def test_a_deleted_device_is_kicked_and_its_secret_is_no_good(web):
    secret = web.secret()
    token = web.login()
    assert web.call("DELETE", "/v1/devices/sensor", token=token).status_code == 204
    # By its secret, and by a client certificate.
    assert web.world.kicks() == [("alice", "sensor", "kicked")] * 2
    assert_problem(web.call("GET", "/v1/me", token=secret), 401, "unauthorized")
    assert_problem(web.call("DELETE", "/v1/devices/sensor", token=token), 404, "not_found")


def test_a_device_secret_ends_itself_and_no_other_device(web):
    web.login()
    secret = web.secret()
    assert_problem(web.call("DELETE", "/v1/devices/phone", token=secret), 403, "forbidden")
    assert web.call("DELETE", "/v1/devices/sensor", token=secret).status_code == 204


def test_devices_of_others_are_not_found(web):
    web.secret("bob", "bobs")
    assert_problem(web.call("DELETE", "/v1/devices/bobs", token=web.login()), 404, "not_found")


# Me


def test_ones_own_profile_can_be_seen_and_changed(web):
    token = web.login()
    changed = web.call("PATCH", "/v1/me", {"display_name": "Al", "about": "here"}, token=token)
    assert changed.status_code == 200
    seen = web.call("GET", "/v1/me", token=token).json
    assert seen == changed.json
    assert (seen["user"], seen["display_name"], seen["about"], seen["admin"]) == (
        "alice",
        "Al",
        "here",
        False,
    )
    assert web.call("PATCH", "/v1/me", {"about": None}, token=token).json["about"] is None
    assert web.call("PATCH", "/v1/me", {}, token=token).json["display_name"] == "Al"


def test_a_new_password_needs_the_current_one_and_ends_other_sessions(web):
    token, other = web.login(), web.login(device="laptop")
    body = {"password": "another horse", "current_password": PASSWORD}
    assert web.call("PATCH", "/v1/me", body, token=token).status_code == 200
    assert web.call("GET", "/v1/me", token=token).status_code == 200
    assert_problem(web.call("GET", "/v1/me", token=other), 401, "unauthorized")
    assert log_in(web, password="another horse", device="tablet").status_code == 201


@pytest.mark.parametrize(
    ("body", "status", "code", "says"),
    [
        ({"password": "another horse"}, 400, "bad_request", "current_password"),
        ({"password": "another horse", "current_password": "wrong"}, 401, "unauthorized", ""),
        ({"password": "short", "current_password": PASSWORD}, 400, "bad_request", "password"),
        ({"display_name": 5}, 400, "bad_request", "display_name"),
        ({"about": "x" * 501}, 400, "bad_request", "about"),
    ],
)
def test_a_change_of_ones_account_is_refused_and_changes_nothing(web, body, status, code, says):
    token = web.login()
    before = web.call("GET", "/v1/me", token=token).json
    answer = web.call("PATCH", "/v1/me", {"display_name": "Al", **body}, token=token)
    assert_problem(answer, status, code, says)
    assert web.call("GET", "/v1/me", token=token).json == before
    assert log_in(web, device="tablet").status_code == 201


@pytest.mark.parametrize(("method", "body"), [("PATCH", {"about": "x"}), ("DELETE", None)])
def test_a_device_secret_cannot_change_the_account(web, method, body):
    assert_problem(web.call(method, "/v1/me", body, token=web.secret()), 403, "forbidden")
    assert web.call(method, "/v1/me", body, token=web.login()).status_code in {200, 204}


def test_a_deleted_account_is_gone(web):
    token = web.login()
    assert web.call("DELETE", "/v1/me", token=token).status_code == 204
    assert_problem(web.call("GET", "/v1/me", token=token), 401, "unauthorized")
    assert_problem(web.call("GET", "/v1/users/alice", token=web.login("bob")), 404, "not_found")
    assert_problem(log_in(web), 401, "unauthorized")
    assert web.world.kicks() == [("alice", None, "deleted")]
