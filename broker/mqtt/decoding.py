"""One packet: bytes to value (MQTT 3.1.1 and MQTT 5, chapters 2 and 3).

Decoding is strict: reserved bits, UTF-8 without U+0000 and surrogates, packet identifiers that are not 0, properties
where they belong and once, reason codes that the packet has, no bytes left over. Whatever the bytes, it returns a
packet or raises an `MqttError`. What depends on who sends it, or on what was said before, is not looked at.
"""

from collections.abc import Callable, Sized
from typing import Final

from broker.mqtt.encoding import encode
from broker.mqtt.errors import Malformed, MqttError, ProtocolError, UnsupportedLevel
from broker.mqtt.fields import Reader, topic_name
from broker.mqtt.packets import (
    LEVEL_5,
    LEVEL_31,
    LEVEL_311,
    NO_LOCAL,
    QOS_MASK,
    RETAIN_HANDLING_MASK,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Type,
    Unsuback,
    Unsubscribe,
    Will,
)
from broker.mqtt.properties import WILL, Properties, read_properties
from broker.mqtt.reasons import FAILED, Reason

MAX_QOS: Final = 2
# Filters in one SUBSCRIBE or UNSUBSCRIBE; ten times as many fit into a packet, and would keep everybody waiting.
MAX_FILTERS: Final = 4096
_HIGHEST_LEVEL: Final = 0x80
# A CONNACK of MQTT 5: no flags, "unsupported protocol version", no properties.
_CONNACK_5: Final = b"\x20\x03\x00\x84\x00"
_CONNACK_BAD_PROTOCOL: Final = b"\x20\x02\x00\x01"
_NAMES: Final = {b"MQTT", b"MQIsdp"}
_SPOKEN: Final = {(b"MQIsdp", LEVEL_31), (b"MQTT", LEVEL_311), (b"MQTT", LEVEL_5)}
_SHARE: Final = "$share/"

# Packets whose lower four bits are 0010; all others but PUBLISH have 0000 (2.1.3).
_FLAGGED: Final = frozenset((Type.PUBREL, Type.SUBSCRIBE, Type.UNSUBSCRIBE))

# Which reason codes a packet has (2.4).
_PUBLISHED: Final = frozenset((0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99))
_RELEASED: Final = frozenset((0, 0x92))
_CODES: Final[dict[int, frozenset[int]]] = {
    Type.CONNACK: frozenset((0, *range(0x80, 0x8B), 0x8C, 0x90, 0x95, 0x97, *range(0x99, 0x9E), 0x9F)),
    Type.PUBACK: _PUBLISHED,
    Type.PUBREC: _PUBLISHED,
    Type.PUBREL: _RELEASED,
    Type.PUBCOMP: _RELEASED,
    Type.SUBACK: frozenset((0, 1, 2, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2)),
    Type.UNSUBACK: frozenset((0, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91)),
    Type.DISCONNECT: frozenset(
        (0, 4, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90, *range(0x93, 0xA3))
    ),
    Type.AUTH: frozenset((0, 0x18, 0x19)),
}
_CODES_311: Final = frozenset((0, 1, 2, FAILED))


def check_first(first: int, level: int = LEVEL_311) -> None:
    """Whether a packet can begin like this. Raises: Malformed."""
    kind = first >> 4
    if kind == Type.PUBLISH:
        return
    if kind == 0 or (kind == Type.AUTH and level < LEVEL_5):
        raise Malformed("a reserved packet type")
    if first & 0x0F != (0b0010 if kind in _FLAGGED else 0):
        raise Malformed("reserved flag bits [MQTT-2.1.3-1]")


def decode(first: int, body: bytes, level: int = LEVEL_311) -> Packet:
    """The packet with this first byte and this body (what follows the remaining length).

    A CONNECT is of the level that it names; `level` is what all other packets are read as.

    Raises: Malformed; ProtocolError; UnsupportedLevel for a CONNECT of another version.
    """
    check_first(first, level)
    kind = first >> 4
    if kind == Type.PUBLISH:
        return decode_publish(first, body, level)
    reader = Reader(body)
    packet = _DECODERS[kind](reader, level)
    if reader:
        raise _left_over()
    return packet


