"""Everything that one process has of Redis, put together; and what it has where there is none."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from bridge.backplane import bells, names
from bridge.backplane.address import RedisAddress
from bridge.backplane.bells import NULL_BELL, Bell, ChangeBell, SharedBell
from bridge.backplane.buckets import Buckets, Counting, SharedBuckets, counting_here
from bridge.backplane.client import TIMEOUT_S
from bridge.backplane.courier import Courier
from bridge.backplane.link import Link, LinkFigures
from bridge.backplane.listener import Heard, Listener
from bridge.backplane.mirror import NULL_MIRROR, Mirror, SharedMirror, SharedStates, States
from bridge.backplane.registry import Announcing, KnownBrokers, LiveBroker, SharedRegistry
from pabal.ids import UserId
from pabal.presence import State


class Plane(Protocol):
    """Attributes:

    counting: rates that all processes count together.
    bell, mirror: what the relay tells; they say nothing before `speak`.
    changed: to be called after a change for the relay was committed.
    brokers: where devices can connect, the least busy first; none where that is not known.
    states: who is online.
    figures: None without Redis.
    """

    @property
    def counting(self) -> Counting: ...

    @property
    def bell(self) -> Bell: ...

    @property
    def mirror(self) -> Mirror: ...

    @property
    def changed(self) -> Callable[[], None]: ...

    @property
    def brokers(self) -> Callable[[], Sequence[LiveBroker]]: ...

    @property
    def states(self) -> States: ...

    @property
    def figures(self) -> LinkFigures | None: ...

    def speak(self, generation: int, broker: Callable[[], LiveBroker] | None = None) -> None:
        """From here on this is the relay of that generation, and its broker (if it is ours) is there for clients."""
        ...

    def hear(
        self,
        *,
        news: Callable[[Collection[UserId] | None], None] | None = None,
        changes: Callable[[], None] | None = None,
        pushes: Callable[[], None] | None = None,
    ) -> None:
        """Be told, in a thread, when there is something to look for: whose inbox (None: anybody's) has more, that
        something was changed for the relay, that there are jobs for the push worker. One call for each process.
        """
        ...

    def stop(self) -> None:
        """Ends its threads and connections; a second call does nothing."""
        ...


class NullPlane:
    """`Plane` without Redis: each process for itself, and everybody finds what is new by looking."""

    bell: Bell = NULL_BELL
    mirror: Mirror = NULL_MIRROR
    figures: LinkFigures | None = None

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` tells seconds of a clock that does not go back, for what is counted."""
        self.counting = counting_here(clock)

    def changed(self) -> None:
        pass

    def brokers(self) -> Sequence[LiveBroker]:
        return ()

    def states(self, _users: Collection[UserId]) -> Mapping[UserId, State] | None:
        return None

    def speak(self, generation: int, broker: Callable[[], LiveBroker] | None = None) -> None:
        pass

    def hear(
        self,
        *,
        news: Callable[[Collection[UserId] | None], None] | None = None,
        changes: Callable[[], None] | None = None,
        pushes: Callable[[], None] | None = None,
    ) -> None:
        pass

    def stop(self) -> None:
        pass


class RedisPlane:
    """`Plane` over Redis, which may be away at any time. Connects to nothing before it is used."""

    def __init__(self, address: RedisAddress, *, timeout_s: float = TIMEOUT_S) -> None:
        """Raises: NotInstalledError."""
        self._address = address
        self._link = Link(address, timeout_s=timeout_s)
        self._courier = Courier()
        self._registry = SharedRegistry(self._link)
        self._listener: Listener | None = None
        self._announcing: Announcing | None = None
        self._bell = SharedBell(self._link, address, self._courier.wake)
        self._mirror = SharedMirror(self._link, self._courier.wake)
        self.bell: Bell = self._bell
        self.mirror: Mirror = self._mirror
        self.changed: Callable[[], None] = ChangeBell(self._link, address)
        self.brokers: Callable[[], Sequence[LiveBroker]] = KnownBrokers(self._registry)
        self.states: States = SharedStates(self._link)
        self.figures: LinkFigures | None = self._link.figures

    def counting(self, kind: str, rate_per_s: float, burst: int) -> Buckets:
        return SharedBuckets(self._link, kind, rate_per_s, burst)

    def speak(self, generation: int, broker: Callable[[], LiveBroker] | None = None) -> None:
        self._mirror.begin(generation)
        errands = [self._bell.run, self._mirror.run]
        if broker is not None:
            self._announcing = Announcing(self._registry, broker)
            errands.append(self._announcing.run)
        self._courier.start(errands)

    def hear(
        self,
        *,
        news: Callable[[Collection[UserId] | None], None] | None = None,
        changes: Callable[[], None] | None = None,
        pushes: Callable[[], None] | None = None,
    ) -> None:
        channels: dict[str, Heard] = {}
        if news is not None:
            told = news
            channels[bells.NEWS] = lambda what: told(None if what is None else bells.read_news(what))
        for kind, call in ((bells.CHANGES, changes), (bells.PUSH, pushes)):
            if call is not None:
                channels[kind] = _without_words(call)
        self._listener = Listener(
            self._address, {names.channel(self._address, kind): heard for kind, heard in channels.items()}
        )
        self._listener.start()

    def stop(self) -> None:
        if self._listener is not None:
            self._listener.stop()
        self._courier.stop()
        if self._announcing is not None:
            self._announcing.withdraw()
            self._announcing = None
        self._link.close()


def _without_words(call: Callable[[], None]) -> Heard:
    return lambda _what: call()
