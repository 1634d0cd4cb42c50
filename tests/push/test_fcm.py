"""FCM: one token for all, and what each of its answers means."""

import asyncio
import json
from dataclasses import replace

import pytest
from google_stand_in import Google, refusal
from push_stand_in import Answer
from push_talk import CLEAR, HELLO, NOW, subscription

from bridge.push.ports import Gone, Refused, Sent, SubscribeAgain, TryLater
from pabal.errors import BadRequest
from push.fcm import LIMIT, Fcm, message
from push.google_token import GoogleToken, TokenUnavailable

SEND = "/v1/projects/chat/messages:send"
PHONE = subscription("fcm", token="phone:APA91b")


@pytest.fixture
def google(service):
    return Google(service)


@pytest.fixture
def fcm(service, posts, google, clock):
    return Fcm(posts, GoogleToken(google.account, posts, monotonic=clock), "chat", lambda: NOW, service.url)


def _sent(service):
    return [json.loads(received.body)["message"] for received in service.requests if received.path == SEND]


async def test_a_message_is_shown_by_the_system_and_told_to_the_app(service, fcm):
    outcome = await fcm.send(PHONE, HELLO)
    assert isinstance(outcome, Sent)
    assert outcome.answer.startswith("200 projects/chat/messages/")
    assert _sent(service) == [
        {
            "token": "phone:APA91b",
            "notification": {"title": "Alice", "body": "안녕, Bob"},
            "data": {
                "push_id": "p1", "kind": "message", "seq": "17", "conv": "alice~bob", "message_id": "4",
                "badge": "3", "ts": str(HELLO.ts), "collapse": "c0ffee",
            },
            "android": {
                "collapse_key": "c0ffee", "priority": "HIGH", "ttl": "3600s",
                "notification": {"tag": "c0ffee", "notification_count": 3},
            },
        }
    ]  # fmt: skip
    assert {received.http_version for received in service.requests} == {"2"}


async def test_what_has_no_texts_is_told_to_the_app_alone(service, fcm):
    await fcm.send(PHONE, CLEAR)
    (sent,) = _sent(service)
    assert sent["data"]["kind"] == "clear"
    assert "notification" not in sent
    assert sent["android"] == {"collapse_key": "c0ffee", "priority": "NORMAL", "ttl": "600s"}


async def test_nothing_waits_longer_than_google_allows(service, fcm):
    await fcm.send(PHONE, replace(HELLO, ttl_s=10**9))
    assert _sent(service)[0]["android"]["ttl"] == "2419200s"


async def test_many_pushes_fetch_one_token(google, fcm):
    outcomes = await asyncio.gather(*(fcm.send(PHONE, HELLO) for _ in range(30)))
    assert all(isinstance(outcome, Sent) for outcome in outcomes)
    assert google.given == ["token-1"]


async def test_a_token_near_its_end_is_fetched_anew(google, fcm):
    google.lifetime_s = 60
    for _ in range(2):
        assert isinstance(await fcm.send(PHONE, HELLO), Sent)
    assert google.given == ["token-1", "token-2"]


@pytest.mark.parametrize(("status", "name"), [(401, "UNAUTHENTICATED"), (403, "PERMISSION_DENIED")])
async def test_a_credential_that_is_not_taken_is_fetched_anew_and_the_push_tried_later(
    service, google, fcm, status, name
):
    service.script(SEND, refusal(status, name))
    assert await fcm.send(PHONE, HELLO) == TryLater(f"answered {status}: {name} as it is.")
    assert isinstance(await fcm.send(PHONE, HELLO), Sent)
    assert google.given == ["token-1", "token-2"]


@pytest.mark.parametrize(
    "answer",
    [refusal(404, "NOT_FOUND", "UNREGISTERED"), refusal(404, "NOT_FOUND"), refusal(400, "X", "UNREGISTERED")],
)
async def test_a_token_that_is_gone_is_gone(service, fcm, answer):
    service.script(SEND, answer)
    assert isinstance(await fcm.send(PHONE, HELLO), Gone)


async def test_a_not_found_that_is_not_of_fcm_takes_no_subscription_with_it(service, fcm):
    service.script(SEND, Answer(404, b"<html>no such page</html>"))
    assert await fcm.send(PHONE, HELLO) == Refused("answered 404: <html>no such page</html>")


