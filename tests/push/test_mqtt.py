"""A wake-up over MQTT itself."""

import json
from dataclasses import replace

import pytest
from push_talk import CLEAR, HELLO, subscription

from bridge.push.ports import Refused, Sent, TryLater
from pabal.errors import Unavailable
from push.mqtt import LIMIT, MqttWake

DEVICE = subscription("mqtt")


class FakeWakes:
    def __init__(self):
        self.woken = []
        self.is_down = False

    async def wake(self, user, device, message):
        if self.is_down:
            raise Unavailable("no broker")
        self.woken.append((user, device, message))


@pytest.fixture
def wakes():
    return FakeWakes()


async def test_the_device_is_woken_with_what_is_new(wakes):
    assert await MqttWake(wakes).send(DEVICE, HELLO) == Sent("published")
    ((user, device, message),) = wakes.woken
    assert (user, device) == ("bob", "phone")
    assert json.loads(message) == {
        "op": "wake", "push_id": "p1", "kind": "message", "seq": 17, "conv": "alice~bob", "message_id": 4,
        "badge": 3, "ts": HELLO.ts, "title": "Alice", "body": "안녕, Bob",
    }  # fmt: skip


async def test_a_small_device_is_told_little(wakes):
    await MqttWake(wakes).send(DEVICE, replace(HELLO, body="안" * 1000))
    assert LIMIT - 4 <= len(wakes.woken[0][2]) <= LIMIT
    assert isinstance(await MqttWake(wakes).send(DEVICE, replace(CLEAR, push_id="p" * LIMIT)), Refused)
    assert len(wakes.woken) == 1


async def test_without_a_broker_it_is_tried_later(wakes):
    wakes.is_down = True
    assert await MqttWake(wakes).send(DEVICE, HELLO) == TryLater("not published: no broker")


async def test_there_is_nothing_to_choose(wakes):
    service = MqttWake(wakes)
    assert service.check({"anything": 1}) == {}
    await service.close()
