"""The properties of MQTT 5 (2.2.2): as a value, and which packets they may stand in."""

from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct

from broker.mqtt.errors import Malformed, ProtocolError
from broker.mqtt.fields import Reader, prefixed, varint
from broker.mqtt.reasons import Reason

# More user properties in one packet are refused: each takes five bytes on the wire and twenty times that here.
MAX_USER_PROPERTIES: Final = 1000


class Properties(Struct, frozen=True, gc=False):
    """What a packet says beside its fields; None, or nothing in a tuple, is what it does not say.

    A packet without properties has None in place of this, in both protocol levels, so that they cost nothing where
    they are not used: decoding an empty list of properties gives None, and encoding None at level 5 gives an empty
    list.

    Attributes: as in the standard. Intervals are in seconds. `subscription_identifiers` has at most one element in
        a SUBSCRIBE. What is a byte of 0 or 1 in the standard is a bool.
    """

    payload_format_indicator: bool | None = None
    message_expiry_interval: int | None = None
    content_type: str | None = None
    response_topic: str | None = None
    correlation_data: bytes | None = None
    subscription_identifiers: tuple[int, ...] = ()
    session_expiry_interval: int | None = None
    assigned_client_identifier: str | None = None
    server_keep_alive: int | None = None
    authentication_method: str | None = None
    authentication_data: bytes | None = None
    request_problem_information: bool | None = None
    will_delay_interval: int | None = None
    request_response_information: bool | None = None
    response_information: str | None = None
    server_reference: str | None = None
    reason_string: str | None = None
    receive_maximum: int | None = None
    topic_alias_maximum: int | None = None
    topic_alias: int | None = None
    maximum_qos: int | None = None
    retain_available: bool | None = None
    user_properties: tuple[tuple[str, str], ...] = ()
    maximum_packet_size: int | None = None
    wildcard_subscription_available: bool | None = None
    subscription_identifier_available: bool | None = None
    shared_subscription_available: bool | None = None


NOTHING: Final = Properties()

# Where properties stand: the numbers of the packet types, and this one.
WILL: Final = 0
_PUBLISH_TYPE: Final = 3
_CONNECT: Final = 1 << 1
_CONNACK: Final = 1 << 2
_PUBLISH: Final = 1 << _PUBLISH_TYPE
_SUBSCRIBE: Final = 1 << 8
_DISCONNECT: Final = 1 << 14
_AUTH: Final = 1 << 15
_MESSAGE: Final = _PUBLISH | 1 << WILL
_ANSWERS: Final = _CONNACK | _DISCONNECT | _AUTH | sum(1 << kind for kind in (4, 5, 6, 7, 9, 11))
_EVERYWHERE: Final = _ANSWERS | _CONNECT | _MESSAGE | _SUBSCRIBE | 1 << 10


def _flag(reader: Reader) -> bool:
    value = reader.byte()
    if value > 1:
        raise ProtocolError("a property that is neither 0 nor 1")
    return value == 1


def _some_two(reader: Reader) -> int:
    value = reader.two()
    if value == 0:
        raise ProtocolError("a Receive Maximum of 0 [3.1.2.11.3]")
    return value


def _some_four(reader: Reader) -> int:
    value = reader.four()
    if value == 0:
        raise ProtocolError("a Maximum Packet Size of 0 [3.1.2.11.4]")
    return value


def _alias(reader: Reader) -> int:
    value = reader.two()
    if value == 0:
        raise ProtocolError("topic alias 0 [MQTT-3.3.2-8]", Reason.TOPIC_ALIAS_INVALID)
    return value


def _identifier(reader: Reader) -> int:
    value = reader.varint()
    if value == 0:
        raise ProtocolError("subscription identifier 0 [3.8.2.1.2]")
    return value


def _response_topic(reader: Reader) -> str:
    value = reader.text()
    if not value or "+" in value or "#" in value:
        raise ProtocolError("an empty response topic, or one with wildcards [MQTT-3.3.2-14]")
    return value


def _pair(reader: Reader) -> tuple[str, str]:
    return reader.text(), reader.text()


def _from_pair(pair: tuple[str, str]) -> bytes:
    return _from_text(pair[0]) + _from_text(pair[1])


def _from_byte(value: int) -> bytes:
    return value.to_bytes(1, "big")


def _from_two(value: int) -> bytes:
    return value.to_bytes(2, "big")


def _from_four(value: int) -> bytes:
    return value.to_bytes(4, "big")


def _from_text(value: str) -> bytes:
    return prefixed(value.encode())


class _Kind(Struct, frozen=True):
    """One property: where it belongs, and its bytes both ways."""

    identifier: int
    name: str
    allowed: int
    read: Callable[[Reader], Any]
    write: Callable[[Any], bytes]
    many: int = 0


_FLAG: Final = (_flag, _from_byte)
_TWO: Final = (Reader.two, _from_two)
_FOUR: Final = (Reader.four, _from_four)
_TEXT: Final = (Reader.text, _from_text)
_BINARY: Final = (Reader.binary, prefixed)

