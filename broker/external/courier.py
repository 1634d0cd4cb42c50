"""Brings the updates of committed batches to another broker, in order, and none of them never.

While it keeps up, a batch is sent as it is committed. When the link breaks, or more waits than is good, it lets go of
what is still to come and reads on from the outbox afterwards, from the first batch that the broker has not all of. So
the outbox is the memory, and what is held here is bounded.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from broker.external.ledger import Batch, Ledger
from pabal import topics
from pabal.errors import Unavailable
from pabal.ids import UserId

if TYPE_CHECKING:
    from bridge.ports import OutboxReader
    from broker.external.sending import Sending

logger = logging.getLogger("pabal.external")

PAGE: Final = 16
_AGAIN_S: Final = 1.0


class Courier:
    """`bridge.ports.Courier`. Owns the task that catches up."""

    def __init__(
        self,
        sending: "Sending",
        outbox: "OutboxReader",
        published: Callable[[int], None],
        *,
        page: int = PAGE,
    ) -> None:
        """`published` is told up to which batch the broker has everything. `sent` counts updates."""
        self.sent = 0
        self._sending = sending
        self._outbox = outbox
        self._published = published
        self._page = page
        self._ledger = Ledger()
        # The highest batch that was put into the queue whole, and the highest that was handed over.
        self._sent_upto = 0
        self._told = 0
        self._keeps_up = False
        self._task: asyncio.Task[None] | None = None

    @property
    def keeps_up(self) -> bool:
        """Batches are sent as they are committed; otherwise the outbox is being read."""
        return self._keeps_up

    def hand_over(self, batch: int, deliveries: Mapping[UserId, Sequence[tuple[int, bytes]]]) -> None:
        # Some may have been read from the outbox before they were told of.
        if not deliveries or batch <= self._sent_upto:
            return
        self._told = batch
        if self._keeps_up and not self._sending.is_full:
            self._send(batch, list(deliveries.items()))
        elif self._keeps_up:
            self.begin()

    def begin(self) -> None:
        """There is a link, or one that has room again: read on from the outbox."""
        self._keeps_up = False
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._catch_up())

    def lose(self) -> None:
        """The link is gone: what was not acknowledged is sent again over the next one."""
        self._keeps_up = False
        self._ledger.clear()
        self._sent_upto = self._ledger.confirmed
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def stop(self) -> None:
        task = self._task
        self.lose()
        if task is not None:
            await asyncio.gather(task, return_exceptions=True)

    async def _catch_up(self) -> None:
        complained = False
        while not self._keeps_up:
            await self._sending.room()
            try:
                found = await self._outbox.unsent(self._sent_upto, self._page)
            except Unavailable as error:
                if not complained:
                    logger.warning("the outbox cannot be read: %s; trying again", error)
                complained = True
                await asyncio.sleep(_AGAIN_S)
                continue
            for batch, deliveries in found:
                self._send(batch, deliveries)
            # Nothing was there when it was read; what was handed over since is still to be read.
            self._keeps_up = not found and self._told <= self._sent_upto

    def _send(self, number: int, deliveries: Sequence[tuple[UserId, Sequence[tuple[int, bytes]]]]) -> None:
        count = sum(len(updates) for _, updates in deliveries)
        batch = self._ledger.begin(number, count)
        self.sent += count
        self._sent_upto = number
        done = partial(self._done, batch)
        publish = self._sending.publish
        for user, updates in deliveries:
            topic = topics.inbox(user)
            for _seq, payload in updates:
                publish(topic, payload, 1, done=done, must=True)
        if self._ledger.settle():
            self._published(self._ledger.confirmed)

    def _done(self, batch: Batch) -> None:
        if self._ledger.done(batch):
            self._published(self._ledger.confirmed)
