"""Whether a Redis can be used: looked at when a process starts, and by `pabal doctor`."""

import time
from dataclasses import dataclass
from typing import Final

from bridge.backplane import names
from bridge.backplane.address import RedisAddress
from bridge.backplane.client import Client, NotInstalledError, Trouble, failures, open_client, trouble

# Somebody waits for the answer, once.
PATIENCE_S: Final = 2.0
_PROBE: Final = (
    "redis.call('TIME') redis.call('SET', KEYS[1], 1, 'PX', 1000) return redis.call('DEL', KEYS[1])"
)
_NEVER_FORGETS: Final = "noeviction"
_OLDEST: Final = (6, 2)


@dataclass(frozen=True, slots=True)
class Look:
    """`trouble` None: it answers and takes writes; then the rest is what it says of itself ("" where it does not)."""

    trouble: Trouble | None
    product: str = ""
    version: str = ""
    policy: str = ""
    max_bytes: int = 0
    answered_s: float = 0.0

    @property
    def doubts(self) -> tuple[str, str] | None:
        """What an operator should change although it works, and how."""
        if self.version and _parts(self.version) < _OLDEST:
            return f"version {self.version} is older than 6.2, which is the oldest that we test", "upgrade it"
        if self.max_bytes and self.policy == _NEVER_FORGETS:
            return (
                "it refuses writes when its memory is full (maxmemory-policy noeviction)",
                "set maxmemory-policy volatile-ttl: everything of ours has an end",
            )
        return None


def look_at(address: RedisAddress, *, patience_s: float = PATIENCE_S) -> Look:
    """Ask, write, publish and read, once. Never raises for what Redis does."""
    try:
        client = open_client(address, timeout_s=patience_s, connect_s=patience_s, connections=2)
    except NotInstalledError:
        return Look(Trouble("needs redis-py", "pip install 'pabal[redis]'", lasting=True))
    except failures() as error:
        return Look(trouble(error))
    begun = time.monotonic()
    try:
        client.execute_command("EVAL", _PROBE, 1, names.PROBE)
        client.execute_command("PUBLISH", names.channel(address, "probe"), "")
        answered_s = time.monotonic() - begun
        info = _info(client)
    except failures() as error:
        return Look(trouble(error))
    finally:
        client.close()
    return Look(
        None,
        product="Valkey" if "valkey_version" in info else "Redis",
        version=info.get("valkey_version") or info.get("redis_version", ""),
        policy=info.get("maxmemory_policy", ""),
        max_bytes=int(info.get("maxmemory", 0)),
        answered_s=answered_s,
    )


def _info(client: Client) -> dict[str, str]:
    """As one server gives it; of a cluster, one of its nodes. Empty if it is not told, as not everybody is."""
    try:
        answer = client.execute_command("INFO")
    except failures():
        return {}
    if not isinstance(answer, dict):
        return {}
    first = next(iter(answer.values()), None)
    one = first if isinstance(first, dict) else answer
    return {str(key): str(value) for key, value in one.items()}


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
