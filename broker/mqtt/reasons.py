"""Why: the reason codes of MQTT 5 (2.4), which is what the broker decides in; 3.1.1 has a few of its own."""

from enum import IntEnum
from typing import Final


class Reason(IntEnum):
    """Names of the standard. Below 0x80 it went well. 0 has three names; the others are aliases of SUCCESS."""

    SUCCESS = 0x00
    NORMAL_DISCONNECTION = 0x00
    GRANTED_QOS_0 = 0x00
    GRANTED_QOS_1 = 0x01
    GRANTED_QOS_2 = 0x02
    DISCONNECT_WITH_WILL_MESSAGE = 0x04
    NO_MATCHING_SUBSCRIBERS = 0x10
    NO_SUBSCRIPTION_EXISTED = 0x11
    CONTINUE_AUTHENTICATION = 0x18
    REAUTHENTICATE = 0x19
    UNSPECIFIED_ERROR = 0x80
    MALFORMED_PACKET = 0x81
    PROTOCOL_ERROR = 0x82
    IMPLEMENTATION_SPECIFIC_ERROR = 0x83
    UNSUPPORTED_PROTOCOL_VERSION = 0x84
    CLIENT_IDENTIFIER_NOT_VALID = 0x85
    BAD_USER_NAME_OR_PASSWORD = 0x86
    NOT_AUTHORIZED = 0x87
    SERVER_UNAVAILABLE = 0x88
    SERVER_BUSY = 0x89
    BANNED = 0x8A
    SERVER_SHUTTING_DOWN = 0x8B
    BAD_AUTHENTICATION_METHOD = 0x8C
    KEEP_ALIVE_TIMEOUT = 0x8D
    SESSION_TAKEN_OVER = 0x8E
    TOPIC_FILTER_INVALID = 0x8F
    TOPIC_NAME_INVALID = 0x90
    PACKET_IDENTIFIER_IN_USE = 0x91
    PACKET_IDENTIFIER_NOT_FOUND = 0x92
    RECEIVE_MAXIMUM_EXCEEDED = 0x93
    TOPIC_ALIAS_INVALID = 0x94
    PACKET_TOO_LARGE = 0x95
    MESSAGE_RATE_TOO_HIGH = 0x96
    QUOTA_EXCEEDED = 0x97
    ADMINISTRATIVE_ACTION = 0x98
    PAYLOAD_FORMAT_INVALID = 0x99
    RETAIN_NOT_SUPPORTED = 0x9A
    QOS_NOT_SUPPORTED = 0x9B
    USE_ANOTHER_SERVER = 0x9C
    SERVER_MOVED = 0x9D
    SHARED_SUBSCRIPTIONS_NOT_SUPPORTED = 0x9E
    CONNECTION_RATE_EXCEEDED = 0x9F
    MAXIMUM_CONNECT_TIME = 0xA0
    SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED = 0xA1
    WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED = 0xA2

    @property
    def is_error(self) -> bool:
        return self >= FAILED


# From here on a reason code is a refusal; also the only refusal that a SUBACK of 3.1.1 knows.
FAILED: Final = 0x80


class ConnectCode(IntEnum):
    """Return codes of a CONNACK of MQTT 3.1.1 (3.2.2.3)."""

    ACCEPTED = 0
    BAD_PROTOCOL = 1
    BAD_CLIENT_ID = 2
    UNAVAILABLE = 3
    BAD_CREDENTIALS = 4
    NOT_AUTHORIZED = 5


_OF_311: Final[dict[int, ConnectCode]] = {
    Reason.SUCCESS: ConnectCode.ACCEPTED,
    Reason.UNSUPPORTED_PROTOCOL_VERSION: ConnectCode.BAD_PROTOCOL,
    Reason.CLIENT_IDENTIFIER_NOT_VALID: ConnectCode.BAD_CLIENT_ID,
    Reason.SERVER_UNAVAILABLE: ConnectCode.UNAVAILABLE,
    Reason.SERVER_BUSY: ConnectCode.UNAVAILABLE,
    Reason.BAD_USER_NAME_OR_PASSWORD: ConnectCode.BAD_CREDENTIALS,
}


def connect_code(reason: int) -> ConnectCode:
    """What a CONNACK of 3.1.1 says for a reason; whatever it has no word for is "not authorized"."""
    return _OF_311.get(reason, ConnectCode.NOT_AUTHORIZED)
