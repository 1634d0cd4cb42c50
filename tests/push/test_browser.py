"""Web Push all the way to a browser: a stand-in of Mozilla's service, with a browser of our own and with a real one."""

import asyncio
import json
import time

import pytest
import websockets.sync.client
from browser import FIREFOX, NEEDED, firefox, page
from mozilla_stand_in import mozilla
from push_talk import HELLO, Receiver, subscription

from bridge.push.ports import Gone, Sent, SubscribeAgain
from push.build import PushSettings, build

# A browser needs a few seconds on a quiet machine; this is for one that is not.
PATIENCE_S = 60.0


@pytest.fixture
def service(tmp_path):
    with mozilla(tmp_path) as made:
        yield made


@pytest.fixture
def services(service, tmp_path):
    return build(
        PushSettings(tmp_path / "data", private_endpoints=("localhost",), ca=service.endpoints.ca_file)
    )


class _Browser:
    """As much of a browser as the service sees of one."""

    def __init__(self, service, key):
        self._connection = websockets.sync.client.connect(service.ws_url)
        self.receiver = Receiver()
        self.say({"messageType": "hello", "use_webpush": True})
        assert self.hear()["status"] == 200
        self.say({"messageType": "register", "channelID": "c1", "key": key})
        self.endpoint = self.hear()["pushEndpoint"]

    def say(self, what):
        self._connection.send(json.dumps(what))

    def hear(self):
        return json.loads(self._connection.recv(timeout=30))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._connection.close()


async def test_what_the_service_hands_on_can_be_read_by_the_browser_alone(service, services):
    with _Browser(service, services.vapid_key) as browser:
        target = services.check("webpush", {"endpoint": browser.endpoint, "keys": browser.receiver.keys})
        outcome = await services["webpush"].send(subscription("webpush", **target), HELLO)
        heard = browser.hear()
    await services.close()
    assert outcome == Sent(f"201 {service.endpoints.url}/m/{heard['version']}")
    assert (heard["channelID"], heard["headers"]) == ("c1", {"encoding": "aes128gcm"})
    told = json.loads(browser.receiver.read_text(heard["data"]))
    assert (told["title"], told["body"], told["badge"]) == ("Alice", "안녕, Bob", 3)


async def test_a_browser_that_has_subscribed_with_another_key_is_asked_to_do_so_again(
    service, services, tmp_path
):
    other = build(PushSettings(tmp_path / "other"))
    with _Browser(service, other.vapid_key) as browser:
        target = {"endpoint": browser.endpoint, **browser.receiver.keys}
        outcome = await services["webpush"].send(subscription("webpush", **target), HELLO)
    await services.close()
    assert isinstance(outcome, SubscribeAgain)


async def test_one_that_has_taken_its_subscription_back_is_gone(service, services):
    with _Browser(service, services.vapid_key) as browser:
        browser.say({"messageType": "unregister", "channelID": "c1"})
        assert browser.hear()["status"] == 200
        target = {"endpoint": browser.endpoint, **browser.receiver.keys}
        outcome = await services["webpush"].send(subscription("webpush", **target), HELLO)
    await services.close()
    assert isinstance(outcome, Gone)


@pytest.mark.skipif(FIREFOX is None, reason=NEEDED)
async def test_a_push_reaches_the_service_worker_of_a_real_browser(service, services, tmp_path):
    with page(services.vapid_key) as served, firefox(tmp_path, served.url, service.ws_url):
        given = served.told("/subscribed", PATIENCE_S)
        target = services.check("webpush", given)
        outcome = await services["webpush"].send(subscription("webpush", **target), HELLO)
        assert isinstance(outcome, Sent)
        told = served.told("/pushed", PATIENCE_S)
        deadline = time.monotonic() + PATIENCE_S
        while outcome.answer.rpartition("/")[2] not in service.acked:
            assert time.monotonic() < deadline, f"not acknowledged: {service.said}"
            await asyncio.sleep(0.05)
    await services.close()
    assert (told["title"], told["body"], told["conv"], told["badge"]) == (
        "Alice",
        "안녕, Bob",
        "alice~bob",
        3,
    )
