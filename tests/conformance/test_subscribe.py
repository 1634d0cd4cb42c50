"""SUBSCRIBE, UNSUBSCRIBE, topic filters and shared subscriptions (3.8 to 3.11, 4.7, 4.8)."""

import pytest
from wire import fixed, subscribe, unsubscribe

from broker.mqtt import packets as p
from broker.mqtt.packets import subscription_options
from broker.mqtt.properties import Properties

MALFORMED, PROTOCOL_ERROR, FILTER_INVALID = 0x81, 0x82, 0x8F


@pytest.mark.clauses(v3="3.8.3-1", v5="3.8.3-1")
async def test_the_filters_of_a_subscribe_are_utf8(place, ended):
    client = await place.client("a")
    await client.raw(subscribe(place.level, b"\xff"))
    await ended(client, MALFORMED)


@pytest.mark.clauses(v3="3.10.3-1", v5="3.10.3-1")
async def test_the_filters_of_an_unsubscribe_are_utf8(place, ended):
    client = await place.client("a")
    await client.raw(unsubscribe(place.level, b"\xff"))
    await ended(client, MALFORMED)


@pytest.mark.clauses(v3="3.8.3-3", v5="3.8.3-2")
async def test_a_subscribe_has_a_filter(place, ended):
    client = await place.client("a")
    await client.raw(fixed(0x82, b"\x00\x01" + (b"\x00" if place.level == 5 else b"")))
    await ended(client, MALFORMED, PROTOCOL_ERROR)


@pytest.mark.clauses(v3="3.10.3-2", v5="3.10.3-2")
async def test_an_unsubscribe_has_a_filter(place, ended):
    client = await place.client("a")
    await client.raw(fixed(0xA2, b"\x00\x01" + (b"\x00" if place.level == 5 else b"")))
    await ended(client, MALFORMED, PROTOCOL_ERROR)


@pytest.mark.clauses(v3="3.8.3-4", v5="3.8.3-5")
@pytest.mark.parametrize("options", [3, 0x40, 0x80])
async def test_reserved_bits_of_the_options_are_malformed(place, ended, options):
    client = await place.client("a")
    await client.raw(subscribe(place.level, b"a", options))
    await ended(client, MALFORMED, PROTOCOL_ERROR)


@pytest.mark.clauses(v3="3.8.3-2 4.7.1-2 4.7.1-3", v5="4.7.1-1 4.7.1-2")
@pytest.mark.parametrize("topic_filter", [b"a/#/b", b"a#", b"#a", b"a+", b"+a/b", b"a/b+/c"])
async def test_wildcards_in_wrong_places_are_no_subscription(place, topic_filter):
    client = await place.client("a")
    await client.raw(subscribe(place.level, topic_filter))
    found = await client.next()
    if isinstance(found, p.Suback):
        assert found.codes[0] >= p.FAILED
    else:
        assert found.reason in {MALFORMED, PROTOCOL_ERROR, FILTER_INVALID}


@pytest.mark.clauses(v3="4.7.3-1", v5="4.7.3-1")
async def test_a_topic_filter_is_not_empty(place, ended):
    client = await place.client("a")
    await client.raw(subscribe(place.level, b""))
    await ended(client, MALFORMED, PROTOCOL_ERROR)


MATCHES = [
    ("sport/#", "sport"), ("sport/#", "sport/tennis/player"), ("#", "a/b"), ("+", "a"), ("sport/+", "sport/"),
    ("+/+", "/finance"), ("/+", "/finance"), ("sport/+/player", "sport/x/player"), ("+/b/#", "a/b"), ("/", "/"),
    ("a//b", "a//b"), ("a/+/b", "a//b"), ("$data/#", "$data/x"),
]  # fmt: skip
MISSES = [
    ("sport/+", "sport"), ("sport/+", "sport/a/b"), ("+", "/finance"), ("a", "A"), ("a", "a/"), ("a/b", "a//b"),
    ("a", "a "), ("Å", "A\u030a"), ("sport/tennis", "sport/tennis/x"), ("a/b/", "a/b"),
]  # fmt: skip


@pytest.mark.clauses(v3="3.3.2-3 4.7.1-2 4.7.1-3", v5="3.3.2-3 4.7.1-1 4.7.1-2")
async def test_filters_take_in_what_they_say(place):
    sender = await place.client("sender")
    for n, (topic_filter, topic) in enumerate(MATCHES):
        client = await place.subscriber((topic_filter, 0), name=f"s{n}")
        await sender.publish(topic)
        assert [one.topic for one in await client.publishes(1)] == [topic], topic_filter
        await client.disconnect()


