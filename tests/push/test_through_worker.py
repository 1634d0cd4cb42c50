"""Bad endpoints through the real worker and its queue: each is a dead letter with its reason, and others' pushes go on."""

import asyncio
import json

import pytest
from bridge_fakes import FakeBroker
from bridge_harness import Harness, populate
from message_talk import Clock
from migrated import migrated_sqlite
from push_stand_in import Answer
from push_talk import Receiver
from push_world import PushTalk

from bridge.build import Bridge
from bridge.push.worker import Worker
from bridge.store.engine import open_engine
from bridge.store.push_store import PushStore
from push.build import PushServices
from push.encrypted_push import EncryptedPush
from push.endpoints import LONGEST_URL
from push.http_posts import HttpPosts, Patience
from push.vapid import Vapid, open_key
from push.web_push import WebPush
from push.webhook import Webhook

SECRET = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"
PATIENCE_S = 60


@pytest.fixture
async def hasty(service, rules):
    """There are 25 tries before one is given up."""
    patience = Patience(connect=0.5, write=0.5, read=0.15, pool=0.5, total=1.0)
    made = HttpPosts(rules, context=service.trusting(), patience=patience)
    yield made
    await made.close()


@pytest.fixture
def services(hasty, rules, tmp_path):
    tokens = Vapid(open_key(tmp_path), "mailto:ops@chat.example", lambda: 1.8e9)
    sending = EncryptedPush(hasty, tokens, rules, lambda: 1.8e9, LONGEST_URL)
    made = (WebPush(sending), Webhook(hasty, rules, lambda: 1.8e9))
    return PushServices({one.name: one for one in made}, "")


@pytest.fixture
async def push(tmp_path, services):
    clock = Clock()
    url = migrated_sqlite(tmp_path, populate)
    engine = open_engine(url)
    bridge, broker = Bridge(url, faults=clock, push_targets=services), FakeBroker()
    store = PushStore.open(url)
    await bridge.start(broker)
    yield PushTalk(Harness(bridge, broker), clock, store, engine)
    await bridge.stop()
    store.close()
    engine.dispose()


class _Working:
    """A worker whose time passes quickly, so that every try that may come comes."""

    def __init__(self, push, services):
        self._push = push
        self.worker = Worker(
            push.store, services, name="w", now_ms=push.clock.now_ms, chance=lambda: 1.0, poll_s=0.01
        )

    async def until(self, condition):
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await asyncio.sleep(0.02)
                if not self._push.count_due():
                    # Half an hour: longer than any pause, and shorter than a push is of use.
                    self._push.clock.now += 1_800_000

    async def __aenter__(self):
        await self.worker.start()
        return self

    async def __aexit__(self, *_):
        await self.worker.stop()


def _hook(service, path):
    return {"service": "webhook", "url": f"{service.url}/{path}", "secret": SECRET}


def _states(push, user):
    return {(state, answer) for _kind, _id, state, answer in push.jobs(user)}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(never=True), "no answer in time"),
        (Answer(500, b"<html>?</html>"), "answered 500: <html>?</html>"),
        (Answer(418, b"\x00\xff teapot"), "answered 418"),
    ],
)
async def test_a_bad_endpoint_is_a_dead_letter_with_its_reason_and_others_go_on(
    service, services, push, answer, reason
):
    service.rule = lambda received: answer if received.path == "/bad" else Answer(204)
    for device, path in (("d", "bad"), ("e", "good")):
        if device != "d":
            push.add_device("bob", device)
        await push.ok("bob", {"op": "push.set", **_hook(service, path)}, device=device)
    await push.ok("alice", {"to": "bob", "text": "hello"})

    def came() -> set[str]:
        return {received.path for received in service.requests}

    async with _Working(push, services) as working:
        async with asyncio.timeout(PATIENCE_S):
            while "/good" not in came():
                await asyncio.sleep(0.01)
        await working.until(lambda: not push.count_due() and len(push.store.dead(before_ts=2**53, limit=9)))
    (dead,) = push.store.dead(before_ts=2**53, limit=9)
    assert (dead.user, dead.device, dead.service) == ("bob", "d", "webhook")
    assert reason in dead.reason
    assert "sent" in {state for state, _ in _states(push, "bob")}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"service": "webhook", "url": "https://10.0.0.1/", "secret": SECRET}, "url"),
        ({"service": "webhook", "url": "https://push.example/", "secret": "short"}, "secret"),
        ({"service": "webpush", "endpoint": "https://192.168.0.1/", **Receiver().keys}, "endpoint"),
        (
            {"service": "webpush", "endpoint": "https://push.example/", "p256dh": "AAAA", "auth": "AAAA"},
            "p256dh",
        ),
        ({"service": "webpush"}, "endpoint"),
        ({"service": "fcm", "token": "t"}, "service"),
    ],
)
async def test_a_malformed_subscription_is_a_bad_request_that_names_the_field(push, wrong, field):
    assert await push.refused("bob", {"op": "push.set", **wrong}) == ("bad_request", field)


async def test_an_endpoint_that_turns_out_to_be_private_is_a_dead_letter(service, services, push):
    await push.ok("bob", {"op": "push.set", **_hook(service, "hook")}, device="d")
    # As a name of the public Internet that has come to mean another address since.
    target = json.dumps({"url": f"https://127.0.0.2:{service.port}/", "secret": SECRET})
    push.execute("UPDATE push_subscription SET target = :target", target=target)
    await push.ok("alice", {"to": "bob", "text": "hello"})
    async with _Working(push, services) as working:
        await working.until(lambda: push.store.dead(before_ts=2**53, limit=9))
    (dead,) = push.store.dead(before_ts=2**53, limit=9)
    assert dead.reason == "refused: 127.0.0.2 is at a private address"
    assert service.requests == []


async def test_a_subscription_that_is_gone_is_told_in_the_inbox(service, services, push):
    service.rule = lambda _: Answer(410)
    await push.ok("bob", {"op": "push.set", **_hook(service, "hook")}, device="d")
    await push.ok("alice", {"to": "bob", "text": "hello"})
    async with _Working(push, services), asyncio.timeout(PATIENCE_S):
        while not any(update.get("event") == "push_gone" for update in push.live("bob")):
            await asyncio.sleep(0.02)
