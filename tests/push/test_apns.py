"""APNs: one provider's token, the headers that Apple wants, and what each of its answers means."""

import asyncio
import json
from dataclasses import replace

import pytest
from apple_stand_in import KEY_ID, TEAM_ID, TOPIC, Apple, refusal
from push_stand_in import Answer
from push_talk import CLEAR, HELLO, NOW, subscription
from trustme import CA, KeyType

from bridge.push.ports import Gone, Refused, Sent, TryLater
from pabal.errors import BadRequest
from push.apns import LIMIT, Apns
from push.apns_token import RENEWED_AFTER_S, ApnsToken, read_key

DEVICE = "0123456789abcdef" * 4
PHONE = subscription("apns", token=DEVICE)
PATH = f"/3/device/{DEVICE}"


@pytest.fixture
def apple(service, clock):
    return Apple(service, clock)


@pytest.fixture
def apns(service, posts, apple, clock):
    return Apns(posts, ApnsToken(read_key(apple.pem), KEY_ID, TEAM_ID, clock), TOPIC, clock, service.url)


async def test_a_message_is_an_alert(service, apns):
    outcome = await apns.send(PHONE, HELLO)
    (received,) = service.requests
    assert outcome == Sent(f"200 {received.headers['apns-id']}")
    assert (received.path, received.http_version) == (PATH, "2")
    assert json.loads(received.body) == {
        "aps": {
            "alert": {"title": "Alice", "body": "안녕, Bob"}, "badge": 3, "thread-id": "c0ffee",
            "sound": "default", "mutable-content": 1,
        },
        "pabal": {
            "push_id": "p1", "kind": "message", "seq": 17, "conv": "alice~bob", "message_id": 4, "badge": 3,
            "ts": HELLO.ts,
        },
    }  # fmt: skip
    expected = {
        "apns-topic": TOPIC, "apns-push-type": "alert", "apns-priority": "10",
        "apns-expiration": str(int(NOW) + 3600), "apns-collapse-id": "c0ffee",
    }  # fmt: skip
    assert {name: received.headers[name] for name in expected} == expected


async def test_what_is_not_urgent_waits_for_a_good_moment(service, apns):
    await apns.send(PHONE, replace(HELLO, urgent=False))
    assert service.requests[0].headers["apns-priority"] == "5"


@pytest.mark.parametrize(
    "notification", [CLEAR, replace(HELLO, title=None, body=None), replace(CLEAR, kind="wake", urgent=True)]
)
async def test_what_has_no_text_wakes_the_app_in_the_background(service, apns, notification):
    assert isinstance(await apns.send(PHONE, notification), Sent)
    (received,) = service.requests
    assert (received.headers["apns-push-type"], received.headers["apns-priority"]) == ("background", "5")
    sent = json.loads(received.body)
    assert sent["aps"] == {"content-available": 1}
    assert sent["pabal"]["badge"] == notification.badge


async def test_a_push_has_the_same_id_in_every_try_and_another_one_has_another(service, apns):
    for notification in (HELLO, HELLO, CLEAR):
        await apns.send(PHONE, notification)
    one, again, other = (received.headers["apns-id"] for received in service.requests)
    assert one == again != other


async def test_what_is_of_no_use_later_is_not_kept(service, apns):
    await apns.send(PHONE, replace(HELLO, ttl_s=0))
    assert service.requests[0].headers["apns-expiration"] == "0"


async def test_many_pushes_share_one_connection_and_one_token(service, apple, apns):
    outcomes = await asyncio.gather(*(apns.send(PHONE, HELLO) for _ in range(30)))
    assert all(isinstance(outcome, Sent) for outcome in outcomes)
    assert len(service.peers) == 1
    assert len(apple.tokens) == 1


async def test_the_token_is_renewed_within_apples_time(apple, apns, clock):
    for wait, tokens in ((0, 1), (RENEWED_AFTER_S - 1, 1), (1, 2), (-10, 3)):
        clock.now += wait
        assert isinstance(await apns.send(PHONE, HELLO), Sent)
        assert len(apple.tokens) == tokens
    assert 20 * 60 <= RENEWED_AFTER_S <= 60 * 60


async def test_an_expired_token_is_renewed_and_the_push_sent_once_more(service, apns):
    service.script(PATH, refusal(403, "ExpiredProviderToken"))
    assert isinstance(await apns.send(PHONE, HELLO), Sent)
    old, new = (received.headers["authorization"] for received in service.requests)
    assert old != new