@pytest.mark.clauses(v3="4.7.3-4 3.3.2-3", v5="4.7.3-4 3.3.2-3")
async def test_filters_take_in_nothing_else(place):
    sender = await place.client("sender")
    for n, (topic_filter, topic) in enumerate(MISSES):
        client = await place.subscriber((topic_filter, 0), name=f"s{n}")
        await sender.publish(topic)
        assert await client.until_pong() == [], topic_filter
        await client.disconnect()


@pytest.mark.clauses(v3="4.7.2-1", v5="4.7.2-1")
@pytest.mark.parametrize("topic_filter", ["#", "+/x", "+/#"])
async def test_a_leading_wildcard_does_not_take_in_what_begins_with_a_dollar(place, topic_filter):
    client = await place.subscriber((topic_filter, 0))
    await (await place.client("sender")).publish("$data/x", retain=True)
    later = await place.subscriber((topic_filter, 0), name="later")
    assert await client.until_pong() == []
    assert await later.until_pong() == []


@pytest.mark.clauses(v3="4.7.3-3", v5="4.7.3-3")
async def test_a_topic_may_be_as_long_as_the_standard_lets_it(place):
    topic = "x" * 65_535
    client = await place.subscriber((topic, 0))
    await (await place.client("sender")).publish(topic)
    assert (await client.publishes(1))[0].topic == topic


@pytest.mark.clauses(v3="3.8.4-3", v5="3.8.4-3 3.8.4-4")
async def test_the_same_filter_again_replaces_the_subscription(place):
    sender = await place.client("sender")
    await sender.publish("a", b"kept", 1, retain=True)
    client = await place.client("a")
    for qos in (0, 1):
        assert await client.subscribe(("a", qos)) == bytes([qos])
        (found,) = await client.publishes(1)
        assert (found.retain, found.qos) == (True, qos)
    await sender.publish("a", b"new", 1)
    assert [(one.payload, one.qos) for one in await client.publishes(1)] == [(b"new", 1)]
    assert await client.until_pong() == []


@pytest.mark.clauses(v3="3.8.4-4 3.8.4-5 3.9.3-1 3.9.3-2", v5="3.8.4-5 3.8.4-6 3.8.4-7 3.9.3-1 3.9.3-2")
async def test_each_filter_has_its_answer_in_order(place):
    client = await place.client("a")
    codes = await client.subscribe(("a", 2), ("denied/topic", 0), ("b", 0), ("c", 1), ("a", 1))
    assert codes[1] >= p.FAILED
    assert bytes([codes[0], *codes[2:]]) == b"\x02\x00\x01\x01"


@pytest.mark.clauses(v3="3.8.4-6", v5="3.8.4-8")
async def test_messages_come_at_the_lesser_qos(place):
    sender = await place.client("sender")
    for granted in (0, 1, 2):
        client = await place.subscriber((f"t{granted}", granted), name=f"s{granted}")
        for qos in (0, 1, 2):
            await sender.publish(f"t{granted}", qos=qos)
        assert [one.qos for one in await client.publishes(3)] == [min(granted, qos) for qos in (0, 1, 2)]


@pytest.mark.clauses(v3="3.3.5-1", v5="3.3.4-2 3.3.4-3 3.3.4-4")
async def test_overlapping_subscriptions_give_the_greatest_qos(place):
    client = await place.client("a")
    for n, (topic_filter, qos) in enumerate((("a/#", 2), ("a/+", 1), ("#", 0)), start=1):
        said = Properties(subscription_identifiers=(n,)) if place.level == 5 else None
        await client.send(p.Subscribe(n, ((topic_filter, qos),), said))
        await client.expect(p.Suback)
    await (await place.client("sender")).publish("a/b", qos=2)
    found = [one for one in await client.until_pong() if isinstance(one, p.Publish)]
    assert max(one.qos for one in found) == 2
    if place.level == 5:
        assert {n for one in found for n in one.properties.subscription_identifiers} == {1, 2, 3}


@pytest.mark.clauses(v3="3.10.4-1", v5="3.10.4-1")
async def test_an_unsubscribe_takes_away_what_is_the_same_to_the_letter(place):
    client = await place.subscriber(("a/+", 0), ("a/b", 0), ("A/b", 0))
    sender = await place.client("sender")
    await client.unsubscribe("a/b")
    await sender.publish("a/b", b"1")
    assert [one.payload for one in await client.publishes(1)] == [b"1"]
    await client.unsubscribe("a/+")
    await sender.publish("a/b", b"2")
    await sender.publish("A/b", b"3")
    assert [one.payload for one in await client.publishes(1)] == [b"3"]


@pytest.mark.clauses(v3="3.10.4-2", v5="3.10.4-2")
async def test_after_an_unsubscribe_nothing_new_comes(place):
    client = await place.subscriber(("a", 1))
    await client.unsubscribe("a")
    await (await place.client("sender")).publish("a", qos=1)
    assert await client.until_pong() == []


