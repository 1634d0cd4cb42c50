"""What is live: receipts and typing, which go over `live/{user}` at QoS 0 and are kept nowhere."""

from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import Final, Protocol

from bridge.commands import Command
from bridge.ports import Outbound, Source
from bridge.receipts import EVERY_S, Receipts
from bridge.store.live_store import LiveStore
from bridge.store.relay_store import Committed
from bridge.typists import Typists
from pabal import messages as m
from pabal.ids import UserId


class Live(Protocol):
    """Called by the relay, in the event loop's thread. The first two return at once and never raise."""

    def committed(self, result: Committed) -> None:
        """What this batch did that others may hear of."""
        ...

    def arrived(self, user: UserId, seq: int) -> None:
        """A device of this user has everything up to there."""
        ...

    async def typing(self, source: Source, request: m.Typing) -> None:
        """Raises: errors.PabalError, the refusal."""
        ...


class NullLive:
    """Nobody is told anything."""

    def committed(self, result: Committed) -> None:
        pass

    def arrived(self, user: UserId, seq: int) -> None:
        pass

    async def typing(self, source: Source, request: m.Typing) -> None:
        pass


NULL_LIVE: Final = NullLive()


class LiveNews:
    """`Live` over a database."""

    def __init__(
        self,
        store: LiveStore,
        readers: Executor,
        *,
        now_ms: Callable[[], int],
        receipts_every_s: float = EVERY_S,
    ) -> None:
        self._outbound: Outbound | None = None
        self.receipts = Receipts(store, readers, now_ms=now_ms, every_s=receipts_every_s)
        self.typists = Typists(store, readers, now_ms=now_ms)

    def start(self, outbound: Outbound, commit: Callable[[Command], Awaitable[object]]) -> None:
        """Call in the event loop, after the relay was started."""
        self._outbound = outbound
        self.receipts.start(outbound, commit)

    async def stop(self) -> None:
        await self.receipts.stop()

    def committed(self, result: Committed) -> None:
        for user, seq in result.arrived.items():
            self.receipts.arrived(UserId(user), seq)
        if result.moved:
            self.receipts.moved(result.moved.items())
        if result.is_regrouped:
            self.typists.forget()

    def arrived(self, user: UserId, seq: int) -> None:
        self.receipts.arrived(user, seq)

    async def typing(self, source: Source, request: m.Typing) -> None:
        if self._outbound is not None:
            await self.typists.tell(self._outbound, source, request)