# In the order in which they are written, which the standard leaves open: that of mosquitto, whose test suite compares
# bytes.
_KINDS: Final = (
    _Kind(0x22, "topic_alias_maximum", _CONNECT | _CONNACK, *_TWO),
    _Kind(0x01, "payload_format_indicator", _MESSAGE, *_FLAG),
    _Kind(0x02, "message_expiry_interval", _MESSAGE, *_FOUR),
    _Kind(0x03, "content_type", _MESSAGE, *_TEXT),
    _Kind(0x08, "response_topic", _MESSAGE, _response_topic, _from_text),
    _Kind(0x09, "correlation_data", _MESSAGE, *_BINARY),
    _Kind(0x0B, "subscription_identifiers", _PUBLISH | _SUBSCRIBE, _identifier, varint, MAX_USER_PROPERTIES),
    _Kind(0x11, "session_expiry_interval", _CONNECT | _CONNACK | _DISCONNECT, *_FOUR),
    _Kind(0x12, "assigned_client_identifier", _CONNACK, *_TEXT),
    _Kind(0x13, "server_keep_alive", _CONNACK, *_TWO),
    _Kind(0x15, "authentication_method", _CONNECT | _CONNACK | _AUTH, *_TEXT),
    _Kind(0x16, "authentication_data", _CONNECT | _CONNACK | _AUTH, *_BINARY),
    _Kind(0x17, "request_problem_information", _CONNECT, *_FLAG),
    _Kind(0x18, "will_delay_interval", 1 << WILL, *_FOUR),
    _Kind(0x19, "request_response_information", _CONNECT, *_FLAG),
    _Kind(0x1A, "response_information", _CONNACK, *_TEXT),
    _Kind(0x1C, "server_reference", _CONNACK | _DISCONNECT, *_TEXT),
    _Kind(0x1F, "reason_string", _ANSWERS, *_TEXT),
    _Kind(0x23, "topic_alias", _PUBLISH, _alias, _from_two),
    _Kind(0x24, "maximum_qos", _CONNACK, _flag, _from_byte),
    _Kind(0x25, "retain_available", _CONNACK, *_FLAG),
    _Kind(0x26, "user_properties", _EVERYWHERE, _pair, _from_pair, MAX_USER_PROPERTIES),
    _Kind(0x27, "maximum_packet_size", _CONNECT | _CONNACK, _some_four, _from_four),
    _Kind(0x28, "wildcard_subscription_available", _CONNACK, *_FLAG),
    _Kind(0x29, "subscription_identifier_available", _CONNACK, *_FLAG),
    _Kind(0x2A, "shared_subscription_available", _CONNACK, *_FLAG),
    _Kind(0x21, "receive_maximum", _CONNECT | _CONNACK, _some_two, _from_two),
)
_BY_IDENTIFIER: Final = {kind.identifier: kind for kind in _KINDS}


def read_properties(reader: Reader, where: int) -> Properties | None:
    """The properties of a packet of type `where`, or of a will. Returns None if there are none.

    Raises: Malformed for what does not belong there; ProtocolError for what is there twice or has no such value.
    """
    size = reader.varint()
    if size == 0:
        return None
    inside = reader.part(size)
    found: dict[str, Any] = {}
    while inside:
        kind = _BY_IDENTIFIER.get(inside.varint())
        if kind is None or not kind.allowed >> where & 1:
            raise Malformed("a property that does not belong there [MQTT-2.2.2.2]")
        value = kind.read(inside)
        if kind.many and (where == _PUBLISH_TYPE or kind.name == "user_properties"):
            values = found.setdefault(kind.name, [])
            if len(values) >= kind.many:
                raise ProtocolError(f"more than {kind.many} {kind.name}", Reason.QUOTA_EXCEEDED)
            values.append(value)
        elif kind.name in found:
            raise ProtocolError(f"{kind.name} twice")
        else:
            found[kind.name] = (value,) if kind.many else value
    for name in ("user_properties", "subscription_identifiers"):
        if name in found:
            found[name] = tuple(found[name])
    if "authentication_data" in found and "authentication_method" not in found:
        raise ProtocolError("authentication data without a method [MQTT-3.1.2-30]")
    return Properties(**found)


def encode_properties(properties: Properties | None) -> bytes:
    """With their length in front; one byte for None.

    Raises: ValueError if a field is too long for MQTT.
    """
    if properties is None:
        return b"\x00"
    parts: list[bytes] = []
    for kind in _KINDS:
        value = getattr(properties, kind.name)
        if kind.many:
            for one in value:
                parts += (kind.identifier.to_bytes(1, "big"), kind.write(one))
        elif value is not None:
            parts += (kind.identifier.to_bytes(1, "big"), kind.write(value))
    body = b"".join(parts)
    return varint(len(body)) + body
