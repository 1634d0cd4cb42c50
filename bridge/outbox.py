"""What was committed and may not have reached the broker: batches of updates, in their order."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Executor

import msgspec

from bridge.ports import Unsent
from bridge.reads import Reads
from bridge.store.failures import answering
from bridge.store.read_store import ReadStore
from pabal.ids import UserId

_ranges = msgspec.json.Decoder(dict[str, tuple[int, int]])


class Outbox:
    """`bridge.ports.OutboxReader`."""

    def __init__(self, store: ReadStore, reads: Reads, readers: Executor) -> None:
        self._store = store
        self._reads = reads
        self._readers = readers

    async def unsent(self, after: int, limit: int) -> list[Unsent]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self._read, after, limit)

    def _read(self, after: int, limit: int) -> list[Unsent]:
        return list(unsent(self._store, self._reads, after, limit))


def unsent(store: ReadStore, reads: Reads, after: int, limit: int) -> Iterator[Unsent]:
    """At most `limit` batches above `after`, read one by one; what is no longer kept of an inbox is left out.

    Raises: errors.Unavailable.
    """
    with answering(), store.snapshot() as snapshot:
        kept = snapshot.outbox(after, limit)
    for batch, ranges in kept:
        yield Unsent(
            batch,
            [
                (UserId(user), updates)
                for user, (first, last) in _ranges.decode(ranges).items()
                for updates in _pages(reads, UserId(user), first, last)
            ],
        )


def _pages(reads: Reads, user: UserId, first: int, last: int) -> Iterator[list[tuple[int, bytes]]]:
    after = first - 1
    while after < last:
        page = reads.inbox(user, after, last - after)
        if not page.updates:
            return  # older than what is kept
        yield page.updates
        after = page.updates[-1][0]
