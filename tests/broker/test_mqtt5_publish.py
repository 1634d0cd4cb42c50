"""MQTT 5 on the way in: reason codes of acknowledgements, properties, aliases, the receive maximum."""

import pytest

from broker.mqtt import packets as p
from broker.mqtt.properties import Properties
from broker.mqtt.reasons import Reason
from pabal.codec import Format
from pabal.trace import parse

UP = "pabal/v1/up/alice/phone"
FOREIGN = "pabal/v1/inbox/bob"
ACKS = [(1, p.Puback), (2, p.Pubrec)]


async def last_reason(client) -> p.Disconnect:
    *_, last = await client.closed()
    assert isinstance(last, p.Disconnect), last
    return last.reason


# -- refusals


@pytest.mark.parametrize(("qos", "kind"), ACKS)
async def test_a_foreign_topic_is_refused_with_its_reason_and_the_connection_stays(world, qos, kind):
    await world.start()
    client = await world.device("alice:phone", level=5)
    for _ in range(2):  # the packet identifier is free again at once, at QoS 2 as well
        await client.send(p.Publish(FOREIGN, b"", qos, packet_id=7))
        answer = await client.expect(kind)
        assert (answer.packet_id, answer.reason) == (7, Reason.NOT_AUTHORIZED)
        assert answer.properties.reason_string
    await client.publish(UP, b"{}", 2)
    assert world.inbound.payloads() == [b"{}"]


async def test_reason_strings_are_for_those_who_want_them(world):
    await world.start()
    for said in ({"request_problem_information": False}, {"maximum_packet_size": 10}):
        client = await world.device("alice:phone", level=5, properties=Properties(**said))
        await client.send(p.Publish(FOREIGN, b"", 1, packet_id=7))
        assert await client.expect(p.Puback) == p.Puback(7, Reason.NOT_AUTHORIZED)


@pytest.mark.parametrize(("qos", "kind"), ACKS)
async def test_what_was_not_kept_is_refused_in_turn_and_may_be_sent_again(world, qos, kind):
    await world.start()
    world.inbound.hold = True
    client = await world.device("alice:phone", level=5)
    for number in (1, 2, 3):
        await client.send(p.Publish(UP, b'{"op":"typing"}', qos, packet_id=number))
    await client.ping()
    first, second, third = world.inbound.tickets
    third.settle(True)
    second.settle(False)
    await client.ping()  # neither overtakes the first
    first.settle(True)
    answers = [await client.expect(kind) for _ in range(3)]
    assert [(one.packet_id, one.reason) for one in answers] == [(1, 0), (2, Reason.QUOTA_EXCEEDED), (3, 0)]
    await client.send(p.Publish(UP, b"again", qos, packet_id=2))
    await client.ping()
    assert world.inbound.payloads()[3:] == [b"again"]


async def test_a_publish_that_nobody_hears_is_acknowledged_so(world):
    await world.open()
    client = await world.client("a", level=5)
    await client.send(p.Publish("t", b"", 1, packet_id=1))
    assert await client.expect(p.Puback) == p.Puback(1, Reason.NO_MATCHING_SUBSCRIBERS)
    await client.send(p.Publish("t", b"", 2, packet_id=1))
    assert await client.expect(p.Pubrec) == p.Pubrec(1)
    await client.send(p.Pubrel(1))
    assert await client.expect(p.Pubcomp) == p.Pubcomp(1)
    await (await world.client("b")).subscribe(("#", 0))
    await client.send(p.Publish("t", b"", 1, packet_id=1))
    assert await client.expect(p.Puback) == p.Puback(1)


async def test_a_retained_message_for_which_there_is_no_room_is_refused(world):
    await world.open(retained_messages=1)
    client = await world.client("a", level=5)
    await client.subscribe(("#", 0))
    await client.send(p.Publish("one", b"x", 1, retain=True, packet_id=1))
    await client.publishes(1)
    assert await client.expect(p.Puback) == p.Puback(1)
    await client.send(p.Publish("two", b"x", 1, retain=True, packet_id=2))
    answer = await client.expect(p.Puback)
    assert (answer.packet_id, answer.reason) == (2, Reason.QUOTA_EXCEEDED)


