"""What MQTT 5 says about messages: properties that go on, expiry, and limits of what is retained."""

import pytest

from broker.mqtt import packets as p
from broker.mqtt.properties import Properties
from broker.mqtt.reasons import Reason

ABOUT = Properties(
    payload_format_indicator=True,
    content_type="text/plain",
    response_topic="answers",
    correlation_data=b"\x00\xff",
    user_properties=(("b", "2"), ("a", "1"), ("b", "2")),
)
LASTING = Properties(session_expiry_interval=1000)


async def five(world, name="c", **fields):
    return await world.client(name, level=5, **fields)


async def publish(client, topic, payload, qos=1, *, retain=False, **said):
    await client.send(p.Publish(topic, payload, qos, retain, packet_id=1, properties=Properties(**said)))
    return (await client.expect(p.Puback)).reason


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_properties_go_on_unchanged_and_311_gets_the_message_alone(world, qos):
    await world.open()
    client, plain = await five(world), await world.client("plain")
    await client.subscribe(("t", 2))
    await plain.subscribe(("t", 2))
    publisher = await five(world, "p")
    await publisher.send(p.Publish("t", b"x", qos, packet_id=min(qos, 1), properties=ABOUT))
    (one,) = await client.publishes(1)
    assert (one.topic, one.payload, one.qos, one.properties) == ("t", b"x", qos, ABOUT)
    (one,) = await plain.publishes(1)
    assert (one.topic, one.payload, one.qos, one.properties) == ("t", b"x", qos, None)


async def test_a_message_says_how_long_it_is_still_worth_something(world):
    await world.open()
    client = await five(world, properties=LASTING)
    await client.subscribe(("t", 1))
    publisher = await five(world, "p")
    await publish(publisher, "t", b"now", message_expiry_interval=1000)
    (one,) = await client.publishes(1)
    assert one.properties.message_expiry_interval in {999, 1000}
    await client.disconnect()
    await publish(publisher, "t", b"later", message_expiry_interval=1000)
    hub = world.broker._hub
    hub._clock = lambda began=hub._clock: began() + 600
    again = await five(world, clean=False, properties=LASTING)
    (one,) = await again.publishes(1)
    assert 300 < one.properties.message_expiry_interval <= 400


async def test_what_has_expired_in_a_queue_is_not_sent(world):
    await world.open()
    client = await five(world, properties=LASTING)
    await client.subscribe(("t", 2))
    await client.disconnect()
    publisher = await five(world, "p")
    await publish(publisher, "t", b"short", message_expiry_interval=500)
    await publish(publisher, "t", b"long", message_expiry_interval=1000)
    await publish(publisher, "t", b"for ever")
    hub = world.broker._hub
    hub._clock = lambda began=hub._clock: began() + 600
    again = await five(world, clean=False, properties=LASTING)
    assert [one.payload for one in await again.publishes(2)] == [b"long", b"for ever"]
    assert await again.until_pong() == []
    assert world.broker.metrics.dropped_expired == 1


async def test_what_has_expired_is_not_retained_any_longer_also_on_disk(world, until):
    await world.open(stored=True, sweep_interval=0.02)
    publisher = await five(world, "p")
    await publish(publisher, "t/short", b"x", retain=True, message_expiry_interval=500)
    await publish(publisher, "t/long", b"x", retain=True, message_expiry_interval=1000)
    hub = world.broker._hub
    hub._clock = lambda began=hub._clock: began() + 600
    client = await five(world)
    await client.subscribe(("t/#", 1))
    assert [one.topic for one in await client.publishes(1)] == ["t/long"]
    assert await client.until_pong() == []
    await until(lambda: list(world.store.retained) == ["t/long"])
    assert world.broker.metrics.retained == 1


async def test_a_retained_message_keeps_its_properties_and_its_time_on_disk(world):
    await world.open(stored=True)
    publisher = await five(world, "p")
    await publish(publisher, "t", b"x", retain=True, content_type="text/plain", message_expiry_interval=1000)
    await world.kill()
    await world.open(stored=True)
    client = await five(world)
    await client.subscribe(("t", 1))
    (one,) = await client.publishes(1)
    assert one.properties.content_type == "text/plain"
    assert 900 < one.properties.message_expiry_interval <= 1000


@pytest.mark.parametrize(
    ("limit", "most"),
    [("retained_messages", 2), ("retained_bytes", 2 * 165), ("retained_message_bytes", 165)],
)
async def test_what_is_retained_is_bounded_and_more_is_refused(world, limit, most):
    await world.open(**{limit: most})
    publisher, watch = await five(world, "p"), await world.client("watch")
    await watch.subscribe(("#", 1))
    for topic in "ab":
        assert await publish(publisher, topic, b"x" * 100, retain=True) == 0
    await watch.publishes(2)
    assert await publish(publisher, "c", b"y" * 101, retain=True) == Reason.QUOTA_EXCEEDED
    assert await watch.until_pong() == []
    assert world.broker.metrics.retained_refused == 1
    assert list(world.broker.retained_messages) == ["a", "b"]
    # 3.1.1 cannot be told: whoever is there gets it, and nobody later.
    await (await world.client("old")).publish("c", b"y" * 101, 1, retain=True)
    assert [one.payload for one in await watch.publishes(1)] == [b"y" * 101]
    assert list(world.broker.retained_messages) == ["a", "b"]
    # What is there can be replaced and cleared, which makes room.
    assert await publish(publisher, "a", b"z" * 100, retain=True) == 0
    assert await publish(publisher, "a", b"", retain=True) == 0
    assert await publish(publisher, "c", b"y" * 100, retain=True) == 0
    assert (world.broker.metrics.retained, world.broker.metrics.retained_bytes) == (2, 330)


async def test_an_inbox_update_too_large_for_its_client_comes_as_a_stub(world):
    await world.start()
    phone = await world.device("alice:phone", level=5, properties=Properties(maximum_packet_size=200))
    await phone.subscribe(("pabal/v1/inbox/alice", 1))
    large = b'{"seq":1,"epoch":"e","type":"message","conv":"alice~bob","message_id":4,"text":"%b"}' % (
        b"x" * 200
    )
    world.deliver("alice", large)
    (one,) = await phone.publishes(1)
    assert one.payload == (
        b'{"seq":1,"epoch":"e","type":"message","conv":"alice~bob","message_id":4,"truncated":true}'
    )
    world.deliver("alice", b"[%b]" % (b"1," * 200))
    world.deliver("alice", b'{"seq":3}')
    assert [one.payload for one in await phone.publishes(1)] == [b'{"seq":3}']
    assert world.broker.metrics.dropped_too_large == 1


@pytest.mark.parametrize("qos", [0, 1])
async def test_an_inbox_at_level_5_names_its_subscription(world, qos):
    await world.start()
    phone = await world.device("alice:phone", level=5)
    await phone.send(
        p.Subscribe(1, (("pabal/v1/inbox/alice", qos),), Properties(subscription_identifiers=(5,)))
    )
    await phone.expect(p.Suback)
    world.deliver("alice", b'{"seq":1}')
    (one,) = await phone.publishes(1)
    assert (one.qos, one.payload) == (qos, b'{"seq":1}')
    assert one.properties == Properties(subscription_identifiers=(5,))
