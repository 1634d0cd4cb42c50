"""Hostile input by what is wrong with it: what is sent, and what is to come of it.

Each row is about one connection: what it may expect, which is never more than its own end. Rows that a codec can
judge alone are in `malformed_packets`; here they are sent to a broker, and with them what is wrong only in its place.
"""

from typing import NamedTuple

from malformed_packets import MALFORMED_PACKETS

from broker.mqtt import packets as p
from broker.mqtt.codec import encode
from broker.mqtt.properties import Properties
from broker.mqtt.reasons import ConnectCode, Reason

MAX_PACKET = 256 * 1024
MAX_CONNECT = 64 * 1024
# What a broker of these tests takes: unacknowledged messages at QoS 1 and 2 of a client, and topic aliases.
RECEIVE_MAXIMUM = 128
ALIASES = 16


class Row(NamedTuple):
    """What is sent, and how the connection ends.

    Attributes:
        level: of the protocol, 4 or 5.
        raw: sent at once.
        reason: in the DISCONNECT (or, before the login, in the CONNACK) that a client gets; None: not a word.
        logged_in: whether a login comes before.
        ends: whether the client closes its half of the connection behind it.
    """

    level: int
    raw: bytes
    reason: int | None
    logged_in: bool = True
    ends: bool = False


class Kept(NamedTuple):
    """What is refused, or is of no use, and yet no reason to end the connection: with its answers."""

    level: int
    raw: bytes
    answers: tuple[p.Packet, ...] = ()


def connect(level: int, **fields: object) -> bytes:
    return encode(p.Connect(**{"client_id": "bad", "level": level, **fields}), level)


def raw_connect(level: int, body: bytes) -> bytes:
    return bytes((0x10, 6 + 1 + len(body))) + b"\0\x04MQTT" + bytes((level,)) + body


def first(level: int, raw: bytes, reason: int | None = None, *, ends: bool = False) -> Row:
    return Row(level, raw, reason, logged_in=False, ends=ends)


def _of_codec() -> dict[str, Row]:
    """At level 4 there is no word for any of it."""
    rows = {}
    for name, (level, raw, reason) in MALFORMED_PACKETS.items():
        is_connect = raw[0] >> 4 == p.Type.CONNECT
        rows[name] = Row(level, raw, None if level == p.LEVEL_311 else reason, logged_in=not is_connect)
    return rows


_CONNECT_4, _CONNECT_5 = connect(4), connect(5)