async def test_a_pubrel_for_nothing_is_answered_with_its_reason(world):
    await world.open()
    client = await world.client("a", level=5)
    await client.send(p.Pubrel(9))
    assert await client.expect(p.Pubcomp) == p.Pubcomp(9, Reason.PACKET_IDENTIFIER_NOT_FOUND)


async def test_a_pubrel_before_the_pubrec_is_a_protocol_error(world):
    await world.start()
    world.inbound.hold = True
    client = await world.device("alice:phone", level=5)
    await client.send(p.Publish(UP, b"{}", 2, packet_id=1), p.Pubrel(1))
    assert await last_reason(client) == Reason.PROTOCOL_ERROR


# -- properties


MESSAGE = Properties(
    payload_format_indicator=True,
    content_type="text/plain",
    response_topic="answers/a",
    correlation_data=b"\x00\x01",
    user_properties=(("k", "v"), ("k", "w")),
)


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_what_belongs_to_the_message_goes_on_to_its_receivers(world, qos):
    await world.open()
    new, old = await world.client("new", level=5), await world.client("old")
    for receiver in (new, old):
        await receiver.subscribe(("t", qos))
    sender = await world.client("sender", level=5)
    packet_id = 0 if qos == 0 else 1
    await sender.send(p.Publish("t", "é".encode(), qos, packet_id=packet_id, properties=MESSAGE))
    got = await new.expect(p.Publish)
    assert (got.payload, got.properties) == ("é".encode(), MESSAGE)
    assert (await old.expect(p.Publish)).payload == "é".encode()


async def test_the_will_carries_its_properties_but_not_its_delay(world):
    await world.open()
    receiver = await world.client("r", level=5)
    await receiver.subscribe(("w", 1))
    will = p.Will("w", b"gone", properties=Properties(content_type="c", user_properties=(("k", "v"),)))
    client = await world.client("a", level=5, will=will)
    client.cut()
    got = await receiver.expect(p.Publish)
    assert got.properties == Properties(content_type="c", user_properties=(("k", "v"),))


@pytest.mark.parametrize(("qos", "kind"), ACKS)
async def test_a_payload_that_is_not_the_utf_8_that_it_says_it_is_is_refused(world, qos, kind):
    await world.open()
    client = await world.client("a", level=5)
    await client.subscribe(("t", 0))
    claims = Properties(payload_format_indicator=True)
    await client.send(p.Publish("t", b"\xff", qos, packet_id=1, properties=claims))
    assert (await client.expect(kind)).reason == Reason.PAYLOAD_FORMAT_INVALID
    await client.send(p.Publish("t", b"\xff", 0, properties=claims))
    await client.send(p.Publish("t", b"\xff", 0, properties=Properties(payload_format_indicator=False)))
    (got,) = await client.publishes(1)
    assert got.properties == Properties(payload_format_indicator=False)


@pytest.mark.parametrize(
    ("content_type", "payload", "form"),
    [
        ("application/msgpack", b"{}", Format.MSGPACK),
        ("application/json", b"\x81\xa2id\x01", Format.JSON),
        (None, b"{}", Format.JSON),
        (None, b"\x81\xa2id\x01", Format.MSGPACK),
        ("text/plain", b"\x81\xa2id\x01", Format.MSGPACK),
    ],
)
async def test_the_content_type_says_how_a_request_is_written(world, content_type, payload, form):
    await world.start()
    client = await world.device("alice:phone", level=5)
    said = None if content_type is None else Properties(content_type=content_type)
    await client.send(p.Publish(UP, payload, 1, packet_id=1, properties=said))
    await client.expect(p.Puback)
    assert [(got, how) for _, got, how in world.inbound.submitted] == [(payload, form)]