def _left_over() -> Malformed:
    return Malformed("bytes left over in a packet")


def _read_properties(reader: Reader, level: int, where: int) -> Properties | None:
    return read_properties(reader, where) if level >= LEVEL_5 else None


# -- PUBLISH


def decode_publish(first: int, body: bytes, level: int = LEVEL_311) -> Publish:
    """Raises: Malformed, ProtocolError."""
    stop = len(body)
    end = topic_end(body, 0, stop)
    if level < LEVEL_5:
        return publish_of(first, topic_name(body[2:end]), body, end, stop)
    return publish_5_of(first, topic_name(body[2:end]) if end > 2 else "", body, end, stop)  # noqa: PLR2004 -- the length


def topic_end(data: bytes, start: int, stop: int) -> int:
    """Where the topic of a PUBLISH ends. Raises: Malformed."""
    end = start + 2
    if end <= stop:
        end += data[start] << 8 | data[start + 1]
        if end <= stop:
            return end
    raise Malformed("a PUBLISH that ends before its topic does")


def publish_of(first: int, topic: str, data: bytes, end: int, stop: int) -> Publish:
    """The PUBLISH of level 4 whose topic, already read, ended at `end`. Raises: Malformed, ProtocolError."""
    qos = first >> 1 & 3
    if qos == 0:
        if first & 0x08:
            raise Malformed("DUP at QoS 0 [MQTT-3.3.1-2]")
        return Publish(topic, data[end:stop], 0, first & 1 == 1)
    packet_id = data[end] << 8 | data[end + 1] if end + 2 <= stop else 0
    if packet_id == 0 or qos > MAX_QOS:
        raise _bad_publish(qos, end, stop)
    return Publish(topic, data[end + 2 : stop], qos, first & 1 == 1, first & 0x08 != 0, packet_id)


def publish_5_of(first: int, topic: str, data: bytes, end: int, stop: int) -> Publish:
    """The same of level 5. Raises: Malformed, ProtocolError."""
    qos = first >> 1 & 3
    if qos == 0:
        if first & 0x08:
            raise Malformed("DUP at QoS 0 [MQTT-3.3.1-2]")
        if topic and end < stop and data[end] == 0:
            return Publish(topic, data[end + 1 : stop], 0, first & 1 == 1)
        packet_id = 0
    else:
        packet_id = data[end] << 8 | data[end + 1] if end + 2 <= stop else 0
        if packet_id == 0 or qos > MAX_QOS:
            raise _bad_publish(qos, end, stop)
        end += 2
        if topic and end < stop and data[end] == 0:
            return Publish(topic, data[end + 1 : stop], qos, first & 1 == 1, first & 0x08 != 0, packet_id)
    reader = Reader(data, end, stop)
    properties = read_properties(reader, Type.PUBLISH)
    if not topic and (properties is None or properties.topic_alias is None):
        raise ProtocolError("neither a topic nor its alias [3.3.2.3.4]")
    return Publish(
        topic, data[reader.at : stop], qos, first & 1 == 1, first & 0x08 != 0, packet_id, properties
    )


def _bad_publish(qos: int, end: int, stop: int) -> MqttError:
    if qos > MAX_QOS:
        return Malformed("QoS 3 [MQTT-3.3.1-4]")
    if end + 2 > stop:
        return Malformed("a PUBLISH without its packet identifier")
    return Malformed("packet identifier 0 [MQTT-2.2.1-3]")


# -- CONNECT and CONNACK


