"""Webhooks: signed, so that the receiver knows from whom, of what age, and whether it had it before."""

import base64
import hashlib
import hmac
import json
from dataclasses import replace

import pytest
from push_stand_in import Answer
from push_talk import CLEAR, HELLO, NOW, subscription

from bridge.push.ports import Gone, Refused, Sent, TryLater
from pabal.errors import BadRequest
from push.webhook import LIMIT, Webhook, secret_bytes, signature

OWN = "whsec_" + base64.b64encode(b"o" * 24).decode()
SERVERS = "whsec_" + base64.b64encode(b"s" * 32).decode()


@pytest.fixture
def webhook(posts, rules):
    return Webhook(posts, rules, lambda: NOW, SERVERS)


@pytest.fixture
def hook(service):
    return subscription("webhook", url=f"{service.url}/hook", secret=OWN)


def _verify(received, secret):
    """As a receiver does it, by the text of Standard Webhooks."""
    signed = b".".join(
        [
            received.headers["webhook-id"].encode(),
            received.headers["webhook-timestamp"].encode(),
            received.body,
        ]
    )
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert received.headers["webhook-signature"] == f"v1,{expected}"


async def test_a_push_is_signed_with_the_secret_of_the_subscription(service, webhook, hook):
    assert await webhook.send(hook, HELLO) == Sent("200")
    (received,) = service.requests
    _verify(received, OWN)
    assert received.headers["webhook-id"] == "p1"
    assert received.headers["webhook-timestamp"] == str(int(NOW))
    assert json.loads(received.body)["body"] == "안녕, Bob"


async def test_without_one_the_secret_of_the_server_signs(service, webhook):
    await webhook.send(subscription("webhook", url=f"{service.url}/hook"), HELLO)
    _verify(service.requests[0], SERVERS)


def test_an_example_that_others_have_worked_out():
    # The first example of the specification of Standard Webhooks.
    secret = secret_bytes("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert (
        signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
        == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(204), Sent("204")),
        (Answer(404), Gone("answered 404")),
        (Answer(410), Gone("answered 410")),
        (Answer(429, headers={"Retry-After": "5"}), TryLater("answered 429", 5)),
        (Answer(500), TryLater("answered 500")),
        (Answer(302, headers={"Location": "https://10.0.0.1/"}), Refused("answered 302")),
        (Answer(401, b"who?"), Refused("answered 401: who?")),
    ],
)
async def test_each_answer_has_its_outcome(service, webhook, hook, answer, outcome):
    service.script("/hook", answer)
    assert await webhook.send(hook, HELLO) == outcome
    assert len(service.requests) == 1


async def test_no_answer_is_tried_later(service, hasty, rules, hook):
    service.script("/hook", Answer(never=True))
    assert isinstance(await Webhook(hasty, rules, lambda: NOW).send(hook, HELLO), TryLater)


async def test_a_long_body_is_cut(service, webhook, hook):
    await webhook.send(hook, replace(HELLO, body="안" * 9000))
    assert LIMIT - 4 <= len(service.requests[0].body) <= LIMIT


async def test_what_cannot_be_cut_or_signed_is_refused(service, webhook, posts, rules, hook):
    assert isinstance(await webhook.send(hook, replace(CLEAR, collapse="c" * LIMIT)), Refused)
    bare = subscription("webhook", url=f"{service.url}/hook")
    assert isinstance(await Webhook(posts, rules, lambda: NOW).send(bare, HELLO), Refused)
    assert isinstance(await webhook.send(subscription("webhook"), HELLO), Refused)
    assert service.requests == []


def test_a_subscription_may_have_a_secret_of_its_own(webhook, service):
    url = f"{service.url}/hook"
    assert webhook.check({"url": url, "secret": OWN, "more": 1}) == {"url": url, "secret": OWN}
    assert webhook.check({"url": url}) == {"url": url}


def test_where_the_server_has_none_it_must(posts, rules, service):
    with pytest.raises(BadRequest, match="secret: is missing"):
        Webhook(posts, rules, lambda: NOW).check({"url": f"{service.url}/hook"})


@pytest.mark.parametrize("size", [24, 64])
def test_secrets_of_the_right_size_are_taken(webhook, service, size):
    secret = "whsec_" + base64.b64encode(b"s" * size).decode()
    assert webhook.check({"url": f"{service.url}/", "secret": secret})["secret"] == secret


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"url": "http://hook.example/"}, "url"),
        ({"url": "https://192.168.1.1/"}, "url"),
        ({"url": None}, "url"),
        ({"secret": "short"}, "secret"),
        ({"secret": 7}, "secret"),
        ({"secret": "whsec_!!!!"}, "secret"),
        ({"secret": "whsec_" + base64.b64encode(b"s" * 23).decode()}, "secret"),
        ({"secret": "whsec_" + base64.b64encode(b"s" * 65).decode()}, "secret"),
    ],
)
def test_what_is_wrong_is_told_by_its_field(webhook, wrong, field):
    with pytest.raises(BadRequest) as refused:
        webhook.check({"url": "https://hook.example/", "secret": OWN} | wrong)
    assert refused.value.field == field
