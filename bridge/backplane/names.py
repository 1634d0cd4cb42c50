"""The keys and channels of Redis, all of them: what they hold stands in docs/redis.md.

Every key begins with `pabal:`, so that a user of Redis can be given these and no others, and each command has one key,
so that a cluster can spread them.
"""

import hashlib
from typing import Final

from bridge.backplane.address import RedisAddress

PREFIX: Final = "pabal:"
BROKERS: Final = f"{PREFIX}brokers"
PRESENCE: Final = f"{PREFIX}presence"
PROBE: Final = f"{PREFIX}probe"


def bucket(kind: str, key: str) -> str:
    """Whatever strangers give as their name is of one length here, and says nothing to who reads the keys."""
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return f"{PREFIX}rate:{kind}:{digest}"


def channel(address: RedisAddress, kind: str) -> str:
    """Channels are the same for all numbered databases of a server, keys are not."""
    return f"{PREFIX}{address.number}:{kind}"
