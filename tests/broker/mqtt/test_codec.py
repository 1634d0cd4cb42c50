"""One table of packets and their bytes, read in both directions; and what no bytes may do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from malformed_packets import MALFORMED_PACKETS
from packet_strategies import packets
from packet_table import LONG_FORMS, PACKETS

from broker.mqtt import packets as p
from broker.mqtt.codec import decode, encode
from broker.mqtt.decoding import MAX_FILTERS
from broker.mqtt.encoding import encode_as_311
from broker.mqtt.errors import MqttError, ProtocolError, UnsupportedLevel
from broker.mqtt.properties import MAX_USER_PROPERTIES, Properties
from broker.mqtt.reasons import Reason


def cut(raw: bytes) -> tuple[int, bytes]:
    """The first byte and the body."""
    start = 1
    while raw[start] & 0x80:
        start += 1
    return raw[0], raw[start + 1 :]


@pytest.mark.parametrize(
    ("level", "packet", "raw"),
    PACKETS,
    ids=[f"{type(packet).__name__}-{level}-{n}" for n, (level, packet, _) in enumerate(PACKETS)],
)
def test_a_packet_and_its_bytes_are_the_same_thing(level, packet, raw):
    assert raw[1] == len(raw) - 2
    assert encode(packet, level) == raw
    assert decode(*cut(raw), level) == packet


def test_the_table_has_every_packet_at_every_level():
    for level in (4, 5):
        kinds = {type(packet) for at, packet, _ in PACKETS if at == level}
        assert kinds == set(p.Packet.__args__) - ({p.Auth} if level == 4 else set())


def test_the_table_has_every_property():
    said = set()
    for _, packet, _ in PACKETS:
        for holder in (packet, getattr(packet, "will", None)):
            properties = getattr(holder, "properties", None)
            if properties is not None:
                said |= {
                    name
                    for name in Properties.__struct_fields__
                    if getattr(properties, name) not in {None, ()}
                }
    assert said == set(Properties.__struct_fields__)


@pytest.mark.parametrize(("packet", "raw"), LONG_FORMS)
def test_the_longer_forms_of_the_standard_are_understood(packet, raw):
    assert decode(*cut(raw), 5) == packet


@pytest.mark.parametrize(("level", "raw", "reason"), MALFORMED_PACKETS.values(), ids=MALFORMED_PACKETS.keys())
def test_refuses(level, raw, reason):
    with pytest.raises(MqttError) as caught:
        decode(raw[0], raw[2:], level)
    assert caught.value.reason == reason
    assert str(caught.value)


@pytest.mark.parametrize("name", [name for name in MALFORMED_PACKETS if name.startswith("CONNECT: ")])
def test_a_malformed_connect_of_mqtt_5_comes_with_the_answer_that_it_gets(name):
    _, raw, reason = MALFORMED_PACKETS[name]
    with pytest.raises(MqttError) as caught:
        decode(raw[0], raw[2:])
    assert caught.value.answer == encode(p.Connack(session_present=False, code=reason), 5)


def test_a_malformed_connect_of_mqtt_3_1_1_gets_no_answer():
    _, raw, _ = MALFORMED_PACKETS["a CONNECT that is cut (4)"]
    with pytest.raises(MqttError) as caught:
        decode(raw[0], raw[2:])
    assert caught.value.answer == b""


@pytest.mark.parametrize(
    ("level", "answer"),
    [(0, "20 02 00 01"), (3, "20 02 00 01"), (6, "20 03 00 84 00"), (0x84, "20 02 00 01")],
)
def test_another_protocol_level_comes_with_its_answer(level, answer):
    body = b"\x00\x04MQTT" + bytes((level,)) + b"\x02\x00\x00whatever that version has here"
    with pytest.raises(UnsupportedLevel) as caught:
        decode(0x10, body)
    assert caught.value.answer == bytes.fromhex(answer)
    assert caught.value.level == level
    assert caught.value.reason == Reason.UNSUPPORTED_PROTOCOL_VERSION


@pytest.mark.parametrize("level", ["02", "04", "05", "83"])
def test_the_name_of_mqtt_3_1_goes_with_its_level_alone(level):
    with pytest.raises(UnsupportedLevel) as caught:
        decode(0x10, bytes.fromhex(f"00 06 4d 51 49 73 64 70 {level} 02 00 3c 00 01 61"))
    assert caught.value.answer == bytes.fromhex("20 02 00 01")


@pytest.mark.parametrize("level", [4, 5])
@pytest.mark.parametrize(
    ("remaining", "length"),
    [
        (127, "7f"),
        (128, "80 01"),
        (16_383, "ff 7f"),
        (16_384, "80 80 01"),
        (2_097_152, "80 80 80 01"),
    ],
)
def test_lengths_take_as_many_bytes_as_they_need(remaining, length, level):
    raw = encode(p.Publish("a", bytes(remaining - (3 if level == 4 else 4))), level)
    assert raw.startswith(b"\x30" + bytes.fromhex(length) + b"\x00\x01a")


def test_what_is_too_long_for_mqtt_is_not_encoded():
    with pytest.raises(ValueError, match="65536"):
        encode(p.Unsubscribe(1, ("a" * 65_536,)))
    with pytest.raises(ValueError, match="65536"):
        encode(p.Publish("a", b"", properties=Properties(correlation_data=bytes(65_536))), 5)
    with pytest.raises(ValueError, match="too many"):
        encode(p.Suback(1, bytes(268_435_456)))


def test_properties_are_not_written_where_the_level_has_none():
    plain = p.Publish("a", b"x", 1, packet_id=1)
    assert encode(p.Publish("a", b"x", 1, packet_id=1, properties=Properties(content_type="c"))) == encode(
        plain
    )
    assert encode(p.Puback(1, Reason.NOT_AUTHORIZED)) == encode(p.Puback(1))
    assert encode(p.Disconnect(Reason.SESSION_TAKEN_OVER)) == encode(p.Disconnect())
    assert encode(p.Unsuback(1, b"\x11")) == encode(p.Unsuback(1))


@pytest.mark.parametrize(
    ("packet", "older"),
    [
        (p.Connect("a", level=5, properties=Properties(receive_maximum=1)), p.Connect("a")),
        (p.Connack(session_present=False, code=Reason.BAD_USER_NAME_OR_PASSWORD), p.Connack(False, 4)),
        (p.Connack(session_present=False, code=Reason.BANNED), p.Connack(False, 5)),
        (p.Suback(1, b"\x01\x87"), p.Suback(1, b"\x01\x80")),
        (p.Unsuback(1, b"\x11"), p.Unsuback(1)),
        (p.Publish("a", b"x", properties=Properties(content_type="c")), p.Publish("a", b"x")),
        (p.Disconnect(Reason.SESSION_TAKEN_OVER), p.Disconnect()),
    ],
)
def test_a_packet_of_mqtt_5_can_be_said_in_the_words_of_3_1_1(packet, older):
    assert encode_as_311(packet) == encode(older)


def test_what_3_1_1_has_not_is_not_said_there():
    assert encode_as_311(p.Auth()) == b""


def test_user_properties_are_bounded():
    fits = p.Publish("a", b"", properties=Properties(user_properties=(("", ""),) * MAX_USER_PROPERTIES))
    assert decode(*cut(encode(fits, 5)), 5) == fits
    one_more = p.Publish(
        "a", b"", properties=Properties(user_properties=(("", ""),) * (MAX_USER_PROPERTIES + 1))
    )
    with pytest.raises(ProtocolError) as caught:
        decode(*cut(encode(one_more, 5)), 5)
    assert caught.value.reason == Reason.QUOTA_EXCEEDED


@pytest.mark.parametrize("level", [4, 5])
@pytest.mark.parametrize(
    "make", [lambda n: p.Subscribe(1, (("a", 0),) * n), lambda n: p.Unsubscribe(1, ("a",) * n)]
)
def test_the_filters_of_one_packet_are_bounded(level, make):
    fits = make(MAX_FILTERS)
    assert decode(*cut(encode(fits, level)), level) == fits
    with pytest.raises(ProtocolError) as caught:
        decode(*cut(encode(make(MAX_FILTERS + 1), level)), level)
    assert caught.value.reason == Reason.QUOTA_EXCEEDED


levels = st.sampled_from([4, 5])


@given(levels, st.data())
def test_every_packet_survives_the_wire(level, data):
    packet = data.draw(packets(level))
    assert decode(*cut(encode(packet, level)), level) == packet


@given(levels, st.integers(0, 255), st.binary(max_size=200))
def test_no_bytes_make_the_decoder_raise_anything_but_its_own_error(level, first, body):
    try:
        decode(first, body, level)
    except MqttError:
        return


@given(levels, st.data())
def test_nor_does_a_packet_with_some_bytes_changed(level, data):
    first, body = cut(encode(data.draw(packets(level)), level))
    changed = bytearray(body)
    for _ in range(data.draw(st.integers(1, 4))):
        if changed:
            changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode(first, bytes(changed), level)
    except MqttError:
        return
