"""Request ids: UUIDv7 (RFC 9562, 5.7), from a clock and random bytes that are given."""

import uuid

from pabal.ids import RequestId

RANDOM_BYTES = 10


def uuid7(unix_ms: int, random: bytes) -> RequestId:
    """48 bits of milliseconds since 1970 UTC, then 74 of the 80 random bits; sorts by time as text."""
    bits = int.from_bytes(random[:RANDOM_BYTES], "big")
    value = (unix_ms & (1 << 48) - 1) << 80
    value |= 0x7 << 76 | (bits >> 62 & 0xFFF) << 64
    value |= 0b10 << 62 | bits & (1 << 62) - 1
    return RequestId(str(uuid.UUID(int=value)))
