"""Passwords, the audit log, exports and deletion over HTTP: each refusal for its own reason, beside what is taken."""

import io
import json
import zipfile

import pytest
from account_fakes import PASSWORD

NEW = "another horse"


def assert_problem(answer, status, code, says=""):
    assert answer.status_code == status, answer.text
    problem = answer.json
    assert (problem["status"], problem["code"]) == (status, code)
    assert says in problem["detail"]
    return problem


def log_in(web, user="alice", password=PASSWORD, device="phone"):
    return web.call("POST", "/v1/sessions", {"user": user, "password": password, "device": device})


def put_password(web, token, old=PASSWORD, new=NEW):
    return web.call("PUT", "/v1/me/password", {"old": old, "new": new}, token=token)


def security(web, token, **query):
    answer = web.call("GET", "/v1/me/security", token=token, query_string=query)
    assert answer.status_code == 200, answer.text
    return answer.json


def events(web, token, **query):
    return [one["event"] for one in security(web, token, **query)["events"]]


# The password


def test_a_new_password_ends_all_other_sessions_and_their_connections_and_keeps_the_calling_one(web):
    token, other = web.login(), web.login(device="laptop")
    secret = web.secret()
    answer = put_password(web, token)
    assert (answer.status_code, answer.data) == (204, b"")
    assert web.call("GET", "/v1/me", token=token).status_code == 200
    assert web.call("GET", "/v1/me", token=secret).status_code == 200
    assert_problem(web.call("GET", "/v1/me", token=other), 401, "unauthorized")
    assert web.world.kicks() == [("alice", "laptop", "password")]
    assert log_in(web, password=NEW, device="tablet").status_code == 201
    assert_problem(log_in(web, device="tablet"), 401, "unauthorized")


@pytest.mark.parametrize(
    ("body", "status", "code", "says"),
    [
        ({"old": "wrong password", "new": NEW}, 401, "unauthorized", "old"),
        ({"old": PASSWORD, "new": "short"}, 400, "bad_request", "new"),
        ({"old": PASSWORD, "new": "x" * 257}, 400, "bad_request", "new"),
        ({"old": PASSWORD}, 400, "bad_request", "new"),
        ({"new": NEW}, 400, "bad_request", "old"),
        ({"old": 5, "new": NEW}, 400, "bad_request", "old"),
        ({"old": PASSWORD, "new": ["x"]}, 400, "bad_request", "new"),
    ],
)
def test_a_new_password_is_refused_and_the_old_one_stays(web, body, status, code, says):
    token, other = web.login(), web.login(device="laptop")
    assert_problem(web.call("PUT", "/v1/me/password", body, token=token), status, code, says)
    assert web.call("GET", "/v1/me", token=other).status_code == 200
    assert log_in(web, device="tablet").status_code == 201


def test_a_device_secret_cannot_change_the_password(web):
    assert_problem(put_password(web, web.secret()), 403, "forbidden")
    assert put_password(web, web.login()).status_code == 204


def test_wrong_old_passwords_count_as_failed_logins(web):
    token = web.login()
    for _ in range(10):
        assert_problem(put_password(web, token, old="wrong password"), 401, "unauthorized")
    refused = assert_problem(put_password(web, token), 429, "rate_limited")
    assert refused["retry_after"] >= 1
    assert_problem(log_in(web, device="tablet"), 429, "rate_limited")
    web.clock.advance(refused["retry_after"])
    assert put_password(web, token).status_code == 204


# Failed logins


def from_(address):
    return {"environ_base": {"REMOTE_ADDR": address}}


def try_login(web, password, address, user="alice"):
    body = {"user": user, "password": password, "device": "phone"}
    return web.call("POST", "/v1/sessions", body, **from_(address))


