"""Packets to bytes and back. A stream of bytes goes through `broker.mqtt.parser`."""

from broker.mqtt.decoding import decode
from broker.mqtt.encoding import (
    PINGRESP,
    PUBACK,
    PUBCOMP,
    PUBREC,
    PUBREL,
    UNSUBACK,
    ack,
    encode,
    encode_publish,
    publish_head,
)
from broker.mqtt.properties import encode_properties

__all__ = [
    "PINGRESP",
    "PUBACK",
    "PUBCOMP",
    "PUBREC",
    "PUBREL",
    "UNSUBACK",
    "ack",
    "decode",
    "encode",
    "encode_properties",
    "encode_publish",
    "publish_head",
]
