"""Broken packets without end, from a seed: `python tests/support/packet_fuzz.py --seconds 60 --seed 1`.

Whatever comes, the parser hands out packets that mean the same when they are written and read again, or one error of
its own as the last thing, and it never holds more than a packet of the greatest size.
"""

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))

from malformed_packets import MALFORMED_PACKETS
from packet_table import LONG_FORMS, PACKETS

from broker.mqtt import packets as p
from broker.mqtt.codec import decode, encode
from broker.mqtt.errors import MqttError
from broker.mqtt.parser import Parser, TopicMemory

LIMIT = 4096
_SEEDS = (
    [raw for _, _, raw in PACKETS]
    + [raw for _, raw in LONG_FORMS]
    + [one[1] for one in MALFORMED_PACKETS.values()]
)
_BYTES = [0, 1, 2, 4, 5, 0x0B, 0x1F, 0x26, 0x7F, 0x80, 0x82, 0xC0, 0xED, 0xFF]


class Wrong(AssertionError):  # noqa: N818 -- a finding, and only here an exception
    """The parser did what it must not; `str()` has the bytes."""


def fuzz(seed: int, *, seconds: float | None = None, rounds: int | None = None) -> Counter[str]:
    """How often which packet and which error came out. Raises: Wrong."""
    rng, found = random.Random(seed), Counter[str]()
    memory, end = TopicMemory(), None if seconds is None else time.monotonic() + seconds
    number = 0
    while (rounds is None or number < rounds) and (end is None or time.monotonic() < end):
        number += 1
        level, raw = rng.choice((4, 5)), b"".join(_broken(rng) for _ in range(rng.randint(1, 4)))
        try:
            found.update(_feed(rng, level, raw, memory))
        except Wrong:
            raise
        except BaseException as error:
            raise Wrong(f"level {level}, {raw.hex(' ')}: {error!r}") from error
    found["rounds"] = number
    return found


def _broken(rng: random.Random) -> bytes:
    raw = bytearray(rng.choice(_SEEDS))
    for _ in range(rng.randint(0, 2)):
        at = rng.randint(0, len(raw))
        match rng.randint(0, 6):
            case 0 if raw:
                raw[at - 1] = rng.choice(_BYTES)
            case 1 if raw:
                raw[at - 1] ^= 1 << rng.randint(0, 7)
            case 2:
                raw[at:at] = bytes((rng.choice(_BYTES),)) * rng.randint(1, 3)
            case 3:
                del raw[at : at + rng.randint(1, 4)]
            case 4:
                raw[at:at] = raw[rng.randint(0, len(raw)) :][: rng.randint(0, 12)]
            case 5:
                other = rng.choice(_SEEDS)
                raw[at:] = other[rng.randint(0, len(other)) :]
            case _:
                raw[at:at] = rng.randbytes(rng.randint(1, 6))
    if len(raw) > 1 and rng.random() < 0.8:
        raw[1:2] = _length(len(raw) - 2)  # otherwise most of them end in the first field
    return bytes(raw)


def _length(size: int) -> bytes:
    return bytes((size,)) if size < 128 else bytes((size & 0x7F | 0x80, size >> 7))


def _feed(rng: random.Random, level: int, raw: bytes, memory: TopicMemory) -> Iterator[str]:
    parser, at, dead = Parser(LIMIT, memory, level=level), 0, False
    while at < len(raw):
        step = rng.randint(1, len(raw))
        level = parser.level
        for item in parser.feed(raw[at : at + step]):
            if dead:
                raise Wrong(f"something behind the error: {raw.hex(' ')}")
            if isinstance(item, MqttError):
                dead = True
            else:
                level = item.level if isinstance(item, p.Connect) else level
                _check(item, level, raw)
            yield type(item).__name__
        if len(parser._rest or b"") > LIMIT:
            raise Wrong(f"it holds more than {LIMIT} bytes: {raw.hex(' ')}")
        at += step


def _check(packet: p.Packet, level: int, raw: bytes) -> None:
    again = encode(packet, level)
    start = 1
    while again[start] & 0x80:
        start += 1
    if decode(again[0], again[start + 1 :], level) != packet and "Properties()" not in repr(packet):
        raise Wrong(f"level {level}, {packet} is another when read again; {raw.hex(' ')}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--seed", type=int, default=1)
    asked = options.parse_args()
    for name, count in sorted(fuzz(asked.seed, seconds=asked.seconds).items()):
        sys.stdout.write(f"{count:12,} {name}\n")


if __name__ == "__main__":
    main()