async def test_a_subscription_identifier_from_a_client_is_a_protocol_error(world):
    await world.open()
    client = await world.client("a", level=5)
    await client.send(p.Publish("t", b"", properties=Properties(subscription_identifiers=(1,))))
    assert await last_reason(client) == Reason.PROTOCOL_ERROR


# -- aliases


def aliased(topic: str, alias: int, payload: bytes = b"x", qos: int = 0, packet_id: int = 0) -> p.Publish:
    return p.Publish(topic, payload, qos, packet_id=packet_id, properties=Properties(topic_alias=alias))


async def test_an_alias_stands_for_its_topic_until_it_is_given_to_another(world):
    await world.open(alias_maximum=2)
    client = await world.client("a", level=5)
    await client.subscribe(("#", 0))
    await client.send(
        aliased("one", 1),
        aliased("two", 2),
        aliased("", 1),
        aliased("", 2),
        aliased("three", 1),
        aliased("", 1),
    )
    got = await client.publishes(6)
    assert [one.topic for one in got] == ["one", "two", "one", "two", "three", "three"]
    assert {one.properties for one in got} == {None}  # an alias is between the client and us


async def test_an_alias_is_decided_on_like_its_topic(world):
    await world.start()
    client = await world.device("alice:phone", level=5)
    await client.send(aliased(FOREIGN, 1, qos=1, packet_id=1), aliased("", 1, qos=1, packet_id=2))
    assert [(await client.expect(p.Puback)).reason for _ in range(2)] == [Reason.NOT_AUTHORIZED] * 2
    await client.send(aliased(UP, 1, b"{}", qos=1, packet_id=3), aliased("", 1, b"[]", qos=1, packet_id=4))
    assert [await client.expect(p.Puback) for _ in range(2)] == [p.Puback(3), p.Puback(4)]
    assert world.inbound.payloads() == [b"{}", b"[]"]


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (aliased("t", 3), Reason.TOPIC_ALIAS_INVALID),
        (b"\x30\x07\x00\x01a\x03\x23\x00\x00", Reason.TOPIC_ALIAS_INVALID),
        (aliased("", 1), Reason.PROTOCOL_ERROR),
    ],
)
async def test_an_alias_that_cannot_be_ends_the_connection(world, packet, reason):
    await world.open(alias_maximum=2)
    client = await world.client("a", level=5)
    await client.send(aliased("t", 2), packet)
    assert await last_reason(client) == reason


async def test_aliases_end_with_their_connection(world):
    await world.open()
    said = Properties(session_expiry_interval=60)
    first = await world.client("a", level=5, properties=said)
    await first.send(aliased("t", 1))
    await first.ping()
    second = await world.client("a", level=5, clean=False, properties=said)
    assert second.present
    await second.send(aliased("", 1))
    assert await last_reason(second) == Reason.PROTOCOL_ERROR


# -- the receive maximum


@pytest.mark.parametrize("limit", [1, 5])
async def test_more_at_qos_1_than_the_receive_maximum_ends_the_connection(world, limit):
    await world.start(unsettled_limit=limit)
    world.inbound.hold = True
    client = await world.device("alice:phone", level=5)
    assert client.connack.properties.receive_maximum == limit
    await client.send(*(p.Publish(UP, b"{}", 1, packet_id=number) for number in range(1, limit + 1)))
    await client.ping()
    await client.send(p.Publish(UP, b"{}", 1, packet_id=limit + 1))
    assert await last_reason(client) == Reason.RECEIVE_MAXIMUM_EXCEEDED
    assert len(world.inbound.tickets) == limit


async def test_what_is_sent_at_qos_0_does_not_count(world, until):
    await world.start(unsettled_limit=3)
    world.inbound.hold = True
    client = await world.device("alice:phone", level=5)
    await client.send(*(p.Publish(UP, b"{}", 0) for _ in range(3)))
    await client.send(p.Publish(UP, b"{}", 1, packet_id=1))
    await until(lambda: len(world.inbound.tickets) == 4)
    for ticket in world.inbound.tickets:
        ticket.settle(True)
    assert await client.expect(p.Puback) == p.Puback(1)


