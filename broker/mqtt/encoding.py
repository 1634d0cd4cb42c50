"""One packet: value to bytes. The shortest form, where the standard allows several."""

from typing import Final

from msgspec.structs import replace

from broker.mqtt.fields import prefixed, varint
from broker.mqtt.packets import (
    LEVEL_5,
    LEVEL_31,
    LEVEL_311,
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
)
from broker.mqtt.properties import Properties, encode_properties
from broker.mqtt.reasons import FAILED, connect_code

PINGREQ: Final = b"\xc0\x00"
PINGRESP: Final = b"\xd0\x00"

# First bytes and lengths of the packets that hold nothing but a packet identifier, for `ack`.
PUBACK: Final = 0x4002_0000
PUBREC: Final = 0x5002_0000
PUBREL: Final = 0x6202_0000
PUBCOMP: Final = 0x7002_0000
UNSUBACK: Final = 0xB002_0000


def ack(kind: int, packet_id: int) -> bytes:
    """One of the four-byte packets above; UNSUBACK at level 4 only."""
    return (kind | packet_id).to_bytes(4, "big")


def publish_head(topic: bytes, tail_size: int, qos: int, *, retain: bool = False, dup: bool = False) -> bytes:
    """A PUBLISH up to its topic; at QoS 1 and 2 the packet identifier follows, then the tail.

    The tail is the payload, at level 5 with `encode_properties` in front. The head is the same for all receivers with
    the same QoS, so that it is made once.
    """
    size = 2 + len(topic) + tail_size + (2 if qos else 0)
    first = 0x30 | dup << 3 | qos << 1 | retain
    if size < 128:  # noqa: PLR2004 -- one byte of length: by far the most
        return bytes((first, size)) + len(topic).to_bytes(2, "big") + topic
    return bytes((first,)) + varint(size) + prefixed(topic)


def encode_publish(packet: Publish, level: int = LEVEL_311) -> bytes:
    """Raises: ValueError if a field is too long for MQTT."""
    tail = packet.payload if level < LEVEL_5 else encode_properties(packet.properties) + packet.payload
    head = publish_head(packet.topic.encode(), len(tail), packet.qos, retain=packet.retain, dup=packet.dup)
    if packet.qos:
        return head + packet.packet_id.to_bytes(2, "big") + tail
    return head + tail


def encode(packet: Packet, level: int = LEVEL_311) -> bytes:  # noqa: PLR0911 -- one for each kind
    """The bytes of a packet; a CONNECT is of its own level. What level 4 does not know is left out there.

    Raises: ValueError if a field is too long for MQTT.
    """
    match packet:
        case Publish():
            return encode_publish(packet, level)
        case Connect():
            return _framed(Type.CONNECT << 4, _connect_body(packet))
        case Connack(present, code, properties):
            return _framed(Type.CONNACK << 4, bytes((present, code)) + _properties(properties, level))
        case Subscribe() | Suback() | Unsubscribe() | Unsuback():
            return _encode_subscribing(packet, level)
        case Pingreq():
            return PINGREQ
        case Pingresp():
            return PINGRESP
        case Disconnect(reason, properties):
            return _framed(Type.DISCONNECT << 4, b"" if level < LEVEL_5 else _reason(reason, properties))
        case Auth(reason, properties):
            return _framed(Type.AUTH << 4, _reason(reason, properties))
        case _:
            return _encode_ack(packet, level)


def encode_as_311(packet: Packet) -> bytes:
    """What a packet of MQTT 5 would be in 3.1.1, for those who read no other; nothing for what is not there.

    Raises: ValueError if a field is too long for MQTT.
    """
    match packet:
        case Auth():
            return b""
        case Connect():
            return encode(replace(packet, level=LEVEL_311, properties=None))
        case Connack(present, code):
            return encode(Connack(present, connect_code(code)))
        case Suback(packet_id, codes):
            return encode(Suback(packet_id, bytes(min(code, FAILED) for code in codes)))
        case _:
            return encode(packet)


def _encode_ack(packet: Puback | Pubrec | Pubrel | Pubcomp, level: int) -> bytes:
    match packet:
        case Puback():
            first = Type.PUBACK << 4
        case Pubrec():
            first = Type.PUBREC << 4
        case Pubrel():
            first = Type.PUBREL << 4 | 2
        case Pubcomp():
            first = Type.PUBCOMP << 4
    more = b"" if level < LEVEL_5 else _reason(packet.reason, packet.properties)
    return _framed(first, packet.packet_id.to_bytes(2, "big") + more)


def _encode_subscribing(packet: Subscribe | Suback | Unsubscribe | Unsuback, level: int) -> bytes:
    head = packet.packet_id.to_bytes(2, "big") + _properties(packet.properties, level)
    match packet:
        case Subscribe(filters=filters):
            body = b"".join(prefixed(name.encode()) + bytes((options,)) for name, options in filters)
            return _framed(Type.SUBSCRIBE << 4 | 2, head + body)
        case Suback(codes=codes):
            return _framed(Type.SUBACK << 4, head + codes)
        case Unsubscribe(filters=names):
            return _framed(
                Type.UNSUBSCRIBE << 4 | 2, head + b"".join(prefixed(name.encode()) for name in names)
            )
        case Unsuback(codes=codes):
            return _framed(Type.UNSUBACK << 4, head + (b"" if level < LEVEL_5 else codes))


def _properties(properties: Properties | None, level: int) -> bytes:
    return b"" if level < LEVEL_5 else encode_properties(properties)


def _reason(reason: int, properties: Properties | None) -> bytes:
    """A reason code and properties, each left out if nothing follows and it says nothing."""
    if properties is not None:
        return bytes((reason,)) + encode_properties(properties)
    return bytes((reason,)) if reason else b""


def _connect_body(packet: Connect) -> bytes:
    flags, level = packet.clean << 1, packet.level
    payload = prefixed(packet.client_id.encode())
    if (will := packet.will) is not None:
        flags |= 0x04 | will.qos << 3 | will.retain << 5
        payload += (
            _properties(will.properties, level) + prefixed(will.topic.encode()) + prefixed(will.payload)
        )
    if packet.username is not None:
        flags |= 0x80
        payload += prefixed(packet.username.encode())
    if packet.password is not None:
        flags |= 0x40
        payload += prefixed(packet.password)
    name = b"MQIsdp" if level == LEVEL_31 else b"MQTT"
    head = prefixed(name) + bytes((level, flags)) + packet.keep_alive.to_bytes(2, "big")
    return head + _properties(packet.properties, level) + payload


def _framed(first: int, body: bytes) -> bytes:
    return bytes((first,)) + varint(len(body)) + body