def test_ten_failed_logins_a_minute_are_let_fail_for_each_user_and_address(web):
    for _ in range(10):
        assert_problem(try_login(web, "wrong password", "192.0.2.1"), 401, "unauthorized")
    answer = try_login(web, PASSWORD, "192.0.2.1")
    refused = assert_problem(answer, 429, "rate_limited")
    assert answer.headers["Retry-After"] == str(refused["retry_after"])
    # Of another address, and for another user, nothing is counted.
    assert try_login(web, PASSWORD, "192.0.2.2").status_code == 201
    assert try_login(web, PASSWORD, "192.0.2.1", "bob").status_code == 201
    # That success has not given anything back here.
    assert_problem(try_login(web, PASSWORD, "192.0.2.1"), 429, "rate_limited")
    web.clock.advance(refused["retry_after"])
    assert try_login(web, PASSWORD, "192.0.2.1").status_code == 201


def test_a_good_login_does_not_take_from_the_ten_and_does_not_give_back_what_failed(web):
    for _ in range(9):
        try_login(web, "wrong password", "192.0.2.1")
    for _ in range(3):
        assert try_login(web, PASSWORD, "192.0.2.1").status_code == 201
    assert_problem(try_login(web, "wrong password", "192.0.2.1"), 401, "unauthorized")
    assert_problem(try_login(web, "wrong password", "192.0.2.1"), 429, "rate_limited")


# The audit log


def test_what_happens_to_an_account_is_told_newest_first_and_to_its_owner_alone(web):
    assert web.call("POST", "/v1/users", {"user": "carol", "password": PASSWORD}).status_code == 201
    token = log_in(web, "carol").json["access_token"]
    log_in(web, "carol", "wrong password")
    made = web.call("POST", "/v1/devices", {"device": "lamp", "password": PASSWORD}, token=token)
    secret = made.json["secret"]
    assert web.call("DELETE", "/v1/devices/lamp", token=token).status_code == 204
    assert put_password(web, token).status_code == 204
    seen = security(web, token)
    assert seen["more"] is False
    assert [one["event"] for one in seen["events"]] == [
        "password_changed", "device_removed", "device_added", "login_failed", "logged_in", "signed_up",
    ]  # fmt: skip
    assert [one["id"] for one in seen["events"]] == sorted(
        (one["id"] for one in seen["events"]), reverse=True
    )
    added = seen["events"][2]
    assert (added["device"], added["address"]) == ("lamp", "127.0.0.1")
    assert added["detail"] == {"allow": ["receive", "send"], "via": "http", "by": "phone"}
    said = json.dumps(seen)
    for hidden in (PASSWORD, NEW, "wrong password", secret, token):
        assert hidden not in said
    assert events(web, web.login("bob")) == ["logged_in", "signed_up"]


def test_the_audit_log_is_read_in_pages(web):
    token = web.login()
    for number in range(5):
        web.login(device=f"d{number}")
    first = security(web, token, limit=3)
    assert (len(first["events"]), first["more"]) == (3, True)
    second = security(web, token, limit=10, before=first["events"][-1]["id"])
    assert second["more"] is False
    ids = [one["id"] for one in first["events"] + second["events"]]
    assert ids == sorted(ids, reverse=True)
    assert len(set(ids)) == 7


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 201}, {"before": 0}, {"before": "x"}])
def test_a_page_of_the_audit_log_is_refused_by_the_name_of_what_is_wrong(web, query):
    answer = web.call("GET", "/v1/me/security", token=web.login(), query_string=query)
    assert_problem(answer, 400, "bad_request", next(iter(query)))


def test_a_reused_refresh_token_and_a_logout_are_told(web):
    first = log_in(web).json
    again = {"refresh_token": first["refresh_token"]}
    assert web.call("POST", "/v1/sessions/refresh", again).status_code == 200
    assert_problem(web.call("POST", "/v1/sessions/refresh", again), 401, "unauthorized")
    assert web.call("DELETE", "/v1/sessions/current", token=web.login(device="laptop")).status_code == 204
    told = security(web, web.login(device="tablet"))["events"]
    assert [one["event"] for one in told][:4] == ["logged_in", "logged_out", "logged_in", "refresh_reused"]
    assert told[3]["device"] == "phone"


