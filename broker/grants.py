"""What a subscription says beside its filter, as one number: the options of MQTT 5 and its identifier.

The lower byte is the options byte (3.8.3.1), which in 3.1.1 is the QoS alone; what is above it is the subscription
identifier, 0 for none. So the rows of earlier versions, which held a QoS, mean what they meant.
"""

from typing import Final

from broker.mqtt.packets import NO_LOCAL, QOS_MASK, RETAIN_AS_PUBLISHED, RETAIN_HANDLING_MASK

_OPTIONS: Final = 0xFF
_IDENTIFIER_SHIFT: Final = 8


def grant(options: int, identifier: int = 0) -> int:
    return options | identifier << _IDENTIFIER_SHIFT


def qos_of(granted: int) -> int:
    return granted & QOS_MASK


def options_of(granted: int) -> int:
    return granted & _OPTIONS


def identifier_of(granted: int) -> int:
    return granted >> _IDENTIFIER_SHIFT


def with_qos(granted: int, qos: int) -> int:
    return granted & ~QOS_MASK | qos


def is_plain(granted: int) -> bool:
    """Whether the QoS says it all when a message is routed."""
    return granted & ~RETAIN_HANDLING_MASK <= QOS_MASK


class Extras:
    """What a subscriber of a topic gets beside the message, over all of its filters that match.

    One message for all of them, as it is in 3.1.1, at the greatest QoS and with all identifiers (3.3.4). Where some
    want no messages of their own client, those do not count for it: hence everything twice.

    Attributes:
        retain: the flag goes on as it was published. `own_…`: for what the subscriber itself published; `own_qos`
            is None if it gets none of that.
    """

    __slots__ = ("identifiers", "own_identifiers", "own_qos", "own_retain", "retain")

    def __init__(self, held: list[int]) -> None:
        own = [granted for granted in held if not granted & NO_LOCAL]
        self.retain = _keeps(held)
        self.identifiers = _identifiers(held)
        self.own_qos = max(map(qos_of, own)) if own else None
        self.own_retain = _keeps(own)
        self.own_identifiers = _identifiers(own)


def _keeps(held: list[int]) -> bool:
    return any(granted & RETAIN_AS_PUBLISHED for granted in held)


def _identifiers(held: list[int]) -> tuple[int, ...]:
    return tuple(sorted({found for granted in held if (found := identifier_of(granted))}))
