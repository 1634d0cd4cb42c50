"""The packets of MQTT 3.1.1 and of MQTT 5 as values; a packet of 3.1.1 has the defaults in what only 5 knows.

They are msgspec Structs because those are made several times faster than any other class, and a broker
makes one for each packet it reads.
"""

from enum import IntEnum
from typing import Final

from msgspec import Struct

from broker.mqtt.properties import Properties
from broker.mqtt.reasons import FAILED

# MQTT 3.1, which is 3.1.1 in all that matters: read and written as level 4 is.
LEVEL_31: Final = 3
LEVEL_311: Final = 4
LEVEL_5: Final = 5


class Type(IntEnum):
    """The upper four bits of a packet's first byte."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14
    AUTH = 15


SUBSCRIPTION_FAILED: Final = FAILED

# A subscription's options, as in the byte of the standard (MQTT 5, 3.8.3.1), which at level 4 is the QoS alone.
QOS_MASK: Final = 0b11
NO_LOCAL: Final = 0b100
RETAIN_AS_PUBLISHED: Final = 0b1000
RETAIN_HANDLING_MASK: Final = 0b11_0000


class RetainHandling(IntEnum):
    """When retained messages are sent for a subscription: `RetainHandling.of(options)`."""

    ALWAYS = 0
    IF_NEW = 1
    NEVER = 2

    @classmethod
    def of(cls, options: int) -> "RetainHandling":
        return cls((options & RETAIN_HANDLING_MASK) >> 4)


def subscription_options(
    qos: int,
    *,
    no_local: bool = False,
    retain_as_published: bool = False,
    retain_handling: RetainHandling = RetainHandling.ALWAYS,
) -> int:
    """The byte of options."""
    return qos | no_local << 2 | retain_as_published << 3 | retain_handling << 4


class Will(Struct, frozen=True, gc=False):
    """What is published in the client's name when its connection ends without a DISCONNECT."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    properties: Properties | None = None


class Connect(Struct, frozen=True, gc=False):
    """`clean` is "clean session" in 3.1.1 and "clean start" in 5."""

    client_id: str
    clean: bool = True
    keep_alive: int = 0
    username: str | None = None
    password: bytes | None = None
    will: Will | None = None
    level: int = LEVEL_311
    properties: Properties | None = None


class Connack(Struct, frozen=True, gc=False):
    """`code` is a `ConnectCode` at level 4 and a `Reason` at level 5."""

    session_present: bool
    code: int
    properties: Properties | None = None


class Publish(Struct, frozen=True, gc=False):
    """`packet_id` is 0 exactly when `qos` is 0. `topic` is empty if only its alias was sent (MQTT 5)."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    dup: bool = False
    packet_id: int = 0
    properties: Properties | None = None


class Puback(Struct, frozen=True, gc=False):
    packet_id: int
    reason: int = 0
    properties: Properties | None = None


class Pubrec(Struct, frozen=True, gc=False):
    packet_id: int
    reason: int = 0
    properties: Properties | None = None


class Pubrel(Struct, frozen=True, gc=False):
    packet_id: int
    reason: int = 0
    properties: Properties | None = None


class Pubcomp(Struct, frozen=True, gc=False):
    packet_id: int
    reason: int = 0
    properties: Properties | None = None


class Subscribe(Struct, frozen=True, gc=False):
    """`filters` are `(filter, options)`, the options as above. Wildcards may stand in wrong places; the filters are
    not empty.
    """

    packet_id: int
    filters: tuple[tuple[str, int], ...]
    properties: Properties | None = None


class Suback(Struct, frozen=True, gc=False):
    """A byte for each filter: a `Reason`, at level 4 only 0, 1, 2 and FAILED."""

    packet_id: int
    codes: bytes
    properties: Properties | None = None


class Unsubscribe(Struct, frozen=True, gc=False):
    packet_id: int
    filters: tuple[str, ...]
    properties: Properties | None = None


class Unsuback(Struct, frozen=True, gc=False):
    """At level 5 a `Reason` for each filter; at level 4 no codes."""

    packet_id: int
    codes: bytes = b""
    properties: Properties | None = None


class Pingreq(Struct, frozen=True, gc=False):
    pass


class Pingresp(Struct, frozen=True, gc=False):
    pass


class Disconnect(Struct, frozen=True, gc=False):
    """From the client, and at level 5 also from the server."""

    reason: int = 0
    properties: Properties | None = None


class Auth(Struct, frozen=True, gc=False):
    """Only at level 5."""

    reason: int = 0
    properties: Properties | None = None


Packet = (
    Connect
    | Connack
    | Publish
    | Puback
    | Pubrec
    | Pubrel
    | Pubcomp
    | Subscribe
    | Suback
    | Unsubscribe
    | Unsuback
    | Pingreq
    | Pingresp
    | Disconnect
    | Auth
)
