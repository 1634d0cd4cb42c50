"""A bridge with push: people subscribe, talk, and a test looks at what a push service was given, and why it was not."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from bridge_harness import Harness
from message_talk import Clock, Talk
from sqlalchemy import Engine, text

from bridge.push.ports import Notification, Outcome, Sent, Subscription
from bridge.push.worker import Worker
from bridge.store.push_store import PushStore
from pabal.errors import BadRequest
from pabal.ids import DeviceId, UserId


class AnyTargets:
    """`bridge.push_commands.PushTargets` of the fake service: a token, if it is not `bad`."""

    def check(self, service: str, target: Mapping[str, Any]) -> dict[str, Any]:
        if service != "fake":
            raise BadRequest(f"no service {service!r}", field="service")
        if target.get("token") == "bad":
            raise BadRequest("a token that is none", field="token")
        return dict(target)


class FakeService:
    """`PushService` that keeps what it is given. `answer` says what comes of a try; `hold` makes tries wait."""

    name = "fake"

    def __init__(self) -> None:
        self.sent: list[tuple[Subscription, Notification]] = []
        self.answer: Callable[[Subscription, Notification], Outcome] = lambda _s, _n: Sent("201")
        self.hold: asyncio.Event | None = None
        self.holds: Callable[[Subscription], bool] = lambda _s: True
        self.under_way = 0
        self.most = 0
        self.changed = asyncio.Event()

    def check(self, target: Mapping[str, Any]) -> dict[str, Any]:
        return dict(target)

    async def send(self, subscription: Subscription, notification: Notification) -> Outcome:
        self.sent.append((subscription, notification))
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        self.changed.set()
        try:
            if self.hold is not None and self.holds(subscription):
                await self.hold.wait()
            return self.answer(subscription, notification)
        finally:
            self.under_way -= 1

    async def close(self) -> None:
        pass

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


class PushTalk(Talk):
    """Talk, and pushes of it. The clock stands unless a test moves it."""

    def __init__(self, harness: Harness, clock: Clock, store: PushStore, engine: Engine) -> None:
        super().__init__(harness, clock)
        self.store = store
        self.engine = engine
        self.service = FakeService()
        self.workers = 0
        # Workers that are dead keep their leases until these end.
        self.dead: set[str] = set()

    def worker(self, **how: Any) -> Worker:
        self.workers += 1
        given = {
            "name": f"w{self.workers}",
            "now_ms": self.clock.now_ms,
            "chance": lambda: 1.0,
            "poll_s": 0.01,
        }
        services = how.pop("services", {"fake": self.service})
        return Worker(self.store, services, **{**given, **how})

    async def subscribe(self, user: str = "bob", device: str = "d", **fields: Any) -> None:
        asked = {"op": "push.set", "service": "fake", "token": f"{user}.{device}", **fields}
        await self.ok(user, asked, device=device)

    async def pushed(self, **how: Any) -> list[Notification]:
        """What is sent now, until nothing more is due."""
        before = len(self.service.sent)
        worker = self.worker(**how)
        await worker.start()
        async with asyncio.timeout(20):
            while self.count_due():
                await asyncio.sleep(0.005)
        await worker.stop()
        return [notification for _to, notification in self.service.sent[before:]]

    async def delivered(self, user: str, seq: int) -> None:
        """Return when it is written down that one of the user's devices has all up to there."""
        asked = text("SELECT delivered FROM inbox_head WHERE user_id = :user")
        async with asyncio.timeout(60):
            while True:
                with self.engine.connect() as connection:
                    if connection.execute(asked, {"user": user}).scalar_one() >= seq:
                        return
                await asyncio.sleep(0.01)

    def count_due(self) -> int:
        """Jobs that some worker could do something about now, or does."""
        asked = text(
            "SELECT s.leased_until, s.leased_by FROM push_job AS j JOIN push_subscription AS s"
            " ON s.user_id = j.user_id AND s.device_id = j.device_id WHERE s.ended IS NULL"
            " AND (j.state = 'sending' OR j.due_ts <= :now AND s.not_before <= :now)"
        )
        with self.engine.connect() as connection:
            found = connection.execute(asked, {"now": self.clock.now}).all()
        return sum(until <= self.clock.now or by not in self.dead for until, by in found)

    def jobs(self, user: str = "bob") -> list[tuple[str, int | None, str, str | None]]:
        """`(kind, message_id, state, answer)` of all jobs, open and done, in the order of seqs."""
        columns = "seq, kind, message_id, state, answer"
        asked = text(
            f"SELECT {columns} FROM push_job WHERE user_id = :user"
            f" UNION ALL SELECT {columns} FROM push_log WHERE user_id = :user ORDER BY seq, kind"
        )
        with self.engine.connect() as connection:
            return [tuple(row)[1:] for row in connection.execute(asked, {"user": user})]

    def add_device(self, user: str, device: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(
                text(
                    "INSERT INTO device (user_id, device_id, cursor, allow, created_ts)"
                    " VALUES (:user, :device, 0, 'send receive', 0)"
                ),
                {"user": user, "device": device},
            )

    def connect(self, user: str, device: str = "d") -> None:
        self.harness.bridge.presence.connected(UserId(user), DeviceId(device), f"{user}:{device}")

    def execute(self, statement: str, **values: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(statement), values)