_FIRST = {
    "nothing, and the end": first(4, b"", ends=True),
    "an HTTP request": first(4, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "a TLS hello": first(4, b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(200)),
    "an SSH banner": first(4, b"SSH-2.0-OpenSSH_9.2\r\n"),
    "a Redis command": first(4, b"*1\r\n$4\r\nPING\r\n"),
    "zeros": first(4, bytes(1000)),
    "ones": first(4, b"\xff" * 1000),
    "line ends": first(4, b"\r\n" * 100),
    "a PUBLISH first": first(4, encode(p.Publish("t", b"x"))),
    "a PUBLISH at QoS 1 first": first(4, encode(p.Publish("t", b"x", 1, packet_id=1))),
    "a SUBSCRIBE first": first(4, encode(p.Subscribe(1, (("#", 0),)))),
    "an UNSUBSCRIBE first": first(4, encode(p.Unsubscribe(1, ("#",)))),
    "a PINGREQ first": first(4, encode(p.Pingreq())),
    "a DISCONNECT first": first(4, encode(p.Disconnect())),
    "a PUBACK first": first(4, encode(p.Puback(1))),
    "a PUBREL first": first(4, encode(p.Pubrel(1))),
    "a CONNACK first": first(4, encode(p.Connack(session_present=False, code=0))),
    "an AUTH first": first(4, b"\xf0\0"),
    "a PUBLISH before the CONNECT behind it": first(4, encode(p.Publish("t", b"x")) + _CONNECT_4),
    "a remaining length without an end": first(4, b"\x10\xff\xff\xff\xff\xff"),
    "the largest remaining length": first(4, b"\x10\xff\xff\xff\x7f"),
    "a CONNECT above its limit": first(4, b"\x10" + bytes((0x80 | MAX_CONNECT & 0x7F, 0x80 | MAX_CONNECT >> 7 & 0x7F, MAX_CONNECT >> 14))),
    "an empty CONNECT": first(4, b"\x10\0"),
    "a CONNECT of the protocol's name alone": first(4, b"\x10\x06\0\x04MQTT"),
    "a protocol name that is too long": first(4, b"\x10\x0c\xff\xffMQTT\x04\x02\0\0\0\0"),
    "a protocol name in small letters": first(4, b"\x10\x0d\0\x04mqtt\x04\x02\0\0\0\x01a"),
    "MQTT 2": first(4, b"\x10\x0f\0\x06MQIsdp\x02\x02\0\0\0\x01a", ConnectCode.BAD_PROTOCOL),
    "level 0": first(4, raw_connect(0, b"\x02\0\0\0\x01a"), ConnectCode.BAD_PROTOCOL),
    "level 3 by the new name": first(4, raw_connect(3, b"\x02\0\0\0\x01a"), ConnectCode.BAD_PROTOCOL),
    "a client id that is longer than the packet": first(4, raw_connect(4, b"\x02\0\0\0\xffa")),
    "a client id with a control character": first(4, raw_connect(4, b"\x02\0\0\0\x02a\0")),
    "no client id for a session that is to stay": first(4, connect(4, client_id="", clean=False), ConnectCode.BAD_CLIENT_ID),
    "a client id of 256 bytes": first(4, connect(4, client_id="x" * 256), ConnectCode.BAD_CLIENT_ID),
    "a user name that is no UTF-8": first(4, raw_connect(4, b"\x82\0\0\0\x01a\0\x01\xff")),
    "a user flag without a user name": first(4, raw_connect(4, b"\x82\0\0\0\x01a")),
    "a password longer than the packet": first(4, raw_connect(4, b"\xc2\0\0\0\x01a\0\x01u\xff\xffx")),
    "a will without its payload": first(4, raw_connect(4, b"\x06\0\0\0\x01a\0\x01t")),
    "a will to an empty topic": first(4, raw_connect(4, b"\x06\0\0\0\x01a\0\0\0\0")),
    "a will to a topic of the server": first(4, connect(4, will=p.Will("$SYS/broker/version", b"x")), ConnectCode.NOT_AUTHORIZED),
    "a will to a topic of 300 levels": first(4, connect(4, will=p.Will("/" * 300, b"x")), ConnectCode.NOT_AUTHORIZED),
    "level 6": first(5, raw_connect(6, b"\x02\0\0\0\0\x01a"), Reason.UNSUPPORTED_PROTOCOL_VERSION),
    "level 255": first(4, raw_connect(255, b"\x02\0\0\0\0\x01a"), ConnectCode.BAD_PROTOCOL),
    "a client id of 256 bytes (5)": first(5, connect(5, client_id="x" * 256), Reason.CLIENT_IDENTIFIER_NOT_VALID),
    "a will to a topic of the server (5)": first(5, connect(5, will=p.Will("$SYS/x", b"x")), Reason.NOT_AUTHORIZED),
    "enhanced authentication (5)": first(
        5, connect(5, properties=Properties(authentication_method="SCRAM-SHA-256")), Reason.BAD_AUTHENTICATION_METHOD
    ),
    "authentication data beside it (5)": first(
        5,
        connect(5, properties=Properties(authentication_method="x", authentication_data=b"y")),
        Reason.BAD_AUTHENTICATION_METHOD,
    ),
    "a will that is not the UTF-8 that it says (5)": first(
        5,
        connect(5, will=p.Will("t", b"\xff", properties=Properties(payload_format_indicator=1))),
        Reason.PAYLOAD_FORMAT_INVALID,
    ),
}  # fmt: skip

_CUT = {
    **{f"a CONNECT cut after {n} bytes": first(4, _CONNECT_4[:n], ends=True) for n in range(1, len(_CONNECT_4))},
    **{f"a CONNECT cut after {n} bytes (5)": first(5, _CONNECT_5[:n], ends=True) for n in range(1, len(_CONNECT_5), 3)},
    "a PUBLISH cut in its topic": Row(4, b"\x30\x20\0\x05ab", None, ends=True),
    "a PUBLISH cut in its payload": Row(4, b"\x30\x20\0\x01a" + bytes(9), None, ends=True),
    "a PUBLISH cut in its length": Row(4, b"\x30\xff", None, ends=True),
    "a SUBSCRIBE cut": Row(4, b"\x82\x06\0\x01\0", None, ends=True),
    "half a first byte's packet": Row(4, b"\x30", None, ends=True),
    "a PUBLISH cut in its properties (5)": Row(5, b"\x30\x20\0\x01a\x10\x26\0", None, ends=True),
}  # fmt: skip


def _in_the_wrong_place(level: int) -> dict[str, Row]:
    """Well-formed packets, but not from a client, or not now. At level 4 there is no word for it."""

    def row(*packets: p.Packet, reason: int = Reason.PROTOCOL_ERROR) -> Row:
        return Row(level, b"".join(encode(one, level) for one in packets), None if level == 4 else reason)

    codes = b"\0" if level == p.LEVEL_5 else b""
    large = bytes((0x80, 0x80, 0x10))
    return {
        f"a second CONNECT ({level})": row(p.Connect("bad", level=level)),
        f"a second CONNECT of another client ({level})": row(p.Connect("good-pub", level=level)),
        f"a second CONNECT of the other level ({level})": Row(
            level, _CONNECT_5 if level == 4 else _CONNECT_4, None if level == 4 else Reason.PROTOCOL_ERROR
        ),
        f"a CONNACK ({level})": row(p.Connack(session_present=False, code=0)),
        f"a SUBACK ({level})": row(p.Suback(1, b"\0")),
        f"an UNSUBACK ({level})": row(p.Unsuback(1, codes)),
        f"a PINGRESP ({level})": row(p.Pingresp()),
        f"a packet one byte above the limit ({level})": Row(
            level, b"\x30" + bytes(((MAX_PACKET - 3 & 0x7F) | 0x80, (MAX_PACKET - 3 >> 7 & 0x7F) | 0x80, MAX_PACKET - 3 >> 14)),
            None if level == 4 else Reason.PACKET_TOO_LARGE,
        ),
        f"a packet far above the limit ({level})": Row(
            level, b"\x30\xff\xff\xff\x7f", None if level == 4 else Reason.PACKET_TOO_LARGE
        ),
        f"a SUBSCRIBE far above the limit ({level})": Row(
            level, b"\x82" + large[:2] + b"\xff\x7f", None if level == 4 else Reason.PACKET_TOO_LARGE
        ),
        f"a remaining length of five bytes ({level})": Row(
            level, b"\x30\x80\x80\x80\x80\x01", None if level == 4 else Reason.MALFORMED_PACKET
        ),
        f"a PUBREL while the message waits ({level})": row(p.Disconnect(), p.Pubrel(1))._replace(reason=None),
        f"anything behind a DISCONNECT ({level})": Row(level, encode(p.Disconnect(), level) + b"\xf0\xff\xff", None),
        f"two DISCONNECTs ({level})": row(p.Disconnect(), p.Disconnect())._replace(reason=None),
        f"an HTTP request after the login ({level})": Row(
            level, b"GET / HTTP/1.1\r\n\r\n", None if level == 4 else Reason.MALFORMED_PACKET
        ),
    }  # fmt: skip


def _aliased(alias: int, topic: str = "") -> p.Publish:
    return p.Publish(topic, b"x", properties=Properties(topic_alias=alias))


def _of_5(*packets: p.Packet, reason: int = Reason.PROTOCOL_ERROR) -> Row:
    return Row(5, b"".join(encode(one, 5) for one in packets), reason)


_ONLY_5 = {
    "a topic alias above the maximum": _of_5(_aliased(ALIASES + 1, "t"), reason=Reason.TOPIC_ALIAS_INVALID),
    "the greatest topic alias": _of_5(_aliased(65_535, "t"), reason=Reason.TOPIC_ALIAS_INVALID),
    "a topic alias that stands for nothing": _of_5(_aliased(3)),
    "a subscription identifier from a client": _of_5(
        p.Publish("t", b"x", properties=Properties(subscription_identifiers=(1,)))
    ),
    "more at QoS 2 than may be": _of_5(
        *(p.Publish("t", b"x", 2, packet_id=n) for n in range(1, RECEIVE_MAXIMUM + 2)),
        reason=Reason.RECEIVE_MAXIMUM_EXCEEDED,
    ),
    "an AUTH where there is none": _of_5(
        p.Auth(Reason.REAUTHENTICATE, Properties(authentication_method="SCRAM-SHA-256"))
    ),
    "a session that is to last after all": _of_5(
        p.Disconnect(properties=Properties(session_expiry_interval=60))
    ),
    "a shared subscription that wants not its own": _of_5(
        p.Subscribe(1, (("$share/g/a", p.subscription_options(0, no_local=True)),))
    ),
}

ROWS: dict[str, Row] = {
    **_of_codec(),
    **_FIRST,
    **_CUT,
    **_in_the_wrong_place(4),
    **_in_the_wrong_place(5),
    **_ONLY_5,
}

_BAD_FILTERS = ("a#", "#a", "a/#/b", "+a", "a+", "a/+b/c", "##", "#/", "/" * 300)
_BAD_SHARES = ("$share/g", "$share//a", "$share/g/", "$share/+/a", "$share/g#/a")


def _kept() -> dict[str, Kept]:
    rows: dict[str, Kept] = {}
    for name in (*_BAD_FILTERS, *_BAD_SHARES):
        shown = name if len(name) < 20 else "of 300 levels"
        for level, code in ((4, b"\x80"), (5, bytes((Reason.TOPIC_FILTER_INVALID,)))):
            raw = encode(p.Subscribe(1, ((name, 0),)), level)
            rows[f"the filter {shown} ({level})"] = Kept(level, raw, (p.Suback(1, code),))
    for level in (4, 5):
        said = {"reason": Reason.PACKET_IDENTIFIER_NOT_FOUND} if level == 5 else {}
        refused = {"reason": Reason.NOT_AUTHORIZED} if level == 5 else {}
        for name, packet, answers in (
            ("a PUBACK of nothing", p.Puback(77), ()),
            ("a PUBREC of nothing", p.Pubrec(77), (p.Pubrel(77, **said),)),
            ("a PUBREL of nothing", p.Pubrel(77), (p.Pubcomp(77, **said),)),
            ("a PUBCOMP of nothing", p.Pubcomp(77), ()),
            ("a message to a topic of the server", p.Publish("$SYS/x", b"x", 1, packet_id=7), (p.Puback(7, **refused),)),
            ("a message to a topic of 300 levels", p.Publish("/" * 300, b"x", 1, packet_id=7), (p.Puback(7, **refused),)),
        ):  # fmt: skip
            rows[f"{name} ({level})"] = Kept(level, encode(packet, level), answers)
    return rows


KEPT = _kept()
