"""Last wills and DISCONNECT (3.1.2.5, 3.14)."""

import pytest

from broker.mqtt import packets as p
from broker.mqtt.properties import Properties


@pytest.mark.clauses(v3="3.1.2-8", v5="3.1.2-7 3.1.2-8")
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_the_will_of_a_connection_that_breaks_is_published(place, qos):
    watcher = await place.subscriber(("wills", 2))
    client = await place.client("a", will=p.Will("wills", b"gone", qos))
    client.cut()
    (found,) = await watcher.publishes(1)
    assert (found.payload, found.qos, found.retain) == (b"gone", qos, False)


@pytest.mark.clauses(v3="3.1.2-8 3.1.2-10 3.14.4-3", v5="3.1.2-8 3.1.2-10 3.14.4-3")
async def test_a_disconnect_takes_the_will_away(place):
    watcher = await place.subscriber(("wills", 0))
    client = await place.client("a", will=p.Will("wills", b"gone"))
    await client.disconnect()
    await place.client("a")
    assert await watcher.until_pong() == []


@pytest.mark.clauses(v3="3.1.2-10", v5="3.1.2-10")
async def test_a_will_is_published_once(place):
    watcher = await place.subscriber(("wills", 0))
    client = await place.lasting("a", will=p.Will("wills", b"gone"))
    client.cut()
    await watcher.publishes(1)
    (await place.lasting("a")).cut()
    await place.lasting("a")
    assert await watcher.until_pong() == []


@pytest.mark.clauses(v3="3.1.2-12")
async def test_without_a_will_nothing_is_published(place):
    watcher = await place.subscriber(("#", 0))
    client = await place.lasting("a")
    client.cut()
    await place.lasting("a")
    assert await watcher.until_pong() == []


@pytest.mark.clauses(v3="3.1.2-16", v5="3.1.2-14")
async def test_a_will_is_not_retained_unless_it_says_so(place):
    watcher = await place.subscriber(("wills", 0))
    (await place.client("a", will=p.Will("wills", b"gone"))).cut()
    await watcher.publishes(1)
    later = await place.subscriber(("wills", 0), name="later")
    assert await later.until_pong() == []


@pytest.mark.clauses(v3="3.1.2-17", v5="3.1.2-15")
async def test_a_will_may_be_retained(place):
    watcher = await place.subscriber(("wills", 0))
    (await place.client("a", will=p.Will("wills", b"gone", retain=True))).cut()
    await watcher.publishes(1)
    later = await place.subscriber(("wills", 0), name="later")
    (found,) = await later.publishes(1)
    assert (found.payload, found.retain) == (b"gone", True)


@pytest.mark.clauses(v3="3.1.2-8", v5="3.1.2-8")
async def test_a_protocol_error_is_no_disconnect(place, ended):
    watcher = await place.subscriber(("wills", 0))
    client = await place.client("a", will=p.Will("wills", b"gone"))
    await client.raw(b"\x00\x00")
    await ended(client)
    assert (await watcher.publishes(1))[0].payload == b"gone"


@pytest.mark.clauses(v5="3.1.2-8 3.14.4-3")
async def test_a_disconnect_may_ask_for_the_will(place):
    watcher = await place.subscriber(("wills", 0))
    client = await place.client("a", will=p.Will("wills", b"gone"))
    await client.send(p.Disconnect(0x04))
    assert (await watcher.publishes(1))[0].payload == b"gone"


@pytest.mark.clauses(v5="3.1.3-9 3.1.2-8")
async def test_a_delayed_will_is_not_sent_if_the_client_is_back_in_time(place):
    watcher = await place.subscriber(("wills", 0))
    will = p.Will("wills", b"gone", properties=Properties(will_delay_interval=1000))
    (await place.lasting("a", will=will)).cut()
    client = await place.lasting("a")
    await client.ping()
    assert await watcher.until_pong() == []


@pytest.mark.clauses(v5="3.1.2-8")
@pytest.mark.parametrize(("delay", "expiry"), [(1, 1000), (1000, 1), (1000, 0)])
async def test_a_delayed_will_is_sent_when_its_delay_or_the_session_is_over(place, delay, expiry):
    watcher = await place.subscriber(("wills", 0))
    will = p.Will("wills", b"gone", properties=Properties(will_delay_interval=delay))
    properties = Properties(session_expiry_interval=expiry)
    (await place.client("a", will=will, properties=properties)).cut()
    (found,) = await watcher.publishes(1)
    assert (found.payload, found.properties) == (b"gone", None)


@pytest.mark.clauses(v5="3.3.2-15 3.3.2-16 3.3.2-17 3.3.2-20")
async def test_the_properties_of_a_will_are_passed_on(place):
    watcher = await place.subscriber(("wills", 0))
    said = Properties(
        content_type="c", response_topic="r", correlation_data=b"d", user_properties=(("k", "1"), ("k", "2"))
    )
    (await place.client("a", will=p.Will("wills", b"gone", properties=said))).cut()
    assert (await watcher.publishes(1))[0].properties == said


@pytest.mark.clauses(v3="3.14.4-1 3.14.4-2", v5="3.14.4-1 3.14.4-2")
async def test_nothing_after_a_disconnect_is_looked_at(place):
    watcher = await place.subscriber(("#", 0))
    client = await place.client("a")
    await client.send(p.Disconnect(), p.Publish("a", b"too late"))
    assert await client.closed() == []
    assert await watcher.until_pong() == []


@pytest.mark.clauses(v5="3.14.2-2")
async def test_a_disconnect_of_the_server_says_nothing_of_expiry(place):
    first = await place.lasting("a")
    await place.lasting("a")
    (last,) = await first.closed()
    assert last.reason == 0x8E
    assert last.properties is None or last.properties.session_expiry_interval is None


@pytest.mark.clauses(v5="4.13.1-1")
async def test_a_session_that_ends_at_once_cannot_be_prolonged_at_its_end(place, ended):
    client = await place.client("a")
    await client.send(p.Disconnect(0, Properties(session_expiry_interval=10)))
    await ended(client, 0x82)
