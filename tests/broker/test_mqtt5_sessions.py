"""How long sessions last in MQTT 5, and when wills are due."""

import time

import pytest

from broker.mqtt import packets as p
from broker.mqtt.properties import Properties
from broker.mqtt.reasons import Reason


def lasting(seconds):
    return Properties(session_expiry_interval=seconds)


async def five(world, name="c", seconds=None, **fields):
    properties = None if seconds is None else lasting(seconds)
    return await world.client(name, level=5, properties=properties, **fields)


async def watcher(world):
    client = await world.client("watcher")
    await client.subscribe(("w", 1))
    return client


def will(delay=None, **properties):
    return p.Will("w", b"gone", 1, properties=Properties(will_delay_interval=delay, **properties))


@pytest.mark.parametrize(
    ("seconds", "present"), [(None, False), (0, False), (1000, True), (0xFFFF_FFFF, True)]
)
async def test_a_session_outlives_its_connection_if_it_says_so(world, seconds, present):
    await world.open()
    await (await five(world, seconds=seconds, clean=False)).disconnect()
    assert (await five(world, clean=False)).present is present


async def test_clean_start_begins_a_new_session_that_may_last(world):
    await world.open()
    client = await five(world, seconds=1000)
    await client.subscribe(("t", 1))
    await client.disconnect()
    again = await five(world, seconds=1000)
    assert not again.present
    assert "c" not in [view.client_id for pairs in world.broker.subscriptions.values() for view, _ in pairs]
    await again.disconnect()
    assert (await five(world, clean=False)).present


async def test_a_session_is_over_when_its_time_is_and_not_while_its_client_is_here(world, until):
    await world.open(stored=True)
    gone, here = await five(world, "gone", 1), await five(world, "here", 1)
    await gone.subscribe(("t", 1))
    await gone.disconnect()
    await until(lambda: "gone" not in world.store.sessions)
    assert not world.broker.subscriptions
    assert world.broker.metrics.sessions_expired == 1
    await here.ping()
    assert list(world.store.sessions) == ["here"]


async def test_a_client_that_comes_back_in_time_stops_the_clock(world):
    await world.open()
    await (await five(world, "back", 1000)).disconnect()
    hub = world.broker._hub
    absence = hub.sessions["back"].absence
    assert absence in hub.wheel._places
    assert (await five(world, "back", 1000, clean=False)).present
    assert absence not in hub.wheel._places
    assert hub.sessions["back"].absence is None


async def test_a_disconnect_may_change_how_long_the_session_lasts(world):
    await world.open(stored=True)
    client = await five(world, seconds=1000)
    await client.send(p.Disconnect(properties=lasting(2000)))
    await client.closed()
    again = await five(world, seconds=1000, clean=False)
    assert again.present
    await again.send(p.Disconnect(properties=lasting(0)))
    await again.closed()
    assert not (await five(world, clean=False)).present
    assert not world.store.sessions


async def test_a_disconnect_may_not_make_a_session_last_that_was_not_to(world):
    await world.open()
    client = await five(world)
    await client.send(p.Disconnect(properties=lasting(5)))
    (told,) = await client.closed()
    assert told.reason == Reason.PROTOCOL_ERROR


async def test_a_session_lasts_no_longer_than_the_server_lets_it_and_is_told_so(world):
    await world.open(session_expiry_max=100)
    client = await five(world, seconds=101)
    assert client.connack.properties.session_expiry_interval == 100
    at_most = await five(world, "at most", 100)
    assert at_most.connack.properties.session_expiry_interval is None
    plain = await world.client("plain", clean=False)
    await plain.disconnect()
    assert world.broker._hub.sessions["plain"].expiry == 100


async def test_there_are_so_many_sessions_that_last_and_no_more(world):
    await world.open(sessions_total=2)
    for name in ("one", "two"):
        await (await five(world, name, 1000)).disconnect()
    third = await world.raw()
    answer = await third.login("three", level=5, properties=lasting(1000))
    assert answer.code == Reason.QUOTA_EXCEEDED
    assert world.broker.metrics.sessions_refused == 1
    assert world.broker.metrics.sessions_persistent == 2
    await five(world, "passing")
    assert (await five(world, "two", 1000, clean=False)).present
    assert not (await five(world, "two", 0)).present
    await five(world, "three", 1000)


async def test_a_will_waits_for_its_delay(world):
    await world.open()
    watch = await watcher(world)
    client = await five(world, seconds=1000, will=will(1, content_type="text/plain"))
    began = time.monotonic()
    client.cut()
    (got,) = await watch.publishes(1)
    assert got.payload == b"gone"
    assert time.monotonic() - began > 0.9
    assert await watch.until_pong() == []


async def test_a_client_that_is_back_in_time_has_not_died(world, until):
    await world.open()
    watch = await watcher(world)
    client = await five(world, seconds=1000, will=will(3600))
    hub = world.broker._hub
    client.cut()
    await until(lambda: hub.sessions["c"].absence)
    absence = hub.sessions["c"].absence
    assert absence.will is not None
    again = await five(world, seconds=1000, clean=False)
    assert again.present
    assert absence not in hub.wheel._places
    # It left its will with the connection that is gone, and this one has none.
    again.cut()
    await until(lambda: hub.sessions["c"].absence)
    assert hub.sessions["c"].absence.will is None
    assert await watch.until_pong() == []


