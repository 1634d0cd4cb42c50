"""PUBLISH: flags, topics, retained messages and what is passed on with them (3.3, 4.7)."""

import pytest
from wire import publish

from broker.mqtt import packets as p
from broker.mqtt.packets import RetainHandling, subscription_options
from broker.mqtt.properties import Properties

MALFORMED, PROTOCOL_ERROR, TOPIC_INVALID = 0x81, 0x82, 0x90
ALL_OF_IT = Properties(
    payload_format_indicator=True,
    content_type="text/plain",
    response_topic="answers/here",
    correlation_data=b"\x00\xff",
    user_properties=(("b", "2"), ("a", "1"), ("b", "1")),
)


@pytest.mark.clauses(v3="3.3.1-2", v5="3.3.1-2")
async def test_dup_at_qos_0_ends_the_connection(place, ended):
    client = await place.client("a")
    await client.raw(publish(place.level, b"a", flags=8))
    await ended(client, MALFORMED, PROTOCOL_ERROR)


@pytest.mark.clauses(v3="3.3.1-4", v5="3.3.1-4")
async def test_qos_3_ends_the_connection(place, ended):
    client = await place.client("a")
    await client.raw(publish(place.level, b"a", qos=3))
    await ended(client, MALFORMED)


@pytest.mark.clauses(v3="3.3.1-3", v5="3.3.1-3")
@pytest.mark.parametrize("qos", [1, 2])
async def test_dup_of_a_sender_is_not_passed_on(place, qos):
    client = await place.subscriber(("a", qos))
    sender = await place.client("sender")
    await sender.send(p.Publish("a", b"x", qos, dup=True, packet_id=5))
    (found,) = await client.publishes(1)
    assert (found.qos, found.dup) == (qos, False)


@pytest.mark.clauses(v3="3.3.2-2 4.7.1-1", v5="3.3.2-2 4.7.0-1")
@pytest.mark.parametrize("topic", [b"#", b"a/+", b"a/#", b"a+", b"a#b"])
async def test_a_topic_name_has_no_wildcards(place, ended, topic):
    client = await place.client("a")
    await client.raw(publish(place.level, topic))
    await ended(client, MALFORMED, PROTOCOL_ERROR, TOPIC_INVALID)


@pytest.mark.clauses(v3="4.7.3-1", v5="4.7.3-1")
async def test_a_topic_name_is_not_empty(place, ended):
    client = await place.client("a")
    await client.raw(publish(place.level, b""))
    await ended(client, MALFORMED, PROTOCOL_ERROR)


@pytest.mark.clauses(v3="3.3.5-2")
async def test_a_publish_that_is_not_allowed_is_acknowledged_or_ends_the_connection(place):
    watcher = await place.subscriber(("#", 0))
    client = await place.client("a")
    await client.publish("denied/topic", qos=1)
    await client.publish("denied/topic", qos=2)
    assert await watcher.until_pong() == []


@pytest.mark.clauses(v5="3.4.2-1 3.5.2-1 4.3.3-9")
async def test_a_publish_that_is_not_allowed_is_told_so(place):
    client = await place.client("a")
    await client.send(p.Publish("denied/topic", b"x", 1, packet_id=1))
    assert (await client.expect(p.Puback)).reason == 0x87
    for _ in range(2):
        # The same identifier again is another message, since the first one came to its end.
        await client.send(p.Publish("denied/topic", b"x", 2, packet_id=2))
        assert (await client.expect(p.Pubrec)).reason == 0x87
    watcher = await place.subscriber(("fine", 0))
    await client.send(p.Publish("fine", b"y", 2, packet_id=2))
    assert (await client.expect(p.Pubrec)).reason < p.FAILED
    assert (await watcher.publishes(1))[0].payload == b"y"


# -- retained messages


@pytest.mark.clauses(v3="3.3.1-5 3.3.1-6 3.3.1-8", v5="3.3.1-5 3.3.1-9")
async def test_the_last_retained_message_is_for_every_new_subscription(place):
    sender = await place.client("sender")
    for payload in (b"first", b"last"):
        await sender.publish("a/b", payload, 1, retain=True)
    for n, topic_filter in enumerate(("a/b", "a/+", "#")):
        client = await place.subscriber((topic_filter, 1), name=f"s{n}")
        (found,) = await client.publishes(1)
        assert (found.topic, found.payload, found.qos, found.retain) == ("a/b", b"last", 1, True)


@pytest.mark.clauses(v3="3.3.1-7")
async def test_a_retained_message_at_qos_0_replaces_the_one_before(place):
    sender = await place.client("sender")
    await sender.publish("a", b"first", 2, retain=True)
    await sender.publish("a", b"second", 0, retain=True)
    client = await place.subscriber(("a", 2))
    assert [one.payload for one in await client.publishes(1)] == [b"second"]


