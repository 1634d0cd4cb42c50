"""Pushes over HTTP: what the relay is asked, in whose name, and how it is answered."""

import pytest

from pabal.errors import BadRequest, NotFound

HOURS = {"from": "22:00", "to": "07:00", "tz": "Asia/Seoul"}
PUSH = "/v1/devices/phone/push"
CALLS = [
    ("GET", PUSH, None),
    ("PUT", PUSH, {"service": "stdout"}),
    ("DELETE", PUSH, None),
    ("GET", "/v1/me/quiet", None),
    ("PUT", "/v1/me/quiet", HOURS),
    ("DELETE", "/v1/me/quiet", None),
    ("PUT", "/v1/conversations/@bob/quiet", HOURS),
    ("DELETE", "/v1/conversations/@bob/quiet", None),
]
EACH = pytest.mark.parametrize(("method", "path", "body"), CALLS)


@pytest.fixture
def token(web):
    return web.login()


def asked(web):
    ((user, device, request),) = web.chat.requests
    assert user == "alice"
    return device, {name: value for name, value in request.items() if name != "id"}


def test_a_device_subscribes_with_what_its_service_needs(web, token):
    keys = {"p256dh": "k", "auth": "a"}
    body = {"service": "webpush", "endpoint": "https://push.example/1", "keys": keys, "expirationTime": None}
    answer = web.call("PUT", PUSH, {**body, "preview": "sender", "lang": "en", "quiet": HOURS}, token=token)
    assert (answer.status_code, answer.data) == (204, b"")
    assert asked(web) == (
        "phone",
        {
            "op": "push.set",
            "service": "webpush",
            "endpoint": "https://push.example/1",
            "keys": keys,
            "preview": "sender",
            "lang": "en",
            "quiet": HOURS,
        },
    )


def test_a_newcomer_subscribes_with_nothing_and_sees_pushes_in_the_log(web, token):
    assert web.call("PUT", PUSH, token=token).status_code == 204
    assert asked(web) == ("phone", {"op": "push.set"})


def test_whoever_is_logged_in_sets_the_push_of_another_device(web, token):
    assert web.call("PUT", "/v1/devices/tablet/push", {}, token=token).status_code == 204
    assert asked(web) == ("tablet", {"op": "push.set"})


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_device_secret_reaches_its_own_device_and_no_other(web, method):
    secret = web.secret()
    refused = web.call(method, PUSH, token=secret)
    assert (refused.status_code, refused.json["code"]) == (403, "forbidden")
    assert web.chat.requests == []
    assert web.call(method, "/v1/devices/sensor/push", token=secret).status_code in {200, 204}
    assert asked(web)[0] == "sensor"


def test_a_subscription_is_shown_without_what_is_secret(web, token):
    answer = web.call("GET", PUSH, token=token)
    assert (answer.status_code, answer.json) == (
        200,
        {
            "device": "phone",
            "service": "stdout",
            "preview": "full",
            "lang": "ko",
            "since": 1,
            "quiet": None,
            "ended": False,
        },
    )


def test_quiet_hours_are_set_shown_and_taken_back(web, token):
    assert web.call("PUT", "/v1/me/quiet", HOURS, token=token).status_code == 204
    assert asked(web)[1] == {"op": "quiet.set", "hours": HOURS}
    web.chat.requests.clear()
    assert web.call("GET", "/v1/me/quiet", token=token).json == {
        "quiet": HOURS,
        "conversations": {"alice~bob": HOURS},
    }
    web.chat.requests.clear()
    assert web.call("DELETE", "/v1/me/quiet", token=token).status_code == 204
    assert asked(web)[1] == {"op": "quiet.remove"}


def test_quiet_hours_of_a_conversation_name_it(web, token):
    assert web.call("PUT", "/v1/conversations/@bob/quiet", HOURS, token=token).status_code == 204
    assert asked(web)[1] == {"op": "quiet.set", "hours": HOURS, "conv": "alice~bob"}
    web.chat.requests.clear()
    assert web.call("DELETE", "/v1/conversations/alice~bob/quiet", token=token).status_code == 204
    assert asked(web)[1] == {"op": "quiet.remove", "conv": "alice~bob"}


@pytest.mark.parametrize(
    "hours",
    [
        {},
        {**HOURS, "from": "24:00"},
        {**HOURS, "to": "7:00"},
        {**HOURS, "to": "07:00\n"},
        {**HOURS, "tz": ""},
        {**HOURS, "tz": "A" * 65},
        {**HOURS, "mentions": 1},
    ],
)
def test_hours_that_are_none_are_refused_and_not_asked(web, token, hours):
    assert web.call("PUT", "/v1/me/quiet", hours, token=token).status_code == 400
    assert web.chat.requests == []


@pytest.mark.parametrize(
    "body", [{"service": ""}, {"service": 1}, {"preview": "all"}, {"lang": "fr"}, {"keys": 1}]
)
def test_a_malformed_subscription_is_refused_and_not_asked(web, token, body):
    assert web.call("PUT", PUSH, body, token=token).status_code == 400
    assert web.chat.requests == []


@EACH
def test_without_the_right_to_receive_there_is_nothing_to_push(web, method, path, body):
    secret = web.secret(device="phone2", allow=["send"])
    refused = web.call(method, path.replace("phone", "phone2"), body, token=secret)
    assert refused.status_code == 403


@EACH
def test_nobody_is_asked_without_a_login(web, method, path, body):
    assert web.call(method, path, body).status_code == 401
    assert web.chat.requests == []


@EACH
@pytest.mark.parametrize(
    "refusal", [NotFound("no device", field="device"), BadRequest("no", field="endpoint")]
)
def test_what_the_relay_refuses_is_refused(web, token, method, path, body, refusal):
    web.chat.refusal = refusal
    answer = web.call(method, path, body, token=token)
    assert (answer.status_code, answer.json["code"]) == (refusal.http_status, refusal.code)