@pytest.mark.parametrize("seconds", [0, 1])
async def test_the_end_of_the_session_does_not_wait_for_the_delay(world, seconds):
    await world.open()
    watch = await watcher(world)
    client = await five(world, seconds=seconds, will=will(3600))
    client.cut()
    assert [one.payload for one in await watch.publishes(1)] == [b"gone"]


async def test_a_clean_start_ends_the_session_and_so_publishes_the_will_that_waits(world, until):
    await world.open()
    watch = await watcher(world)
    client = await five(world, seconds=1000, will=will(3600))
    client.cut()
    await until(lambda: world.broker.metrics.connections == 1)
    await five(world)
    assert [one.payload for one in await watch.publishes(1)] == [b"gone"]


async def test_a_takeover_of_the_session_is_no_death_where_the_will_waits(world):
    await world.open()
    watch = await watcher(world)
    old = await five(world, seconds=1000, will=will(3600))
    new = await five(world, seconds=1000, clean=False)
    assert new.present
    assert [one.reason for one in await old.closed()] == [Reason.SESSION_TAKEN_OVER]
    assert await watch.until_pong() == []
    await five(world, will=will())
    await five(world, clean=False)
    assert [one.payload for one in await watch.publishes(1)] == [b"gone"]


async def test_a_disconnect_may_ask_for_the_will(world):
    await world.open()
    watch = await watcher(world)
    client = await five(world, will=will())
    await client.send(p.Disconnect(Reason.DISCONNECT_WITH_WILL_MESSAGE))
    assert [one.payload for one in await watch.publishes(1)] == [b"gone"]
    polite = await five(world, will=will())
    await polite.disconnect()
    assert await watch.until_pong() == []


async def test_a_will_carries_its_properties(world):
    await world.open()
    watch = await five(world, "watch")
    await watch.subscribe(("w", 1))
    about = {"content_type": "text/plain", "message_expiry_interval": 60, "user_properties": (("a", "1"),)}
    client = await five(world, will=will(**about))
    client.cut()
    assert (await watch.publishes(1))[0].properties == Properties(**about)


async def test_the_window_is_no_larger_than_the_client_wants_it(world):
    await world.open()
    client = await world.client(
        "s", level=5, properties=Properties(receive_maximum=2, session_expiry_interval=1000)
    )
    await client.subscribe(("t", 2))
    publisher = await world.client("p")
    for number in range(4):
        await publisher.publish("t", b"%d" % number, 1 + number % 2)
    one, two = await client.publishes(2, ack=False)
    assert await client.until_pong() == []
    await client.send(p.Puback(one.packet_id))
    three = await client.expect(p.Publish)
    await client.send(p.Pubrec(two.packet_id))
    assert await client.next() == p.Pubrel(two.packet_id)
    # A QoS 2 message is on its way until its PUBCOMP (4.9).
    assert await client.until_pong() == []
    await client.send(p.Pubcomp(two.packet_id))
    four = await client.expect(p.Publish)
    client.cut()
    fewer = Properties(receive_maximum=1, session_expiry_interval=1000)
    again = await world.client("s", level=5, clean=False, properties=fewer)
    for late in (three, four):
        now = await again.expect(p.Publish)
        assert (now.payload, now.packet_id, now.dup) == (late.payload, late.packet_id, True)
        assert await again.until_pong() == []
        if now.qos == 1:
            await again.send(p.Puback(now.packet_id))
        else:
            await again.send(p.Pubrec(now.packet_id))
            await again.expect(p.Pubrel)


async def test_a_pubrec_that_refuses_ends_the_delivery_and_an_unknown_one_is_told(world):
    await world.open()
    client = await five(world)
    await client.subscribe(("t", 2))
    await (await world.client("p")).publish("t", b"x", 2)
    (one,) = await client.publishes(1, ack=False)
    await client.send(p.Pubrec(one.packet_id, Reason.QUOTA_EXCEEDED))
    await client.ping()
    assert not world.broker._hub.sessions["c"].inflight
    await client.send(p.Pubrec(one.packet_id))
    assert await client.next() == p.Pubrel(one.packet_id, Reason.PACKET_IDENTIFIER_NOT_FOUND)


async def test_what_is_too_large_for_a_client_counts_as_sent(world):
    await world.open()
    client = await world.client(
        "s", level=5, properties=Properties(maximum_packet_size=40, topic_alias_maximum=1)
    )
    await client.subscribe(("t", 2))
    publisher = await world.client("p")
    for qos in (0, 1, 2):
        await publisher.publish("t", b"x" * 50, qos)
    await publisher.publish("t", b"small", 1)
    (got,) = await client.publishes(1)
    # The alias of a topic that was never sent is not taken for known.
    assert (got.topic, got.payload, got.properties) == ("t", b"small", Properties(topic_alias=1))
    assert world.broker.metrics.dropped_too_large == 3
    assert await client.until_pong() == []


async def test_topics_get_as_many_numbers_as_the_client_takes(world):
    await world.open()
    client = await world.client("s", level=5, properties=Properties(topic_alias_maximum=1))
    await client.subscribe(("#", 1))
    publisher = await world.client("p")
    for topic in ("a", "b", "a"):
        await publisher.publish(topic, b"x", 1)
    got = await client.publishes(3)
    assert [(one.topic, one.properties and one.properties.topic_alias) for one in got] == [
        ("a", 1),
        ("b", None),
        ("", 1),
    ]