@pytest.mark.clauses(v3="3.3.1-9", v5="3.3.1-12")
async def test_retain_is_cleared_for_subscriptions_that_stand(place):
    client = await place.subscriber(("a", 0))
    await (await place.client("sender")).publish("a", b"x", retain=True)
    assert (await client.publishes(1))[0].retain is False


@pytest.mark.clauses(v3="3.3.1-10 3.3.1-11", v5="3.3.1-6 3.3.1-7")
async def test_an_empty_retained_message_is_delivered_and_removes_the_one_before(place):
    sender = await place.client("sender")
    await sender.publish("a", b"x", retain=True)
    client = await place.subscriber(("a", 0))
    await client.publishes(1)
    await sender.publish("a", b"", retain=True)
    assert (await client.publishes(1))[0].payload == b""
    later = await place.subscriber(("a", 0), name="later")
    assert await later.until_pong() == []


@pytest.mark.clauses(v3="3.3.1-12", v5="3.3.1-8")
async def test_a_message_that_is_not_retained_leaves_the_retained_one(place):
    sender = await place.client("sender")
    await sender.publish("a", b"kept", retain=True)
    await sender.publish("a", b"passing")
    await sender.publish("a", b"")
    client = await place.subscriber(("a", 0))
    assert [one.payload for one in await client.publishes(1)] == [b"kept"]


@pytest.mark.clauses(v3="3.1.2-7")
async def test_retained_messages_outlive_the_session_of_their_sender(place):
    sender = await place.client("sender")
    await sender.publish("a", b"kept", retain=True)
    await sender.disconnect()
    client = await place.subscriber(("a", 0))
    assert [one.payload for one in await client.publishes(1)] == [b"kept"]


@pytest.mark.clauses(v5="3.3.1-9 3.8.4-4")
async def test_retain_handling_0_sends_them_at_each_subscribe(place):
    await (await place.client("sender")).publish("a", b"kept", retain=True)
    client = await place.client("a")
    for _ in range(2):
        await client.subscribe(("a", subscription_options(0, retain_handling=RetainHandling.ALWAYS)))
        assert (await client.publishes(1))[0].retain is True


@pytest.mark.clauses(v5="3.3.1-10")
async def test_retain_handling_1_sends_them_for_a_new_subscription_only(place):
    await (await place.client("sender")).publish("a", b"kept", retain=True)
    client = await place.client("a")
    options = subscription_options(0, retain_handling=RetainHandling.IF_NEW)
    await client.subscribe(("a", options))
    await client.publishes(1)
    await client.subscribe(("a", options))
    assert await client.until_pong() == []


@pytest.mark.clauses(v5="3.3.1-11")
async def test_retain_handling_2_sends_none(place):
    await (await place.client("sender")).publish("a", b"kept", retain=True)
    client = await place.client("a")
    await client.subscribe(("a", subscription_options(0, retain_handling=RetainHandling.NEVER)))
    assert await client.until_pong() == []


@pytest.mark.clauses(v5="3.3.1-13")
@pytest.mark.parametrize("retain", [False, True])
async def test_retain_as_published_keeps_the_flag(place, retain):
    client = await place.subscriber(("a", subscription_options(0, retain_as_published=True)))
    await (await place.client("sender")).publish("a", b"x", retain=retain)
    assert (await client.publishes(1))[0].retain is retain


# -- what is passed on


@pytest.mark.clauses(v5="3.3.2-4 3.3.2-15 3.3.2-16 3.3.2-17 3.3.2-18 3.3.2-20")
async def test_properties_are_passed_on_as_they_are(place):
    client = await place.subscriber(("a", 1))
    sender = await place.client("sender")
    await sender.send(p.Publish("a", b"x", 1, packet_id=1, properties=ALL_OF_IT))
    assert (await client.publishes(1))[0].properties == ALL_OF_IT


@pytest.mark.clauses(v5="3.3.2-13 3.3.2-19")
@pytest.mark.parametrize("identifier", [b"\x08", b"\x03"], ids=["response topic", "content type"])
async def test_texts_among_the_properties_are_utf8(place, ended, identifier):
    client = await place.client("a")
    await client.raw(b"\x30\x08\x00\x01a\x04" + identifier + b"\x00\x01\xff")
    await ended(client, MALFORMED)


@pytest.mark.clauses(v5="3.3.2-14")
@pytest.mark.parametrize("topic", ["a/#", "+"])
async def test_a_response_topic_has_no_wildcards(place, ended, topic):
    client = await place.client("a")
    await client.send(p.Publish("a", b"x", properties=Properties(response_topic=topic)))
    await ended(client, MALFORMED, PROTOCOL_ERROR, TOPIC_INVALID)


