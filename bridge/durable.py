"""The bridge's side of the broker's storage ports: sessions, retained messages, and the inbox to read on from."""

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import Executor
from typing import TypeVar

import msgspec

from bridge.commands import DeleteSession, SaveQueues, SaveRetained, SaveSession
from bridge.ports import InboxPage, QueueChanges, Retained, StoredQueues, StoredSession
from bridge.reads import Reads
from bridge.relay import Relay
from bridge.store.failures import answering
from bridge.store.read_store import ReadStore
from pabal.ids import ConvId, DeviceId, UserId

T = TypeVar("T")


class Inbox:
    """`bridge.ports.InboxReader`."""

    def __init__(self, reads: Reads, readers: Executor) -> None:
        self._reads = reads
        self._readers = readers

    async def read_inbox(self, user: UserId, after: int, limit: int) -> InboxPage:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self._reads.inbox, user, after, limit)


class Members:
    """`bridge.ports.Directory`."""

    def __init__(self, reads: Reads, readers: Executor) -> None:
        self._reads = reads
        self._readers = readers

    async def in_room(self, user: UserId, conv: ConvId) -> bool:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self._reads.in_room, user, conv)

    async def sees_presence(self, viewer: UserId, of: UserId) -> bool:
        return of in await self.visible_to(viewer, (of,))

    async def visible_to(self, viewer: UserId, users: Collection[UserId]) -> set[UserId]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self._reads.visible_to, viewer, users)


class Sessions:
    """`bridge.ports.SessionStore` and `QueueStore`: writes go with the relay's batches, reads happen once, at start."""

    def __init__(self, relay: Relay, store: ReadStore, readers: Executor) -> None:
        self._relay = relay
        self._store = store
        self._readers = readers

    async def load_sessions(self) -> list[StoredSession]:
        def load() -> list[StoredSession]:
            with answering(), self._store.snapshot() as snapshot:
                found = snapshot.sessions()
            return [
                StoredSession(
                    client_id,
                    None if user is None else UserId(user),
                    None if device is None else DeviceId(device),
                    msgspec.json.decode(subscriptions, type=dict[str, int]),
                    position,
                    last_seen,
                    expiry,
                )
                for client_id, user, device, subscriptions, position, last_seen, expiry in found
            ]

        return await self._in_reader(load)

    async def load_retained(self) -> list[Retained]:
        def load() -> list[Retained]:
            with answering(), self._store.snapshot() as snapshot:
                return [Retained(*row) for row in snapshot.retained()]

        return await self._in_reader(load)

    async def save_session(self, session: StoredSession, *, at_head: bool) -> int | None:
        return await self._relay.commit(SaveSession(session, at_head))

    async def delete_session(self, client_id: str) -> None:
        await self._relay.commit(DeleteSession(client_id))

    def moved(self, client_id: str, user: UserId, device: DeviceId, position: int) -> None:
        self._relay.moved(client_id, user, device, position)

    def arrived(self, user: UserId, position: int) -> None:
        self._relay.arrived(user, position)

    async def save_retained(self, retained: Retained) -> None:
        await self._relay.commit(SaveRetained(retained))

    async def load_queues(self) -> StoredQueues:
        def load() -> StoredQueues:
            with answering(), self._store.snapshot() as snapshot:
                return snapshot.queues()

        return await self._in_reader(load)

    async def save_queues(self, changes: QueueChanges) -> None:
        await self._relay.commit(SaveQueues(changes))

    async def _in_reader(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, call)
