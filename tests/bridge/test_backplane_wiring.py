"""What the bridge tells other processes, and what it does at once when one of them rings."""

from collections.abc import Iterable

import pytest
from account_fakes import PASSWORD, open_world
from bridge_fakes import FakeBroker
from bridge_harness import Harness
from sqlalchemy import text

from bridge import changes
from bridge.build import Bridge
from pabal.ids import DeviceId, UserId

ALICE, D = UserId("alice"), DeviceId("d")


class Told:
    """A bell and a mirror that remember."""

    def __init__(self) -> None:
        self.rung: list[set[str]] = []
        self.states: dict[str, str] = {}

    def news(self, users: Iterable[UserId]) -> None:
        self.rung.append(set(users))

    def pushes(self) -> None: ...

    def changed(self, user: UserId, state: str) -> None:
        self.states[user] = state


@pytest.fixture
def told():
    return Told()


@pytest.fixture
async def talking(url, told):
    bridge, broker = Bridge(url, bell=told, mirror=told), FakeBroker()
    await bridge.start(broker)
    yield Harness(bridge, broker)
    await bridge.stop()


async def test_whose_inbox_grew_is_rung_when_it_is_committed_and_nothing_else_is(talking, told):
    assert (await talking.ask("alice", {"to": "bob", "text": "hi", "id": "1"}))["ok"]
    assert told.rung == [{"alice", "bob"}]
    assert not (await talking.ask("alice", {"to": "nobody-here", "text": "hi", "id": "2"}))["ok"]
    assert (await talking.ask("alice", {"op": "sync", "after": 0, "id": "3"}))["ok"]
    assert told.rung == [{"alice", "bob"}]


async def test_what_others_are_told_of_a_user_is_in_the_mirror_also_after_a_restart(talking, told, url):
    talking.bridge.presence.connected(ALICE, D, "alice:d")
    assert told.states == {"alice": "online"}
    await talking.bridge.presence.flush()
    again = Told()
    bridge = Bridge(url, bell=again, mirror=again)
    await bridge.start(FakeBroker())
    assert again.states == {"alice": "online"}
    await bridge.stop()
    talking.bridge.presence.disconnected(ALICE, D, "alice:d", clean=True)
    assert told.states == {"alice": "offline"}


async def test_a_change_is_acted_on_at_once_where_somebody_rings(url, engine, monkeypatch):
    monkeypatch.setattr(changes, "POLL_S", 3600)
    bridge, broker = Bridge(url), FakeBroker()
    await bridge.start(broker)
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO change_log (kind, user_id, device_id, reason, ts)"
                " VALUES ('kicked', 'bob', 'd', 'kicked', 0)"
            )
        )
    bridge.look_for_changes()
    await broker.until(lambda: broker.kicked)
    assert broker.kicked == [("bob", "d", "kicked", None)]
    await bridge.stop()


def test_the_relay_is_rung_after_a_commit_that_it_must_hear_of_and_after_no_other(tmp_path):
    rung = []
    with open_world(tmp_path) as world:
        seen = world.kicks
        world.store._changed = lambda: rung.append(len(seen()))
        world.accounts.sign_up("alice", PASSWORD)
        first = world.accounts.log_in("alice", PASSWORD, "phone")
        assert rung == []
        world.accounts.log_in("alice", PASSWORD, "phone")
        assert rung == [1], "the one before was replaced, and that can be read when it is rung"
        world.accounts.delete_device(first.user, first.device)
        assert rung == [1, 3], "its session and its secret, in one commit"