def _decode_connect(reader: Reader, level: int) -> Connect:
    name = reader.binary()
    if name not in _NAMES:
        raise Malformed("not MQTT [MQTT-3.1.2-1]")
    level = reader.byte()
    if level > LEVEL_5 and level < _HIGHEST_LEVEL:
        raise UnsupportedLevel(level, _CONNACK_5)
    if (name, level) not in _SPOKEN:
        raise UnsupportedLevel(level, _CONNACK_BAD_PROTOCOL)
    if level < LEVEL_5:
        return _decode_connect_body(reader, level)
    try:
        packet = _decode_connect_body(reader, level)
        if reader:
            raise _left_over()
    except MqttError as error:
        error.answer = encode(Connack(session_present=False, code=error.reason), LEVEL_5)
        raise
    return packet


def _decode_connect_body(reader: Reader, level: int) -> Connect:
    flags = reader.byte()
    if flags & 0x01:
        raise Malformed("reserved flag of CONNECT [MQTT-3.1.2-3]")
    keep_alive = reader.two()
    properties = _read_properties(reader, level, Type.CONNECT)
    client_id = reader.text()
    will = _decode_will(flags, reader, level)
    username = reader.text() if flags & 0x80 else None
    password = None
    if flags & 0x40:
        if username is None and level < LEVEL_5:
            raise Malformed("a password without a user name [MQTT-3.1.2-22]")
        password = reader.binary()
    return Connect(client_id, flags & 0x02 != 0, keep_alive, username, password, will, level, properties)


def _decode_will(flags: int, reader: Reader, level: int) -> Will | None:
    qos = flags >> 3 & 3
    if not flags & 0x04:
        if flags & 0x38:
            raise Malformed("will flags without a will [MQTT-3.1.2-11]")
        return None
    if qos > MAX_QOS:
        raise Malformed("a will of QoS 3 [MQTT-3.1.2-12]")
    properties = _read_properties(reader, level, WILL)
    topic = topic_name(reader.binary())
    return Will(topic, reader.binary(), qos, flags & 0x20 != 0, properties)


def _decode_connack(reader: Reader, level: int) -> Connack:
    flags, code = reader.byte(), reader.byte()
    if flags > 1:
        raise Malformed("reserved flags of CONNACK [MQTT-3.2.2-1]")
    if level >= LEVEL_5:
        _check_code(Type.CONNACK, code)
    return Connack(flags == 1, code, _read_properties(reader, level, Type.CONNACK))


def _check_code(kind: int, code: int) -> None:
    if code not in _CODES[kind]:
        raise ProtocolError("a reason code that this packet does not have [2.4]")


# -- acknowledgements


def _ack_decoder(make: Callable[..., Packet], kind: int) -> Callable[[Reader, int], Packet]:
    def decode_ack(reader: Reader, level: int) -> Packet:
        packet_id = reader.packet_id()
        if level < LEVEL_5 or not reader:
            return make(packet_id)
        return make(packet_id, *_reason(reader, kind))

    return decode_ack


def _reason(reader: Reader, kind: int) -> tuple[int, Properties | None]:
    """A reason code, and properties unless the packet ends before."""
    code = reader.byte()
    _check_code(kind, code)
    return code, read_properties(reader, kind) if reader else None


def _decode_suback(reader: Reader, level: int) -> Suback:
    packet_id = reader.packet_id()
    properties = _read_properties(reader, level, Type.SUBACK)
    codes = reader.rest()
    allowed = _CODES[Type.SUBACK] if level >= LEVEL_5 else _CODES_311
    if not codes or not allowed.issuperset(codes):
        raise Malformed("a SUBACK without codes, or with reserved ones [MQTT-3.9.3-2]")
    return Suback(packet_id, codes, properties)


def _decode_unsuback(reader: Reader, level: int) -> Unsuback:
    packet_id = reader.packet_id()
    if level < LEVEL_5:
        return Unsuback(packet_id)
    properties = read_properties(reader, Type.UNSUBACK)
    codes = reader.rest()
    if not codes or not _CODES[Type.UNSUBACK].issuperset(codes):
        raise Malformed("an UNSUBACK without codes, or with reserved ones [MQTT-3.11.3-2]")
    return Unsuback(packet_id, codes, properties)


# -- SUBSCRIBE and UNSUBSCRIBE