async def test_what_is_acknowledged_does_not_count_any_longer(world):
    await world.start(unsettled_limit=2)
    client = await world.device("alice:phone", level=5)
    for number in range(1, 20):
        await client.publish(UP, b"{}", 1 + number % 2)
    await client.ping()


async def test_at_qos_2_it_counts_until_it_is_released(world):
    await world.open(unsettled_limit=2)
    client = await world.client("a", level=5)
    await client.subscribe(("t", 0))
    for number in (1, 2):
        await client.send(p.Publish("t", b"", 2, packet_id=number))
    await client.send(p.Publish("t", b"", 2, dup=True, packet_id=2))  # the same again is no third
    await client.send(p.Pubrel(1), p.Publish("t", b"", 2, packet_id=3))
    found = await client.until_pong()
    assert [one.packet_id for one in found if isinstance(one, p.Pubrec)] == [1, 2, 2, 3]
    await client.send(p.Publish("t", b"", 2, packet_id=4))
    assert await last_reason(client) == Reason.RECEIVE_MAXIMUM_EXCEEDED


async def test_a_client_of_3_1_1_has_no_receive_maximum(world):
    await world.open(unsettled_limit=2)
    client = await world.client("a")
    await client.send(*(p.Publish("t", b"", 2, packet_id=number) for number in range(1, 20)))
    assert [(await client.expect(p.Pubrec)).packet_id for _ in range(19)] == list(range(1, 20))


# -- subscriptions that are refused


async def test_a_refused_subscription_says_why_to_those_who_want_to_know(world):
    await world.start()
    client = await world.device("alice:phone", level=5)
    await client.send(p.Subscribe(1, ((FOREIGN, 1), ("pabal/v1/inbox/alice", 1))))
    answer = await client.expect(p.Suback)
    assert answer.codes == bytes((Reason.NOT_AUTHORIZED, 1))
    assert answer.properties.reason_string
    for said in ({"request_problem_information": False}, {"maximum_packet_size": 10}):
        client = await world.device("alice:phone", level=5, properties=Properties(**said))
        await client.send(p.Subscribe(1, ((FOREIGN, 1),)))
        assert await client.expect(p.Suback) == p.Suback(1, bytes((Reason.NOT_AUTHORIZED,)))
    older = await world.device("alice:phone")
    await older.send(p.Subscribe(1, ((FOREIGN, 1),)))
    assert await older.expect(p.Suback) == p.Suback(1, b"\x80")


TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("properties", "trace"),
    [
        ((("traceparent", TRACEPARENT),), parse(TRACEPARENT)),
        ((("a", "b"), ("traceparent", TRACEPARENT), ("traceparent", "none")), parse(TRACEPARENT)),
        ((("traceparent", "none"), ("traceparent", TRACEPARENT)), None),
        ((("Traceparent", TRACEPARENT),), None),
        ((), None),
    ],
)
async def test_a_trace_context_goes_to_the_bridge_with_its_request(world, credential, properties, trace):
    await world.start()
    client = await world.client("alice:phone", level=5, **credential("alice:phone"))
    said = Properties(user_properties=properties, content_type="application/json")
    await client.send(p.Publish("pabal/v1/up/alice/phone", b"{}", 1, packet_id=1, properties=said))
    await client.expect(p.Puback)
    assert world.inbound.traces == [trace]


async def test_a_reply_carries_its_trace_context_to_who_can_read_it(world, credential):
    await world.start()
    down = "pabal/v1/down/alice/phone"
    five = await world.client("alice:phone", level=5, **credential("alice:phone"))
    plain = await world.device("alice:phone:cli")
    for client in (five, plain):
        await client.subscribe((down, 1))
    world.broker.publish(down, b"{}", 1, TRACEPARENT)
    world.broker.publish(down, b"[]", 1)
    told = [one.properties and one.properties.user_properties for one in await five.publishes(2)]
    assert told == [(("traceparent", TRACEPARENT),), None]
    assert [one.payload for one in await plain.publishes(2)] == [b"{}", b"[]"]
