"""Packets by the byte, so that they can be wrong where the codec would not let them."""


def fixed(first: int, body: bytes) -> bytes:
    size, length = len(body), b""
    while True:
        length += bytes([size & 0x7F | (0x80 if size > 0x7F else 0)])
        size >>= 7
        if not size:
            return bytes([first]) + length + body


def text(raw: bytes) -> bytes:
    return len(raw).to_bytes(2, "big") + raw


def _properties(level: int, raw: bytes = b"") -> bytes:
    return bytes([len(raw)]) + raw if level == 5 else b""


def publish(
    level: int, topic: bytes, payload: bytes = b"x", *, qos: int = 0, packet_id: int = 1, flags: int = 0
) -> bytes:
    number = packet_id.to_bytes(2, "big") if qos else b""
    return fixed(0x30 | qos << 1 | flags, text(topic) + number + _properties(level) + payload)


def subscribe(
    level: int, topic: bytes, options: int = 0, *, packet_id: int = 1, properties: bytes = b""
) -> bytes:
    body = packet_id.to_bytes(2, "big") + _properties(level, properties) + text(topic) + bytes([options])
    return fixed(0x82, body)


def unsubscribe(level: int, topic: bytes, *, packet_id: int = 1) -> bytes:
    return fixed(0xA2, packet_id.to_bytes(2, "big") + _properties(level) + text(topic))


def connect(
    level: int,
    *,
    name: bytes = b"MQTT",
    version: int | None = None,
    flags: int = 2,
    payload: bytes = b"\x00\x01a",
    properties: bytes = b"",
) -> bytes:
    """A CONNECT whose payload is what is given, client identifier first."""
    head = text(name) + bytes([level if version is None else version, flags]) + b"\x00\x3c"
    return fixed(0x10, head + _properties(level, properties) + payload)