async def test_an_invalid_argument_alone_is_a_refusal(service, fcm):
    service.script(SEND, refusal(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT"))
    assert await fcm.send(PHONE, HELLO) == Refused("answered 400: INVALID_ARGUMENT as it is.")


async def test_a_token_of_another_project_asks_for_a_new_subscription(service, fcm):
    service.script(SEND, refusal(403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH"))
    assert isinstance(await fcm.send(PHONE, HELLO), SubscribeAgain)


@pytest.mark.parametrize(
    ("answer", "after"),
    [
        (refusal(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", {"Retry-After": "7"}), 7),
        (refusal(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED"), 60),
        (refusal(503, "UNAVAILABLE", "UNAVAILABLE", {"Retry-After": "Thu, 26 Nov 2026 12:02:00 GMT"}), 120),
        (refusal(503, "UNAVAILABLE", "UNAVAILABLE"), None),
        (refusal(500, "INTERNAL", "INTERNAL"), None),
        (refusal(401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR"), None),
        (Answer(502, b"<html>bad gateway</html>"), None),
    ],
)
async def test_what_may_pass_is_tried_later(service, fcm, answer, after):
    service.script(SEND, answer)
    outcome = await fcm.send(PHONE, HELLO)
    assert isinstance(outcome, TryLater)
    assert outcome.after_s == after


@pytest.mark.parametrize("body", [b"", b"[]", b'{"name":5}', b"<html>", b"\xff"])
async def test_a_good_status_with_nonsense_is_refused_and_not_sent_again(service, fcm, body):
    service.script(SEND, Answer(200, body))
    outcome = await fcm.send(PHONE, HELLO)
    assert isinstance(outcome, Refused)
    assert outcome.reason.startswith("not an answer of FCM: answered 200")


@pytest.mark.parametrize(
    "error", [None, 7, [], {"details": 7}, {"details": [7, {"errorCode": 7}], "status": 7, "message": 7}]
)
async def test_an_error_that_is_nonsense_is_a_refusal(service, fcm, error):
    service.script(SEND, Answer(400, json.dumps({"error": error}).encode()))
    assert isinstance(await fcm.send(PHONE, HELLO), Refused)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(400, b'{"error":"invalid_grant","error_description":"no"}'),
        Answer(200, b"nonsense"),
        Answer(200, b"{}"),
        Answer(200, b'{"access_token":"a","expires_in":"soon"}'),
    ],
)
async def test_without_a_token_nothing_is_sent_and_nobody_asks_again_for_a_moment(
    service, fcm, clock, answer
):
    service.script("/token", answer)
    outcome = await fcm.send(PHONE, HELLO)
    assert isinstance(outcome, TryLater)
    assert outcome.reason.startswith("no access token from Google: ")
    assert await fcm.send(PHONE, HELLO) == outcome
    assert [received.path for received in service.requests] == ["/token"]
    clock.now += 5
    assert isinstance(await fcm.send(PHONE, HELLO), Sent)


@pytest.mark.parametrize("answer", [Answer(never=True), Answer(breaks=True)])
async def test_a_token_endpoint_that_never_answers_holds_nobody_up_for_ever(
    service, google, hasty, clock, answer
):
    service.script("/token", answer)
    fcm = Fcm(hasty, GoogleToken(google.account, hasty, monotonic=clock), "chat", lambda: NOW, service.url)
    outcome = await fcm.send(PHONE, HELLO)
    assert isinstance(outcome, TryLater)
    assert "in time" in outcome.reason


async def test_the_token_url_of_the_settings_goes_before_that_of_the_file(posts, google, clock):
    account = google.account | {"token_uri": "https://127.0.0.2/token"}
    with pytest.raises(TokenUnavailable, match="private address"):
        await GoogleToken(account, posts, monotonic=clock).get()
    assert await GoogleToken(account, posts, google.token_url, clock).get() == "token-1"


@pytest.mark.parametrize("text", ["안녕 " * 3000, "\x01" * 3000])
async def test_a_long_body_is_cut_to_what_fcm_takes(service, fcm, text):
    await fcm.send(PHONE, replace(HELLO, body=text))
    cut = replace(HELLO, body=_sent(service)[0]["notification"]["body"])
    assert LIMIT - 24 <= len(message(cut)) <= LIMIT


async def test_what_cannot_be_cut_to_size_is_refused(service, fcm):
    assert isinstance(await fcm.send(PHONE, replace(CLEAR, collapse="c" * 5000)), Refused)
    assert service.requests == []


def test_a_registration_token_is_kept(fcm):
    assert fcm.check({"token": "a:" + "b" * 4094}) == {"token": "a:" + "b" * 4094}


@pytest.mark.parametrize("token", [None, "", "a b", "a" * 4097, "토큰", 7, "a\n"])
def test_what_is_none_is_refused(fcm, token):
    with pytest.raises(BadRequest) as refused:
        fcm.check({"token": token})
    assert refused.value.field == "token"
