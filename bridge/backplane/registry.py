"""Which brokers there are, and how busy: each says so every few seconds, and is forgotten when it does not."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

import msgspec

from bridge.backplane import names
from bridge.backplane.link import Asking, Away

TTL_S: Final = 10.0
EVERY_S: Final = 2.0
# What was read is good for so long, however many ask; and when Redis is away, for this long.
FRESH_S: Final = 1.0
KEPT_S: Final = 30.0
_MAX_BROKERS: Final = 100


class LiveBroker(msgspec.Struct, frozen=True, omit_defaults=True):
    """`tcp` and `ws` are URLs for clients; `connections` is how many it has."""

    name: str
    tcp: str | None = None
    ws: str | None = None
    connections: int = 0


class Registry(Protocol):
    def put(self, broker: LiveBroker) -> None:
        """It is there for TTL_S from now on. Raises: Away."""
        ...

    def take_out(self, name: str) -> None:
        """It is not there any longer. Raises: Away."""
        ...

    def all(self) -> list[LiveBroker]:
        """Those that are there, the least busy first. Raises: Away."""
        ...


class LocalRegistry:
    """Of one process, and the model for the other one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, tuple[float, LiveBroker]] = {}

    def put(self, broker: LiveBroker) -> None:
        self._known[broker.name] = self._clock() + TTL_S, broker

    def take_out(self, name: str) -> None:
        self._known.pop(name, None)

    def all(self) -> list[LiveBroker]:
        now = self._clock()
        return _sorted(broker for until, broker in self._known.values() if until > now)


# One hash: name -> "until|what", `until` in milliseconds of Redis's clock. KEYS[1]; ARGV: name, what, time to live.
_PUT: Final = """
local time = redis.call('TIME')
local ends = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[3]
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', ends) .. '|' .. ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""
_ALL: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local found = {}
local all = redis.call('HGETALL', KEYS[1])
for at = 1, #all, 2 do
  local ends, what = string.match(all[at + 1], '^(%d+)|(.*)$')
  if ends and tonumber(ends) > now then
    found[#found + 1] = what
  else
    redis.call('HDEL', KEYS[1], all[at])
  end
end
return found
"""
_broker = msgspec.json.Decoder(LiveBroker)


class SharedRegistry:
    """`Registry` over Redis."""

    def __init__(self, link: Asking, ttl_s: float = TTL_S) -> None:
        self._link = link
        self._ttl_ms = round(ttl_s * 1000)

    def put(self, broker: LiveBroker) -> None:
        what = msgspec.json.encode(broker)
        self._link.ask("EVAL", _PUT, 1, names.BROKERS, broker.name, what, self._ttl_ms)

    def take_out(self, name: str) -> None:
        self._link.ask("HDEL", names.BROKERS, name)

    def all(self) -> list[LiveBroker]:
        found = self._link.ask("EVAL", _ALL, 1, names.BROKERS)
        return _sorted(
            broker for what in (found if isinstance(found, list) else []) if (broker := _read(what))
        )


def _read(what: object) -> LiveBroker | None:
    """Returns None for what clients could not connect to, as somebody else may have put it there."""
    try:
        broker = _broker.decode(what if isinstance(what, bytes) else b"")
    except msgspec.DecodeError:
        return None
    good = (broker.tcp or "mqtt://").startswith(("mqtt://", "mqtts://")) and (
        broker.ws or "ws://"
    ).startswith(("ws://", "wss://"))
    return broker if good and (broker.tcp or broker.ws) else None


def _sorted(brokers: Iterable[LiveBroker]) -> list[LiveBroker]:
    return sorted(brokers, key=lambda one: (one.connections, one.name))[:_MAX_BROKERS]


class Announcing:
    """An errand of the courier: says every few seconds that this broker is there."""

    def __init__(
        self,
        registry: Registry,
        broker: Callable[[], LiveBroker],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`broker` is called in the courier's thread."""
        self._registry = registry
        self._broker = broker
        self._clock = clock
        self._due = clock()

    def run(self) -> None:
        """Raises: Away."""
        now = self._clock()
        if now < self._due:
            return
        self._registry.put(self._broker())
        self._due = now + EVERY_S

    def withdraw(self) -> None:
        """At the end, so that nobody is sent here any more."""
        try:
            self._registry.take_out(self._broker().name)
        except Away:
            return  # its time is over soon


class KnownBrokers:
    """What clients are told: asked of the registry once a second at most. Thread-safe.

    While Redis is away it is what was there last, for a while.
    """

    def __init__(self, registry: Registry, clock: Callable[[], float] = time.monotonic) -> None:
        self._registry = registry
        self._clock = clock
        self._guard = threading.Lock()
        self._known: Sequence[LiveBroker] = ()
        self._asked_at = float("-inf")
        self._read_at = float("-inf")

    def __call__(self) -> Sequence[LiveBroker]:
        """The least busy first; none where nothing is known."""
        with self._guard:
            now = self._clock()
            if now - self._asked_at >= FRESH_S:
                self._asked_at = now
                self._ask(now)
            return self._known

    def _ask(self, now: float) -> None:
        try:
            found = self._registry.all()
        except Away:
            found = []
        # An empty one was emptied, or its only broker is being replaced: it says so itself in a moment.
        if found:
            self._known, self._read_at = found, now
        elif now - self._read_at > KEPT_S:
            self._known = ()
