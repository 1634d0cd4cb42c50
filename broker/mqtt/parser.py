"""Bytes as they come off a socket to packets, many to a read."""

from typing import Final

from broker.mqtt.decoding import check_first, decode, publish_5_of, publish_of, topic_end
from broker.mqtt.encoding import encode
from broker.mqtt.errors import Malformed, MqttError, PacketTooLarge
from broker.mqtt.fields import topic_name
from broker.mqtt.packets import LEVEL_5, LEVEL_311, Connack, Connect, Packet, Puback, Type

_MORE: Final = 0x80
_HEADER_MAX: Final = 5
_SHORT_TOPIC: Final = 128
_KNOWN_TOPICS: Final = 8192
_CONNECT: Final = 0x10
# Where a CONNECT says its level, behind the name.
_LEVEL_AT: Final = 6


class TopicMemory:
    """Topics seen lately, raw to checked text, shared by the parsers of a broker. Bounded.

    Attributes:
        known: them; to be read only.
    """

    __slots__ = ("known",)

    def __init__(self) -> None:
        self.known: dict[bytes, str] = {}

    def get(self, raw: bytes) -> str:
        """The topic name. Raises: Malformed."""
        name = self.known.get(raw)
        if name is None:
            name = topic_name(raw)
            if len(raw) <= _SHORT_TOPIC:
                if len(self.known) >= _KNOWN_TOPICS:
                    self.known.clear()
                self.known[raw] = name
        return name


class Parser:
    """Cuts a stream of bytes into packets.

    Holds at most one packet that is not whole yet, so at most `limit` bytes; of the first packet, which comes from a
    stranger, at most `first_limit`.

    Attributes:
        level: of the protocol. A CONNECT sets it for all that follows; a client sets it for what its server sends.
    """

    __slots__ = ("_counts", "_dead", "_later_limit", "_limit", "_need", "_rest", "_topics", "level")

    def __init__(
        self,
        limit: int,
        topics: TopicMemory,
        first_limit: int | None = None,
        *,
        level: int = LEVEL_311,
        counts: list[int] | None = None,
    ) -> None:
        """`counts`: where whole packets are counted by type, of which there are sixteen."""
        self._counts = [0] * 16 if counts is None else counts
        self.level = level
        self._limit = limit if first_limit is None else min(limit, first_limit)
        self._later_limit = limit
        self._topics = topics
        self._rest: bytearray | None = None
        self._need = 0
        self._dead = False

    def feed(self, data: bytes) -> list[Packet | MqttError]:
        """The packets that are whole now. If something is wrong with the stream, the error is the last item,
        after all packets before it, and whatever follows is ignored.
        """
        if self._dead:
            return []
        if self._rest is not None:
            self._rest += data
            if len(self._rest) < self._need:
                return []
            data = bytes(self._rest)
            self._rest = None
        packets: list[Packet | MqttError] = []
        try:
            at = self._cut(data, packets)
        except MqttError as error:
            packets.append(error)
            self._dead = True
            return packets
        if at < len(data):
            self._rest = bytearray(data[at:] if at else data)
        return packets

    def _cut(self, data: bytes, packets: list[Packet | MqttError]) -> int:  # noqa: C901, PLR0912, PLR0915 -- one loop, the hottest
        """Appends the whole packets; returns where the first one begins that is not."""
        at, size, five = 0, len(data), self.level >= LEVEL_5
        limit, later = self._limit, self._later_limit
        append, known, counts = packets.append, self._topics.known, self._counts
        publishes = pubacks = 0
        self._need = 2
        try:
            while size - at >= 2:  # noqa: PLR2004 -- first byte and length
                first = data[at]
                length = data[at + 1]
                start = at + 2
                if length & _MORE:
                    length, start = _length(data, at, strict=five)
                    if start == 0:
                        self._need = size - at + 1
                        break
                stop = start + length
                if stop - at > limit:
                    raise _too_large(stop - at, limit, data[at : start + _LEVEL_AT + 1])
                if stop > size:
                    check_first(first, self.level)  # rather than wait for the rest of what is no MQTT
                    self._need = stop - at
                    break
                if first & 0xF0 == 0x30:  # noqa: PLR2004 -- PUBLISH, the most frequent
                    end = start + 2 + (data[start] << 8 | data[start + 1]) if length >= 2 else stop + 1  # noqa: PLR2004 -- its length
                    if end > stop:
                        topic_end(data, start, stop)  # says what is wrong
                    raw = data[start + 2 : end]
                    topic = known.get(raw)
                    if five:
                        # It may be empty there: its alias says which it is.
                        topic = topic or (self._topics.get(raw) if raw else "")
                        append(publish_5_of(first, topic, data, end, stop))
                    else:
                        append(publish_of(first, topic or self._topics.get(raw), data, end, stop))
                    publishes += 1
                elif first == 0x40 and length == 2 and (packet_id := data[start] << 8 | data[start + 1]):  # noqa: PLR2004 -- PUBACK, the next
                    append(Puback(packet_id))
                    pubacks += 1
                else:
                    packet = decode(first, data[start:stop], self.level)
                    if type(packet) is Connect:
                        self.level = packet.level
                        five = packet.level >= LEVEL_5
                    append(packet)
                    counts[first >> 4] += 1
                at = stop
                if limit != later:
                    limit = self._limit = later
        finally:
            counts[Type.PUBLISH] += publishes
            counts[Type.PUBACK] += pubacks
        return at


def _too_large(size: int, limit: int, head: bytes) -> PacketTooLarge:
    """Said in a CONNACK, if it is a CONNECT and of MQTT 5."""
    error = PacketTooLarge(size, limit)
    if head[0] == _CONNECT and head.endswith(b"\x00\x04MQTT\x05"):
        error.answer = encode(Connack(session_present=False, code=error.reason), LEVEL_5)
    return error


def _length(data: bytes, at: int, *, strict: bool) -> tuple[int, int]:
    """The remaining length behind the first byte at `at`, and where it ends; (0, 0) if it is not whole yet.

    Raises: Malformed for more than four bytes (2.1.4), and if `strict` for more than it needs [MQTT-1.5.5-1].
    """
    length = shift = 0
    for place in range(at + 1, min(len(data), at + _HEADER_MAX)):
        length |= (data[place] & 0x7F) << shift
        if not data[place] & _MORE:
            if strict and data[place] == 0:
                raise Malformed("a remaining length in more bytes than it needs [MQTT-1.5.5-1]")
            return length, place + 1
        shift += 7
    if len(data) - at >= _HEADER_MAX:
        raise Malformed("a remaining length of more than four bytes")
    return 0, 0
