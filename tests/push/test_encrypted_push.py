"""Web Push and UnifiedPush: what reaches the service can be read by the receiver alone, and its answers are outcomes."""

import json
from dataclasses import replace

import pytest
from push_stand_in import Answer
from push_talk import CLEAR, HELLO, NOW, Receiver, base64url, subscription
from py_vapid import Vapid02
from py_vapid.jwt import decode

from bridge.push.ports import Gone, Refused, Sent, SubscribeAgain, TryLater
from pabal.errors import BadRequest
from push import vapid
from push.encrypted_push import BODY_BYTES, EncryptedPush
from push.endpoints import LONGEST_URL
from push.unified_push import LONGEST_ENDPOINT, UnifiedPush
from push.web_push import WebPush


@pytest.fixture
def receiver():
    return Receiver()


@pytest.fixture
def key(tmp_path):
    return vapid.open_key(tmp_path / "keys")


@pytest.fixture
def sending(posts, rules, key):
    tokens = vapid.Vapid(key, "mailto:ops@chat.example", lambda: NOW)
    return EncryptedPush(posts, tokens, rules, lambda: NOW, LONGEST_URL)


@pytest.fixture
def web_push(sending):
    return WebPush(sending)


@pytest.fixture
def target(service, receiver):
    return {"endpoint": f"{service.url}/wpush/1", **receiver.keys}


async def test_what_is_sent_can_be_read_by_the_receiver(service, web_push, receiver, target):
    service.script("/wpush", Answer(201, headers={"Location": "https://localhost/m/1"}))
    sent = await web_push.send(subscription("webpush", **target), HELLO)
    assert sent == Sent("201 https://localhost/m/1")
    (received,) = service.requests
    assert json.loads(receiver.read(received.body)) == {
        "push_id": "p1", "kind": "message", "seq": 17, "conv": "alice~bob", "message_id": 4, "badge": 3,
        "ts": HELLO.ts, "title": "Alice", "body": "안녕, Bob", "collapse": "c0ffee",
    }  # fmt: skip
    assert b"Alice" not in received.body
    assert {name: received.headers[name] for name in ("content-encoding", "ttl", "urgency", "topic")} == {
        "content-encoding": "aes128gcm", "ttl": "3600", "urgency": "high", "topic": "c0ffee",
    }  # fmt: skip


async def test_the_service_can_tell_who_sends(service, web_push, target, key):
    await web_push.send(subscription("webpush", **target), HELLO)
    header = service.requests[0].headers["authorization"]
    assert Vapid02.verify(header)
    token, public = (part[2:] for part in header.removeprefix("vapid ").split(","))
    assert public == vapid.public_text(key)
    assert decode(token, public) == {
        "aud": service.url, "exp": int(NOW) + 12 * 3600, "sub": "mailto:ops@chat.example",
    }  # fmt: skip


async def test_nothing_is_encrypted_twice_in_the_same_way(service, web_push, target):
    for _ in range(2):
        await web_push.send(subscription("webpush", **target), HELLO)
    one, two = (received.body for received in service.requests)
    assert (one[:16], one[21:86]) != (two[:16], two[21:86])
    assert one[:16] != two[:16]
    assert one[21:86] != two[21:86]


@pytest.mark.parametrize(
    ("notification", "urgency"),
    [(HELLO, "high"), (replace(HELLO, urgent=False), "normal"), (CLEAR, "low")],
)
async def test_it_is_as_urgent_as_it_is(service, web_push, target, notification, urgency):
    await web_push.send(subscription("webpush", **target), notification)
    assert service.requests[0].headers["urgency"] == urgency


async def test_a_clear_has_no_texts(service, web_push, receiver, target):
    await web_push.send(subscription("webpush", **target), CLEAR)
    assert json.loads(receiver.read(service.requests[0].body)) == {
        "push_id": "p2", "kind": "clear", "seq": 18, "conv": "alice~bob", "badge": 0, "ts": CLEAR.ts,
        "collapse": "c0ffee",
    }  # fmt: skip


@pytest.mark.parametrize("text", ["안녕 " * 3000, '"\\\n' * 3000, "👩‍👩‍👧" * 1000, "\x01" * 2000])
async def test_a_long_body_is_cut_to_what_the_service_takes(service, web_push, receiver, target, text):
    await web_push.send(subscription("webpush", **target), replace(HELLO, body=text))
    body = service.requests[0].body
    assert BODY_BYTES - 24 <= len(body) <= BODY_BYTES
    told = json.loads(receiver.read(body))
    assert told["title"] == "Alice"
    assert text.startswith(told["body"].removesuffix("…"))
    assert told["body"].endswith("…")


async def test_a_long_title_is_cut_once_the_body_is_gone(service, web_push, receiver, target):
    await web_push.send(subscription("webpush", **target), replace(HELLO, title="a" * 9000))
    told = json.loads(receiver.read(service.requests[0].body))
    assert told["body"] in {"", "…"}
    assert told["title"] == "a" * (len(told["title"]) - 1) + "…"
    assert len(service.requests[0].body) == BODY_BYTES


async def test_what_cannot_be_cut_to_size_is_refused_and_not_sent(service, web_push, target):
    huge = replace(CLEAR, collapse="c" * 5000)
    assert isinstance(await web_push.send(subscription("webpush", **target), huge), Refused)
    assert service.requests == []