def _decode_subscribe(reader: Reader, level: int) -> Subscribe:
    packet_id = reader.packet_id()
    properties = _read_properties(reader, level, Type.SUBSCRIBE)
    filters: list[tuple[str, int]] = []
    while reader:
        _check_count(filters)
        topic_filter = _filter(reader)
        options = reader.byte()
        if level >= LEVEL_5:
            _check_options(topic_filter, options)
        elif options > MAX_QOS:
            raise Malformed("reserved bits or QoS 3 in SUBSCRIBE [MQTT-3.8.3-4]")
        filters.append((topic_filter, options))
    if not filters:
        raise ProtocolError("a SUBSCRIBE without topics [MQTT-3.8.3-2]")
    return Subscribe(packet_id, tuple(filters), properties)


def _check_options(topic_filter: str, options: int) -> None:
    if options > 0b11_1111:  # noqa: PLR2004 -- the bits that are not reserved
        raise Malformed("reserved bits in the options of a subscription [MQTT-3.8.3-5]")
    if options & QOS_MASK > MAX_QOS or options & RETAIN_HANDLING_MASK == RETAIN_HANDLING_MASK:
        raise ProtocolError("QoS 3 or Retain Handling 3 in the options of a subscription [3.8.3.1]")
    if options & NO_LOCAL and topic_filter.startswith(_SHARE):
        raise ProtocolError("No Local on a shared subscription [MQTT-3.8.3-4]")


def _decode_unsubscribe(reader: Reader, level: int) -> Unsubscribe:
    packet_id = reader.packet_id()
    properties = _read_properties(reader, level, Type.UNSUBSCRIBE)
    filters: list[str] = []
    while reader:
        _check_count(filters)
        filters.append(_filter(reader))
    if not filters:
        raise ProtocolError("an UNSUBSCRIBE without topics [MQTT-3.10.3-2]")
    return Unsubscribe(packet_id, tuple(filters), properties)


def _check_count(filters: Sized) -> None:
    if len(filters) >= MAX_FILTERS:
        raise ProtocolError(f"more than {MAX_FILTERS} topic filters in one packet", Reason.QUOTA_EXCEEDED)


def _filter(reader: Reader) -> str:
    topic_filter = reader.text()
    if not topic_filter:
        raise Malformed("an empty topic filter [MQTT-4.7.3-1]")
    return topic_filter


# -- packets without a packet identifier


def _decode_pingreq(reader: Reader, level: int) -> Pingreq:  # noqa: ARG001 -- one signature for all
    return Pingreq()


def _decode_pingresp(reader: Reader, level: int) -> Pingresp:  # noqa: ARG001 -- one signature for all
    return Pingresp()


def _decode_disconnect(reader: Reader, level: int) -> Disconnect:
    if level < LEVEL_5 or not reader:
        return Disconnect()
    return Disconnect(*_reason(reader, Type.DISCONNECT))


def _decode_auth(reader: Reader, level: int) -> Auth:  # noqa: ARG001 -- one signature for all
    return Auth(*_reason(reader, Type.AUTH)) if reader else Auth(Reason.SUCCESS)


_DECODERS: Final[dict[int, Callable[[Reader, int], Packet]]] = {
    Type.CONNECT: _decode_connect,
    Type.CONNACK: _decode_connack,
    Type.PUBACK: _ack_decoder(Puback, Type.PUBACK),
    Type.PUBREC: _ack_decoder(Pubrec, Type.PUBREC),
    Type.PUBREL: _ack_decoder(Pubrel, Type.PUBREL),
    Type.PUBCOMP: _ack_decoder(Pubcomp, Type.PUBCOMP),
    Type.SUBSCRIBE: _decode_subscribe,
    Type.SUBACK: _decode_suback,
    Type.UNSUBSCRIBE: _decode_unsubscribe,
    Type.UNSUBACK: _decode_unsuback,
    Type.PINGREQ: _decode_pingreq,
    Type.PINGRESP: _decode_pingresp,
    Type.DISCONNECT: _decode_disconnect,
    Type.AUTH: _decode_auth,
}
