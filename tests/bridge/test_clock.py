"""A clock that goes backwards changes what people read, and nothing else: order, numbers and answers stay."""

import pytest
from bridge_fakes import FakeBroker
from bridge_harness import Harness

from bridge.build import Bridge
from bridge.store.faults import NoFaults

HOUR_MS = 3_600_000


class Clock(NoFaults):
    """The clock of the fault points, moved by a test."""

    def __init__(self) -> None:
        self.moved_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.moved_ms


@pytest.mark.parametrize("moved_ms", [-HOUR_MS, HOUR_MS])
async def test_a_clock_that_jumps_moves_no_message_and_no_number(url, moved_ms):
    clock = Clock()
    bridge, broker = Bridge(url, faults=clock), FakeBroker()
    await bridge.start(broker)
    harness = Harness(bridge, broker)
    first = await harness.ask("alice", {"id": "1", "to": "bob", "text": "one"})
    clock.moved_ms = moved_ms
    second = await harness.ask("alice", {"id": "2", "to": "bob", "text": "two"})
    assert (second["ts"] > first["ts"]) == (moved_ms > 0)
    again = await harness.ask("alice", {"id": "1", "to": "bob", "text": "one"})
    assert (again["message_id"], again["ts"], again["dup"]) == (1, first["ts"], True)
    conflict = await harness.ask("alice", {"id": "1", "to": "bob", "text": "another"})
    assert conflict["error"] == "conflict"
    assert (second["message_id"], [seq for seq, _u in broker.inboxes["bob"]]) == (2, [1, 2])
    page = await harness.ask("bob", {"op": "sync", "id": "s", "after": 1})
    assert [(item["seq"], item["text"]) for item in page["items"]] == [(2, "two")]
    history = await harness.ask("bob", {"op": "history", "id": "h", "conv": "alice~bob"})
    assert [item["text"] for item in history["items"]] == ["one", "two"]
    read = await harness.ask("bob", {"op": "read", "id": "r", "conv": "alice~bob", "message_id": 1})
    assert read["ok"]
    listed = await harness.ask("bob", {"op": "conversations", "id": "c"})
    assert listed["conversations"][0]["unread"] == 1
    await bridge.stop()