@pytest.mark.parametrize("path", ["/v1/me/security", "/v1/me/export"])
def test_a_device_secret_reads_neither_the_audit_log_nor_an_export(web, path):
    assert_problem(web.call("GET", path, token=web.secret()), 403, "forbidden")
    assert web.call("GET", path, token=web.login()).status_code == 200


# The export


def test_an_export_is_a_zip_archive_of_json_files(web):
    token = web.login()
    sent = {"text": "hi", "id": "1"}
    assert web.call("POST", "/v1/conversations/@bob/messages", sent, token=token).status_code == 201
    answer = web.call("GET", "/v1/me/export", token=token)
    assert (answer.status_code, answer.mimetype) == (200, "application/zip")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="alice.zip"'
    assert answer.headers["Cache-Control"] == "no-store"
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [
            "README.txt", "profile.json", "privacy.json", "pushes.json", "quiet.json", "devices.json", "sessions.json", "contacts.json",
            "blocks.json", "security.json", "conversations.json", "messages/alice~bob.json", "reactions/alice~bob.json",
        ]  # fmt: skip
        [message] = json.loads(archive.read("messages/alice~bob.json"))
        assert message["text"] == "hi"
    assert events(web, token)[0] == "exported"


def test_one_export_a_minute(web):
    token = web.login()
    assert web.call("GET", "/v1/me/export", token=token).status_code == 200
    refused = assert_problem(web.call("GET", "/v1/me/export", token=token), 429, "rate_limited")
    assert web.call("GET", "/v1/me/export", token=web.login("bob")).status_code == 200
    web.clock.advance(refused["retry_after"])
    assert web.call("GET", "/v1/me/export", token=token).status_code == 200


def test_more_exports_at_once_than_there_are_places_are_unavailable(open_web):
    web = open_web(rate_limits=False)
    token = web.login()
    open_ = [web.call("GET", "/v1/me/export", token=token, buffered=False) for _ in range(4)]
    assert_problem(web.call("GET", "/v1/me/export", token=token), 503, "unavailable")
    for one in open_:
        one.close()
    assert web.call("GET", "/v1/me/export", token=token).status_code == 200


# Deletion


def test_an_account_is_deleted_with_its_password(web):
    token = web.login()
    assert web.call("DELETE", "/v1/me", {"password": PASSWORD}, token=token).status_code == 204
    assert_problem(web.call("GET", "/v1/me", token=token), 401, "unauthorized")
    assert_problem(web.call("GET", "/v1/users/alice", token=web.login("bob")), 404, "not_found")
    assert web.world.kicks() == [("alice", None, "deleted")]
    taken = web.call("POST", "/v1/users", {"user": "alice", "password": PASSWORD})
    assert_problem(taken, 409, "conflict")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [({"password": "wrong password"}, 401, "unauthorized"), ({"password": 5}, 400, "bad_request")],
)
def test_an_account_is_not_deleted_with_a_wrong_password(web, body, status, code):
    token = web.login()
    assert_problem(web.call("DELETE", "/v1/me", body, token=token), status, code, "password")
    assert web.call("GET", "/v1/me", token=token).status_code == 200


def test_shortly_after_the_login_the_password_may_be_left_out_and_later_not(web):
    token = web.login()
    web.world.clock.advance(301)
    refused = web.call("DELETE", "/v1/me", token=token)
    assert_problem(refused, 400, "bad_request", "password")
    assert web.call("GET", "/v1/me", token=token).status_code == 200
    web.world.clock.advance(-1)
    assert web.call("DELETE", "/v1/me", token=token).status_code == 204


def test_wrong_passwords_at_deletion_count_as_failed_logins(web):
    token = web.login()
    for _ in range(10):
        answer = web.call("DELETE", "/v1/me", {"password": "wrong password"}, token=token)
        assert_problem(answer, 401, "unauthorized")
    answer = web.call("DELETE", "/v1/me", {"password": PASSWORD}, token=token)
    assert_problem(answer, 429, "rate_limited")
