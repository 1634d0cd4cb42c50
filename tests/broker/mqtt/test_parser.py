"""A stream of bytes to packets, however it is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from malformed_packets import MALFORMED_PACKETS
from packet_table import PACKETS

from broker.mqtt import packets as p
from broker.mqtt.codec import encode
from broker.mqtt.errors import Malformed, MqttError, PacketTooLarge
from broker.mqtt.parser import Parser, TopicMemory

LIMIT = 4096
SOME = [
    p.Connect("a", keep_alive=3, will=p.Will("t", b"bye")),
    p.Publish("a/b", b"x" * 300, qos=1, packet_id=7),
    p.Puback(9),
    p.Publish("a/b", b""),
    p.Pubrec(3),
    p.Subscribe(4, (("a/#", 2),)),
    p.Pingreq(),
    p.Publish("c", b"y" * 2000, qos=2, packet_id=8, retain=True),
    p.Disconnect(),
]


def parser(limit: int = LIMIT) -> Parser:
    return Parser(limit, TopicMemory())


def test_many_packets_come_out_of_one_read():
    assert parser().feed(b"".join(map(encode, SOME))) == SOME


@given(st.lists(st.integers(1, 400), max_size=30))
def test_it_does_not_matter_where_the_stream_is_cut(steps):
    one, raw, found = parser(), b"".join(map(encode, SOME)), []
    for step in steps:
        found += one.feed(raw[:step])
        raw = raw[step:]
    assert found + one.feed(raw) == SOME


def test_a_byte_at_a_time_is_enough():
    one = parser()
    found = [packet for byte in b"".join(map(encode, SOME)) for packet in one.feed(bytes((byte,)))]
    assert found == SOME


def test_the_packets_before_a_malformed_one_are_still_taken_and_nothing_after_it():
    one = parser()
    *good, error = one.feed(encode(p.Puback(1)) + encode(p.Pingreq()) + b"\xf0\x00" + encode(p.Pingreq()))
    assert good == [p.Puback(1), p.Pingreq()]
    assert isinstance(error, Malformed)
    assert one.feed(encode(p.Pingreq())) == []


def test_a_packet_at_the_limit_is_taken_and_one_byte_more_is_not():
    fits = p.Publish("a", bytes(LIMIT - 6))
    assert len(encode(fits)) == LIMIT
    assert parser().feed(encode(fits)) == [fits]
    (error,) = parser().feed(encode(p.Publish("a", bytes(LIMIT - 5))))
    assert isinstance(error, PacketTooLarge)
    assert (error.size, error.limit) == (LIMIT + 1, LIMIT)


def test_an_oversize_packet_is_known_by_its_first_bytes():
    (error,) = parser().feed(b"\x30\xff\xff\xff\x7f")
    assert isinstance(error, PacketTooLarge)


def test_a_remaining_length_has_at_most_four_bytes():
    one = parser()
    assert one.feed(b"\x30\x80\x80\x80") == []
    (error,) = one.feed(b"\x80")
    assert isinstance(error, Malformed)


@pytest.mark.parametrize(("level", "raw", "reason"), MALFORMED_PACKETS.values(), ids=MALFORMED_PACKETS.keys())
def test_the_short_cuts_are_as_strict_as_the_codec(level, raw, reason):
    (error,) = Parser(LIMIT, TopicMemory(), level=level).feed(raw)
    assert isinstance(error, MqttError)
    assert error.reason == reason


@pytest.mark.parametrize("level", [4, 5])
def test_the_short_cuts_read_the_same_as_the_codec(level):
    for raw, packet in [(raw, packet) for at, packet, raw in PACKETS if at == level]:
        assert Parser(LIMIT, TopicMemory(), level=level).feed(raw) == [packet]


@pytest.mark.parametrize("level", [4, 5])
def test_a_connect_says_how_what_follows_in_the_same_read_is_to_be_read(level):
    sent = [
        p.Connect("a", level=level),
        p.Publish("t", b"x"),
        p.Publish("t", b"x", qos=1, packet_id=1),
        p.Subscribe(1, (("a", 1),)),
        p.Disconnect(),
    ]
    one = parser()
    assert one.feed(b"".join(encode(packet, level) for packet in sent)) == sent
    assert one.level == level


def test_a_remaining_length_in_more_bytes_than_it_needs_is_malformed_in_mqtt_5_alone():
    raw = b"\xc0\x80\x00"
    assert parser().feed(raw) == [p.Pingreq()]
    (error,) = Parser(LIMIT, TopicMemory(), level=5).feed(raw)
    assert isinstance(error, Malformed)


def test_an_oversize_connect_of_mqtt_5_comes_with_its_answer():
    for level, answer in ((4, b""), (5, encode(p.Connack(session_present=False, code=0x95), 5))):
        one = Parser(1 << 20, TopicMemory(), first_limit=LIMIT)
        (error,) = one.feed(encode(p.Connect("a" * LIMIT, level=level)))
        assert isinstance(error, PacketTooLarge)
        assert error.answer == answer


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_no_bytes_make_it_raise(chunks):
    one = parser()
    found = [packet for chunk in chunks for packet in one.feed(chunk)]
    assert not any(isinstance(packet, MqttError) for packet in found[:-1])


def test_topics_are_remembered_once_and_within_a_bound():
    memory = TopicMemory()
    assert memory.get(b"a/b") is memory.get(b"a/b")
    assert memory.get(b"x" * 200) is not memory.get(b"x" * 200)
    for number in range(20_000):
        memory.get(b"t/%d" % number)
    assert len(memory.known) <= 8192
