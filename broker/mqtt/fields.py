"""What packets are made of (MQTT 5, 1.5): numbers, strings, bytes, each read off a body or turned into bytes."""

from typing import Final

from broker.mqtt.errors import Malformed

MAX_REMAINING: Final = 268_435_455
_MORE: Final = 0x80
_VARINT_BYTES: Final = 4


class Reader:
    """Takes fields off the front of `data[start:stop]`. Every method raises Malformed where the field is not whole.

    Attributes:
        at: where the next field begins.
    """

    __slots__ = ("_data", "_stop", "at")

    def __init__(self, data: bytes, start: int = 0, stop: int | None = None) -> None:
        self._data = data
        self._stop = len(data) if stop is None else stop
        self.at = start

    def byte(self) -> int:
        at = self.at
        if at >= self._stop:
            raise _cut_off()
        self.at = at + 1
        return self._data[at]

    def two(self) -> int:
        at = self.at
        if at + 2 > self._stop:
            raise _cut_off()
        self.at = at + 2
        return self._data[at] << 8 | self._data[at + 1]

    def four(self) -> int:
        return int.from_bytes(self._take(4), "big")

    def varint(self) -> int:
        """A variable byte integer. Raises: Malformed also for one that is longer than it need be [MQTT-1.5.5-1]."""
        number = shift = 0
        for _ in range(_VARINT_BYTES):
            byte = self.byte()
            number |= (byte & 0x7F) << shift
            if not byte & _MORE:
                if shift and not byte:
                    raise Malformed("a number in more bytes than it needs [MQTT-1.5.5-1]")
                return number
            shift += 7
        raise Malformed("a number of more than four bytes")

    def packet_id(self) -> int:
        """Raises: Malformed, also for 0."""
        number = self.two()
        if number == 0:
            raise Malformed("packet identifier 0 [MQTT-2.2.1-2]")
        return number

    def binary(self) -> bytes:
        return self._take(self.two())

    def text(self) -> str:
        return text(self.binary())

    def rest(self) -> bytes:
        return self._take(self._stop - self.at)

    def part(self, size: int) -> "Reader":
        """A reader of the next `size` bytes, which this one then is behind."""
        start = self.at
        if start + size > self._stop:
            raise _cut_off()
        self.at = start + size
        return Reader(self._data, start, start + size)

    def __bool__(self) -> bool:
        return self.at < self._stop

    def _take(self, count: int) -> bytes:
        start = self.at
        end = start + count
        if end > self._stop:
            raise _cut_off()
        self.at = end
        return self._data[start:end]


def _cut_off() -> Malformed:
    return Malformed("a packet that ends before its last field")


def text(raw: bytes) -> str:
    """A UTF-8 string of MQTT (1.5.4). Raises: Malformed, also for U+0000 and for surrogates."""
    try:
        decoded = raw.decode()
    except UnicodeDecodeError:
        raise Malformed("ill-formed UTF-8 [MQTT-1.5.4-1]") from None
    if "\0" in decoded:
        raise Malformed("U+0000 in a string [MQTT-1.5.4-2]")
    return decoded


def topic_name(raw: bytes) -> str:
    """The topic of a PUBLISH or of a will. Raises: Malformed, also for wildcards and for nothing."""
    name = text(raw)
    if not name or "+" in name or "#" in name:
        raise Malformed("an empty topic name, or one with wildcards [MQTT-3.3.2-2], [MQTT-4.7.3-1]")
    return name


def varint(number: int) -> bytes:
    """A variable byte integer. Raises: ValueError above 268,435,455."""
    if number > MAX_REMAINING:
        raise ValueError(f"{number} bytes are too many for one packet")
    out = bytearray()
    while number > 0x7F:  # noqa: PLR2004 -- seven bits to a byte
        out.append(number & 0x7F | _MORE)
        number >>= 7
    out.append(number)
    return bytes(out)


def prefixed(raw: bytes) -> bytes:
    """With two bytes of length in front. Raises: ValueError above 65,535 bytes."""
    try:
        return len(raw).to_bytes(2, "big") + raw
    except OverflowError:
        raise ValueError(f"{len(raw)} bytes are too many for one field") from None