async def test_one_that_is_still_expired_is_tried_later(service, apns):
    service.script(PATH, *[refusal(403, "ExpiredProviderToken")] * 4)
    for _ in range(2):
        assert await apns.send(PHONE, HELLO) == TryLater("answered 403: ExpiredProviderToken")
    assert len(service.requests) == 4
    # Apple refuses those who make new tokens too often.
    assert len({received.headers["authorization"] for received in service.requests}) == 2


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (410, "Unregistered"),
        (410, "ExpiredToken"),
        (410, ""),
        (400, "BadDeviceToken"),
        (400, "DeviceTokenNotForTopic"),
    ],
)
async def test_a_token_that_is_gone_is_gone(service, apns, status, reason):
    service.script(PATH, refusal(status, reason))
    assert isinstance(await apns.send(PHONE, HELLO), Gone)


@pytest.mark.parametrize(
    ("answer", "after"),
    [
        (refusal(429, "TooManyRequests"), None),
        (refusal(429, "TooManyRequests", {"Retry-After": "9"}), 9),
        (refusal(429, "TooManyProviderTokenUpdates"), None),
        (refusal(500, "InternalServerError"), None),
        (refusal(503, "Shutdown", {"Retry-After": "Thu, 26 Nov 2026 12:02:00 GMT"}), 120),
        (refusal(403, "InvalidProviderToken"), None),
        (Answer(502, b"<html>"), None),
    ],
)
async def test_what_may_pass_is_tried_later(service, apns, answer, after):
    service.script(PATH, answer)
    outcome = await apns.send(PHONE, HELLO)
    assert isinstance(outcome, TryLater)
    assert outcome.after_s == after


@pytest.mark.parametrize(
    "answer",
    [
        refusal(400, "BadTopic"), refusal(400, "PayloadEmpty"), refusal(404, "BadPath"),
        refusal(413, "PayloadTooLarge"), Answer(400, b"nonsense"), Answer(204), Answer(400, b"[]"),
    ],
)  # fmt: skip
async def test_any_other_answer_is_a_refusal(service, apns, answer):
    service.script(PATH, answer)
    outcome = await apns.send(PHONE, HELLO)
    assert isinstance(outcome, Refused)
    assert str(answer.status) in outcome.reason


async def test_no_answer_is_tried_later(service, apple, hasty, clock):
    apns = Apns(hasty, ApnsToken(read_key(apple.pem), KEY_ID, TEAM_ID, clock), TOPIC, clock, service.url)
    service.script(PATH, Answer(never=True), Answer(breaks=True))
    for _ in range(2):
        assert isinstance(await apns.send(PHONE, HELLO), TryLater)
    assert isinstance(await apns.send(PHONE, HELLO), Sent)


async def test_a_long_body_is_cut_to_what_apple_takes(service, apns):
    assert isinstance(await apns.send(PHONE, replace(HELLO, body="안녕 " * 3000)), Sent)
    assert LIMIT - 8 <= len(service.requests[0].body) <= LIMIT


async def test_a_collapse_id_has_at_most_64_bytes(service, apns):
    assert isinstance(await apns.send(PHONE, replace(HELLO, collapse="c" * 65)), Sent)
    assert service.requests[0].headers["apns-collapse-id"] == "c" * 64


async def test_what_cannot_be_cut_to_size_is_refused(service, apns):
    assert isinstance(await apns.send(PHONE, replace(CLEAR, push_id="p" * 5000)), Refused)
    assert service.requests == []


@pytest.mark.parametrize("token", [DEVICE, DEVICE.upper(), "ab" * 16, "ab" * 100])
def test_a_device_token_is_kept(apns, token):
    assert apns.check({"token": token}) == {"token": token.lower()}


@pytest.mark.parametrize(
    "token", [None, "", "ab" * 15, "ab" * 101, DEVICE[1:], DEVICE[:-1] + "g", 7, DEVICE + "\n"]
)
def test_what_is_none_is_refused(apns, token):
    with pytest.raises(BadRequest) as refused:
        apns.check({"token": token})
    assert refused.value.field == "token"


@pytest.mark.parametrize(
    "pem", [b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_a_file_that_is_no_key_is_told(pem):
    with pytest.raises(ValueError, match="not a private key in PEM"):
        read_key(pem)


def test_a_key_of_another_kind_is_told():
    pem = CA(key_type=KeyType.RSA).private_key_pem.bytes()
    with pytest.raises(ValueError, match="not a key of the curve P-256"):
        read_key(pem)
