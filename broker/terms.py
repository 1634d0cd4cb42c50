"""What a client said in its CONNECT about what it can be sent, and the topic aliases of its connection."""

from typing import TYPE_CHECKING, Final

from broker.mqtt.packets import LEVEL_5, LEVEL_311

if TYPE_CHECKING:
    from broker.mqtt.packets import Connect

_ANY: Final = 65_535


class Terms:
    """Of one connection. Connections that said nothing special share `PLAIN`.

    Attributes:
        level: of the protocol, which decides how a packet is written.
        receive_maximum: how many messages at QoS 1 and 2 may be on their way to it.
        maximum_packet_size: greatest packet that it takes; None: any.
        alias_maximum: how many topics may be given a number.
        aliases: the topics that have one (MQTT 5, 3.3.2.3.4).
        problem_information: whether it wants to be told why where a reason code says no (3.1.2.11.7).
        explains: whether we tell it in words why, where it cannot ask us not to (CONNACK and DISCONNECT).
    """

    __slots__ = (
        "alias_maximum",
        "aliases",
        "explains",
        "level",
        "maximum_packet_size",
        "problem_information",
        "receive_maximum",
    )

    def __init__(
        self,
        level: int = LEVEL_311,
        *,
        receive_maximum: int = _ANY,
        maximum_packet_size: int | None = None,
        alias_maximum: int = 0,
        problem_information: bool = True,
        explains: bool = True,
    ) -> None:
        self.level = level
        self.receive_maximum = receive_maximum
        self.maximum_packet_size = maximum_packet_size
        self.alias_maximum = alias_maximum
        self.aliases: dict[str, int] = {}
        self.problem_information = problem_information
        self.explains = explains

    @classmethod
    def of(cls, packet: "Connect", most_aliases: int, *, explain: bool = True) -> "Terms":
        """`most_aliases`: that many topics of a connection get a number, however many it would take."""
        said = packet.properties
        if packet.level != LEVEL_5:
            return PLAIN
        if said is None or (
            said.receive_maximum is None
            and said.maximum_packet_size is None
            and not said.topic_alias_maximum
            and said.request_problem_information is not False
        ):
            return PLAIN_5 if explain else CURT_5
        return cls(
            LEVEL_5,
            receive_maximum=_ANY if said.receive_maximum is None else said.receive_maximum,
            maximum_packet_size=said.maximum_packet_size,
            alias_maximum=min(said.topic_alias_maximum or 0, most_aliases),
            problem_information=explain and said.request_problem_information is not False,
            explains=explain,
        )


PLAIN: Final = Terms()
PLAIN_5: Final = Terms(LEVEL_5)
CURT_5: Final = Terms(LEVEL_5, problem_information=False, explains=False)
# For packets whose topic gets no alias, by level.
UNNAMED: Final = {LEVEL_311: PLAIN, LEVEL_5: PLAIN_5}
