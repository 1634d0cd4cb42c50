"""The push worker in a thread of its own, and wake-ups through the broker of another loop."""

import asyncio

import pytest
from migrated import migrated_sqlite

from cli.pushing import BrokerWakes, Pushing, PushThread
from pabal.errors import Unavailable
from push.build import PushServices


class Closing:
    """A service of which nothing is asked but to close."""

    name = "closing"
    closed = 0

    def check(self, target):
        return dict(target)

    async def send(self, subscription, notification): ...

    async def close(self):
        self.closed += 1


@pytest.fixture
def url(tmp_path):
    return migrated_sqlite(tmp_path)


async def test_it_works_beside_the_loop_until_it_is_stopped_and_closes_its_services(url):
    service = Closing()
    thread = PushThread(lambda: Pushing(url, PushServices({"closing": service}, "")))
    thread.start()
    thread.wake()
    await thread.stop()
    assert not thread._thread.is_alive()
    assert service.closed == 1
    thread.wake()  # nobody is there any more, and nothing happens
    await thread.stop()


async def test_the_queue_is_counted(url):
    pushing = Pushing(url, PushServices({}, ""))
    await pushing.start()
    pushing.ping()
    async with asyncio.timeout(30):
        while not pushing.numbers.was_looked_at:
            await asyncio.sleep(0.01)
    assert (pushing.numbers.jobs, pushing.numbers.oldest_s) == (0, 0)
    await pushing.stop()


async def test_a_device_is_woken_in_the_loop_of_the_broker():
    wakes, published, came = BrokerWakes(), [], asyncio.Event()

    def publish(topic, message, qos):
        published.append((topic, message, qos, asyncio.get_running_loop()))
        came.set()

    with pytest.raises(Unavailable):
        await wakes.wake("bob", "phone", b"{}")
    wakes.open(publish)
    await asyncio.to_thread(lambda: asyncio.run(wakes.wake("bob", "phone", b"{}")))
    async with asyncio.timeout(30):
        await came.wait()
    assert published == [("pabal/v1/down/bob/phone", b"{}", 1, asyncio.get_running_loop())]


def test_without_a_loop_any_more_it_cannot_be_done():
    wakes = BrokerWakes()

    async def opened_once():
        wakes.open(lambda *_: None)

    asyncio.run(opened_once())
    with pytest.raises(Unavailable, match="gone"):
        asyncio.run(wakes.wake("bob", "phone", b"{}"))