@pytest.mark.clauses(v3="3.10.4-3", v5="3.10.4-3")
@pytest.mark.parametrize("qos", [1, 2])
async def test_what_was_begun_before_an_unsubscribe_is_finished(place, qos):
    client = await place.lasting("a")
    await client.subscribe(("a", qos))
    await (await place.client("sender")).publish("a", b"begun", qos)
    (found,) = await client.publishes(1, ack=False)
    await client.unsubscribe("a")
    client = await place.lasting("a")
    (again,) = await client.publishes(1, ack=False)
    assert (again.packet_id, again.payload, again.dup) == (found.packet_id, b"begun", True)


@pytest.mark.clauses(v3="3.10.4-5 3.10.4-6", v5="3.10.4-5 3.10.4-6 3.11.3-1 3.11.3-2")
async def test_an_unsubscribe_is_answered_once_whatever_stood(place):
    client = await place.subscriber(("b", 0))
    await client.send(p.Unsubscribe(9, ("a", "b", "c")))
    answer = await client.expect(p.Unsuback)
    assert answer == p.Unsuback(9, b"" if place.level == 4 else b"\x11\x00\x11")
    assert await client.until_pong() == []


@pytest.mark.clauses(v5="3.8.3-3")
async def test_with_no_local_nobody_hears_himself(place):
    client = await place.subscriber(("a", subscription_options(0, no_local=True)))
    await client.publish("a", b"own")
    await (await place.client("other")).publish("a", b"other")
    assert [one.payload for one in await client.publishes(1)] == [b"other"]


@pytest.mark.clauses(v5="3.8.3-4")
async def test_a_shared_subscription_cannot_be_no_local(place, ended):
    client = await place.client("a")
    await client.send(p.Subscribe(1, (("$share/g/a", subscription_options(0, no_local=True)),)))
    await ended(client, PROTOCOL_ERROR)


@pytest.mark.clauses(v5="4.8.2-1 4.8.2-2")
@pytest.mark.parametrize("topic_filter", ["$share/g", "$share//a", "$share/g/", "$share/+/a", "$share/g#/a"])
async def test_a_share_has_a_name_and_a_filter(place, topic_filter):
    client = await place.client("a")
    await client.send(p.Subscribe(1, ((topic_filter, 0),)))
    found = await client.next()
    if isinstance(found, p.Suback):
        assert found.codes[0] >= p.FAILED
    else:
        assert found.reason in {MALFORMED, PROTOCOL_ERROR, FILTER_INVALID}


@pytest.mark.clauses(v5="4.8.2-3")
async def test_a_shared_message_goes_to_one_at_its_own_qos(place):
    members = [await place.subscriber(("$share/g/a", 1), name=f"m{n}") for n in range(3)]
    other = await place.subscriber(("$share/h/a", 0), name="other")
    sender = await place.client("sender")
    for n in range(10):
        await sender.publish("a", b"%d" % n, 2)
    found = [one for client in members for one in await client.until_pong() if isinstance(one, p.Publish)]
    assert [one.payload for one in found] == [b"%d" % n for n in range(10)]
    assert {one.qos for one in found} == {1}
    assert {one.qos for one in await other.publishes(10)} == {0}


@pytest.mark.clauses(v5="4.8.2-4")
async def test_a_shared_qos_2_message_that_was_begun_is_finished_with_the_same_client(place):
    client = await place.lasting("a")
    await client.subscribe(("$share/g/a", 2))
    await (await place.client("sender")).publish("a", b"x", 2)
    (found,) = await client.publishes(1, ack=False)
    client.cut()
    other = await place.subscriber(("$share/g/a", 2), name="other")
    client = await place.lasting("a")
    (again,) = await client.publishes(1, ack=False)
    assert (again.packet_id, again.dup) == (found.packet_id, True)
    assert await other.until_pong() == []


@pytest.mark.clauses(v5="4.8.2-6 4.4.0-2")
@pytest.mark.parametrize(("qos", "answer"), [(1, p.Puback), (2, p.Pubrec)])
async def test_what_a_client_refuses_goes_nowhere_else(place, qos, answer):
    client = await place.lasting("a")
    await client.subscribe(("$share/g/a", qos))
    await (await place.client("sender")).publish("a", b"x", qos)
    (found,) = await client.publishes(1, ack=False)
    await client.send(answer(found.packet_id, 0x80))
    await client.ping()
    other = await place.subscriber(("$share/g/a", qos), name="other")
    assert await other.until_pong() == []
    client = await place.lasting("a")
    assert await client.until_pong() == []