@pytest.mark.clauses(v5="3.3.4-6")
async def test_a_client_sends_no_subscription_identifier(place, ended):
    client = await place.client("a")
    await client.send(p.Publish("a", b"x", properties=Properties(subscription_identifiers=(1,))))
    await ended(client, PROTOCOL_ERROR)


@pytest.mark.clauses(v5="3.3.2-6")
async def test_a_message_says_how_long_it_is_still_good_for(place):
    client = await place.subscriber(("a", 1))
    sender = await place.client("sender")
    await sender.send(
        p.Publish("a", b"x", 1, packet_id=1, properties=Properties(message_expiry_interval=100))
    )
    (found,) = await client.publishes(1)
    assert 90 <= found.properties.message_expiry_interval <= 100


@pytest.mark.clauses(v5="3.3.2-5")
async def test_a_message_whose_time_is_over_is_not_sent(place):
    client = await place.lasting("a")
    await client.subscribe(("a", 1))
    await client.disconnect()
    sender = await place.client("sender")
    await sender.send(
        p.Publish("a", b"short", 1, packet_id=1, properties=Properties(message_expiry_interval=0))
    )
    await sender.send(p.Publish("a", b"long", 1, packet_id=2))
    for _ in range(2):
        await sender.expect(p.Puback)
    client = await place.lasting("a")
    assert [one.payload for one in await client.publishes(1)] == [b"long"]


# -- topic aliases


@pytest.mark.clauses(v5="3.3.2-12 3.2.2-17 3.3.2-9")
async def test_every_alias_up_to_the_maximum_is_understood_and_none_above(place, ended):
    watcher = await place.subscriber(("#", 0))
    client = await place.client("a")
    most = client.connack.properties.topic_alias_maximum
    for alias in range(1, most + 1):
        await client.send(p.Publish(f"t/{alias}", b"named", properties=Properties(topic_alias=alias)))
        await client.send(p.Publish("", b"alias", properties=Properties(topic_alias=alias)))
    found = await watcher.publishes(2 * most)
    assert [one.topic for one in found] == [f"t/{n}" for n in range(1, most + 1) for _ in range(2)]
    assert all(one.properties is None for one in found)
    await client.send(p.Publish("t", b"x", properties=Properties(topic_alias=most + 1)))
    await ended(client, 0x94)


@pytest.mark.clauses(v5="3.3.2-8")
async def test_alias_0_ends_the_connection(place, ended):
    client = await place.client("a")
    await client.raw(b"\x30\x07\x00\x01a\x03\x23\x00\x00")
    await ended(client, 0x94)


@pytest.mark.clauses(v5="3.3.2-7")
async def test_aliases_end_with_their_connection(place, ended):
    client = await place.lasting("a")
    await client.send(p.Publish("t", b"x", properties=Properties(topic_alias=1)))
    await client.ping()
    client = await place.lasting("a")
    await client.send(p.Publish("", b"x", properties=Properties(topic_alias=1)))
    await ended(client, PROTOCOL_ERROR, 0x94)


@pytest.mark.clauses(v5="3.1.2-26 3.3.2-11")
async def test_the_server_uses_no_alias_above_what_the_client_allows(place):
    client = await place.client("a", properties=Properties(topic_alias_maximum=2))
    await client.subscribe(("#", 0))
    sender = await place.client("sender")
    for topic in ("a", "b", "c", "a", "b", "c"):
        await sender.publish(topic)
    found = await client.publishes(6)
    used = [one.properties.topic_alias for one in found if one.properties is not None]
    assert set(used) <= {1, 2}
    assert [one.topic or one.properties.topic_alias for one in found] == ["a", "b", "c", 1, 2, "c"]


@pytest.mark.clauses(v5="3.1.2-27")
async def test_the_server_uses_no_alias_where_none_is_allowed(place):
    client = await place.subscriber(("#", 0))
    sender = await place.client("sender")
    for _ in range(3):
        await sender.publish("a")
    assert [(one.topic, one.properties) for one in await client.publishes(3)] == [("a", None)] * 3


# -- sizes


@pytest.mark.clauses(v5="3.1.2-24 3.1.2-25")
async def test_what_is_too_large_for_a_client_is_left_out(place):
    client = await place.client("a", properties=Properties(maximum_packet_size=50, receive_maximum=1))
    await client.subscribe(("a", 1))
    sender = await place.client("sender")
    for payload in (b"x" * 100, b"small"):
        await sender.publish("a", payload, 1)
    assert [one.payload for one in await client.publishes(1)] == [b"small"]


@pytest.mark.clauses(v5="3.2.2-15")
async def test_what_is_too_large_for_the_server_ends_the_connection(place, ended):
    client = await place.client("a")
    most = client.connack.properties.maximum_packet_size
    await client.send(p.Publish("a", b"x" * most))
    await ended(client, 0x95)