@pytest.mark.parametrize("status", [404, 410])
async def test_a_subscription_that_is_gone_is_gone(service, web_push, target, status):
    service.script("/wpush", Answer(status, b'{"errno":106}'))
    outcome = await web_push.send(subscription("webpush", **target), HELLO)
    assert outcome == Gone(f'answered {status}: {{"errno":106}}')


@pytest.mark.parametrize("status", [401, 403])
async def test_a_credential_that_is_not_taken_asks_for_a_new_subscription(service, web_push, target, status):
    service.script("/wpush", Answer(status))
    outcome = await web_push.send(subscription("webpush", **target), HELLO)
    assert outcome == SubscribeAgain(f"answered {status}")


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
async def test_what_may_pass_is_tried_later(service, web_push, target, status):
    dated = {"Retry-After": "Thu, 26 Nov 2026 12:02:00 GMT"}
    service.script(
        "/wpush", Answer(status), Answer(status, headers={"Retry-After": "7"}), Answer(status, headers=dated)
    )
    outcomes = [await web_push.send(subscription("webpush", **target), HELLO) for _ in range(3)]
    assert outcomes == [TryLater(f"answered {status}", wait) for wait in (None, 7, 120)]


@pytest.mark.parametrize("status", [301, 307, 400, 402, 413])
async def test_any_other_answer_is_a_refusal(service, web_push, target, status):
    service.script("/wpush", Answer(status, headers={"Location": f"{service.url}/elsewhere"}))
    outcome = await web_push.send(subscription("webpush", **target), HELLO)
    assert outcome == Refused(f"answered {status}")
    assert len(service.requests) == 1


async def test_no_answer_is_tried_later(service, hasty, rules, key, target):
    sending = EncryptedPush(
        hasty, vapid.Vapid(key, "mailto:a@b.c", lambda: NOW), rules, lambda: NOW, LONGEST_URL
    )
    service.script("/wpush", Answer(never=True))
    outcome = await WebPush(sending).send(subscription("webpush", **target), HELLO)
    assert isinstance(outcome, TryLater)
    assert outcome.after_s is None


async def test_an_endpoint_that_has_moved_to_a_private_address_is_refused(service, web_push, target):
    elsewhere = target | {"endpoint": f"https://127.0.0.2:{service.port}/"}
    outcome = await web_push.send(subscription("webpush", **elsewhere), HELLO)
    assert outcome == Refused("127.0.0.2 is at a private address")


@pytest.mark.parametrize("broken", [{"p256dh": "AAAA"}, {"auth": None}, {"p256dh": base64url(b"\4" * 65)}])
async def test_a_subscription_that_cannot_be_used_is_refused(service, web_push, target, broken):
    outcome = await web_push.send(subscription("webpush", **target | broken), HELLO)
    assert isinstance(outcome, Refused)
    assert service.requests == []


async def test_one_without_an_endpoint_likewise(web_push):
    assert isinstance(await web_push.send(subscription("webpush"), HELLO), Refused)


def test_a_subscription_is_taken_as_a_browser_gives_it(web_push, receiver, target):
    given = {"endpoint": target["endpoint"], "expirationTime": None, "keys": receiver.keys}
    assert web_push.check(given) == target
    assert web_push.check(target) == target


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"endpoint": None}, "endpoint"),
        ({"endpoint": "http://push.example/"}, "endpoint"),
        ({"endpoint": "https://10.0.0.1/"}, "endpoint"),
        ({"p256dh": None}, "p256dh"),
        ({"p256dh": base64url(b"\4" * 64)}, "p256dh"),
        ({"p256dh": base64url(b"\4" * 66)}, "p256dh"),
        ({"p256dh": base64url(b"\4" * 65)}, "p256dh"),  # not on the curve
        ({"p256dh": base64url(b"\2" * 65)}, "p256dh"),
        ({"p256dh": "not base64!"}, "p256dh"),
        ({"auth": None}, "auth"),
        ({"auth": base64url(b"a" * 15)}, "auth"),
        ({"auth": base64url(b"a" * 17)}, "auth"),
        ({"auth": 16}, "auth"),
        ({"keys": "none"}, "keys"),
        ({"keys": {}}, "p256dh"),
    ],
)
def test_what_is_wrong_with_a_subscription_is_told_by_its_field(web_push, target, wrong, field):
    with pytest.raises(BadRequest) as refused:
        web_push.check(target | wrong)
    assert refused.value.field == field


async def test_unified_push_sends_the_same_without_a_topic(service, sending, receiver, target):
    await UnifiedPush(sending).send(subscription("unifiedpush", **target), HELLO)
    (received,) = service.requests
    assert json.loads(receiver.read(received.body))["body"] == "안녕, Bob"
    assert "topic" not in received.headers
    assert received.headers["ttl"] == "3600"


def test_unified_push_takes_shorter_endpoints(posts, rules, key, target):
    sending = EncryptedPush(
        posts, vapid.Vapid(key, "mailto:a@b.c", lambda: NOW), rules, lambda: NOW, LONGEST_ENDPOINT
    )
    endpoint = target["endpoint"].ljust(LONGEST_ENDPOINT, "x")
    unified = UnifiedPush(sending)
    assert unified.check(target | {"endpoint": endpoint})["endpoint"] == endpoint
    with pytest.raises(BadRequest, match="at most 1000"):
        unified.check(target | {"endpoint": endpoint + "x"})
