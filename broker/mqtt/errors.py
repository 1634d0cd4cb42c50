"""What a peer can do wrong on the wire.

MqttError             carries a reason code, and perhaps the answer
 ├── Malformed         the bytes are no MQTT
 ├── ProtocolError     well-formed, but not allowed: by a value, by the order, by what was negotiated
 ├── PacketTooLarge    a packet above our limit, known from its first five bytes
 └── UnsupportedLevel  a CONNECT of a protocol version that is not spoken here
"""

from broker.mqtt.reasons import Reason


class MqttError(Exception):
    """The connection cannot go on. `str()` is the reason string.

    Attributes:
        reason: what a peer that speaks MQTT 5 is told.
        answer: bytes that the standard wants sent before a connection closes that has not logged in; mostly none.
    """

    answer: bytes = b""

    def __init__(self, text: str, reason: Reason) -> None:
        super().__init__(text)
        self.reason = reason


class Malformed(MqttError):  # noqa: N818 -- named like the refusals of pabal.errors
    """The bytes are no MQTT, or break a rule of the standard about bytes."""

    def __init__(self, text: str) -> None:
        super().__init__(text, Reason.MALFORMED_PACKET)


class ProtocolError(MqttError):
    """Data that the protocol does not allow, or not here and now."""

    def __init__(self, text: str, reason: Reason = Reason.PROTOCOL_ERROR) -> None:
        super().__init__(text, reason)


class PacketTooLarge(MqttError):  # noqa: N818 -- named like the refusals of pabal.errors
    """A packet above our limit."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"a packet of {size} bytes, where {limit} are allowed", Reason.PACKET_TOO_LARGE)
        self.size = size
        self.limit = limit


class UnsupportedLevel(MqttError):  # noqa: N818 -- named like the refusals of pabal.errors
    """A CONNECT of another protocol version."""

    def __init__(self, level: int, answer: bytes) -> None:
        super().__init__(f"MQTT protocol level {level} is not supported", Reason.UNSUPPORTED_PROTOCOL_VERSION)
        self.level = level
        self.answer = answer
