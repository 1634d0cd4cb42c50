"""People and their groups on a bridge with a clock that tests set; small groups or large ones."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from bridge_fakes import FakeBroker
from bridge_harness import Harness
from sqlalchemy import text

from bridge.build import Bridge
from bridge.store.engine import open_engine

MORE_PEOPLE = ("dave", "erin", "frank")
START_MS = 1_800_000_000_000
# Which databases, and how many members a small group has: with two, those of the tests are large.
KINDS = [("sqlite", 100), ("sqlite", 2), ("postgresql", 2)]
KIND_NAMES = ["small", "large", "large-postgresql"]


class StandingClock:
    """`bridge.store.faults.Faults` in which nothing fails, and time passes when a test says so."""

    def __init__(self) -> None:
        self.now = START_MS

    def reach(self, point: str) -> None:
        pass

    def now_ms(self) -> int:
        return self.now


class GroupWorld:
    def __init__(self, harness: Harness, clock: StandingClock, *, large: bool) -> None:
        self.harness = harness
        self.clock = clock
        self.large = large
        self.broker = harness.broker
        self._ids = iter(range(10**9))

    async def do(self, user: str, op: str, conv: str | None = None, /, **fields: object) -> dict:
        """A request that is taken, under an id of its own unless one is given."""
        reply = await self.ask(user, op, conv, **fields)
        assert reply["ok"] is True, reply
        return reply

    async def refused(
        self, user: str, op: str, conv: str | None = None, /, **fields: object
    ) -> tuple[str, str]:
        """`(code, field or the like that the detail begins with)` of one that is refused."""
        reply = await self.ask(user, op, conv, **fields)
        assert reply["ok"] is False, reply
        return reply["error"], reply["detail"].partition(":")[0]

    async def ask(self, user: str, op: str, conv: str | None = None, /, **fields: object) -> dict:
        named = {"op": op, "id": f"r{next(self._ids)}", **fields}
        if conv is not None:
            named["conv"] = conv
        return await self.harness.ask(user, named)

    async def group(self, *members: str, owner: str = "alice", **fields: object) -> str:
        made = await self.do(owner, "group.create", name="Riders", members=list(members), **fields)
        return made["conv"]

    async def send(self, user: str, conv: str, said: str = "x") -> int:
        return (await self.do(user, "send", conv, text=said))["message_id"]

    async def seen(self, user: str, conv: str) -> list[int]:
        """The numbers of what history shows."""
        page = await self.do(user, "history", conv, after=0, limit=200)
        return [item["message_id"] for item in page["items"]]

    async def roles(self, user: str, conv: str) -> dict[str, str]:
        page = await self.do(user, "group.get", conv)
        return {one["user"]: one["role"] for one in page["members"]}

    def inbox(self, user: str) -> list[dict]:
        return [update for _seq, update in self.broker.inboxes.get(user, [])]

    def room(self, conv: str) -> list[dict]:
        topic = f"pabal/v1/room/{conv}"
        return [msgspec.json.decode(raw) for name, raw, _qos in self.broker.published if name == topic]

    def told(self, user: str, conv: str) -> list[dict]:
        """What reaches a member: the inbox of a small group, the room of a large one."""
        return self.room(conv) if self.large else [one for one in self.inbox(user) if one["conv"] == conv]


@asynccontextmanager
async def open_groups(url: str, small_limit: int, **options: int) -> AsyncIterator[GroupWorld]:
    engine = open_engine(url)
    with engine.begin() as connection:
        for user in MORE_PEOPLE:
            connection.execute(
                text(
                    "INSERT INTO account (user_id, state, admin, created_ts) VALUES (:u, 'active', false, 0)"
                ),
                {"u": user},
            )
    engine.dispose()
    clock = StandingClock()
    bridge, broker = Bridge(url, small_limit=small_limit, faults=clock, **options), FakeBroker()
    await bridge.start(broker)
    try:
        yield GroupWorld(Harness(bridge, broker), clock, large=small_limit < len(MORE_PEOPLE))
    finally:
        await bridge.stop()
