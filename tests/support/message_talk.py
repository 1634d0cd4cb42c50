"""What tests about messages say again and again: send, ask, be refused, and look at what everybody sees."""

import msgspec
from bridge_harness import Harness

from bridge.store.faults import NoFaults

DIRECT = "alice~bob"


class Clock(NoFaults):
    """Stands still unless a test moves it: an order that leans on time shows."""

    now = 1_000_000

    def now_ms(self) -> int:
        return self.now


class Talk:
    """A harness and short words for it."""

    def __init__(self, harness: Harness, clock: Clock) -> None:
        self.harness = harness
        self.clock = clock
        self.asked = 0

    async def ok(self, user: str, request: dict, **how) -> dict:
        self.asked += 1
        reply = await self.harness.ask(user, {"id": f"q{self.asked}", **request}, **how)
        assert reply["ok"] is True, reply
        return reply

    async def refused(self, user: str, request: dict, **how) -> tuple[str, str]:
        """Code and the field that is to blame."""
        self.asked += 1
        reply = await self.harness.ask(user, {"id": f"q{self.asked}", **request}, **how)
        assert reply["ok"] is False, reply
        return reply["error"], reply["detail"].partition(":")[0]

    async def said(self, text: str = "hi", conv: str = DIRECT, by: str = "alice", **fields) -> int:
        return (await self.ok(by, {"conv": conv, "text": text, **fields}))["message_id"]

    async def group(self, *members: str, by: str = "alice") -> str:
        return (await self.ok(by, {"op": "group.create", "name": "Riders", "members": list(members)}))["conv"]

    async def history(self, user: str, conv: str = DIRECT, **page) -> list[dict]:
        return (await self.ok(user, {"op": "history", "conv": conv, **page}))["items"]

    async def synced(self, user: str) -> list[dict]:
        return (await self.ok(user, {"op": "sync", "after": 0}))["items"]

    async def summary(self, user: str, conv: str = DIRECT) -> dict:
        rows = (await self.ok(user, {"op": "conversations"}))["conversations"]
        return next(row for row in rows if row["conv"] == conv)

    async def everything(self, user: str, *convs: str) -> str:
        """All that this user can read, as text to look for words in."""
        seen = [await self.synced(user), (await self.ok(user, {"op": "conversations"}))["conversations"]]
        seen += [await self.history(user, conv) for conv in convs or (DIRECT,)]
        return msgspec.json.encode(seen).decode()

    def live(self, user: str) -> list[dict]:
        return [update for _seq, update in self.harness.broker.inboxes.get(user, [])]

    def room(self, conv: str) -> list[dict]:
        topic = f"pabal/v1/room/{conv}"
        published = self.harness.broker.published
        return [msgspec.json.decode(raw) for name, raw, _qos in published if name == topic]
