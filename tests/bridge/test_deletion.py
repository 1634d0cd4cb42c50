"""What is left of somebody who has deleted the account: tombstones, in what others see; resumed after a crash."""

import asyncio

import msgspec
import pytest
from account_fakes import open_world
from bridge_fakes import FakeBroker
from bridge_harness import Harness
from sqlalchemy import select, text

from bridge import eraser
from bridge.build import Bridge
from bridge.commands import DropMember, EndErasure, EraseEntries, EraseInbox
from bridge.drop_rules import successor
from bridge.store import maintenance, meta, schema
from bridge.store.engine import open_engine, sqlite_url
from bridge.store.lease import NullLease
from bridge.store.relay_store import Batch, RelayStore
from bridge.store.retention import Retention
from bridge.store.tables import (
    account,
    audit,
    block,
    contact,
    direct_message,
    group_message,
    hidden_message,
    inbox,
    member,
    reaction,
)
from bridge.store.writer import Writer
from pabal.errors import NotFound
from pabal.ids import ConvId, UserId

ALICE = UserId("alice")
AB = "alice~bob"


@pytest.fixture
def delete(url, tmp_path):
    """Deletes an account as webapi and the command line do."""
    folder = tmp_path / "keys"
    folder.mkdir()
    with open_world(folder, url) as world:
        yield lambda user: world.accounts.delete(UserId(user))


def state(engine, user: str = "alice") -> str:
    with engine.connect() as connection:
        return connection.execute(select(account.c.state).where(account.c.user_id == user)).scalar_one()


async def erased(engine, user: str = "alice") -> None:
    """Returns when nothing is left to do. The eraser's end of work is a commit, which nobody is told of."""
    async with asyncio.timeout(60):
        while state(engine, user) != "deleted":
            await asyncio.sleep(0.01)


async def ask(harness, who: str, **request) -> dict:
    reply = await harness.ask(who, request)
    assert reply["ok"] is True, reply
    return reply


async def send(harness, user: str, id_: str, text_: str, **to) -> int:
    return (await ask(harness, user, id=id_, text=text_, **to))["message_id"]


async def history(harness, user: str, conv: str, id_: str) -> list[dict]:
    return (await ask(harness, user, op="history", id=id_, conv=conv, after=0, limit=200))["items"]


async def test_what_one_wrote_is_gone_in_history_and_sync_and_what_others_wrote_stays(
    harness, engine, delete
):
    await send(harness, "alice", "1", "hers", to="bob", mentions=["bob"])
    await send(harness, "bob", "1", "his", to="alice")
    await ask(harness, "alice", id="2", op="react", conv=AB, target=2, emoji="👍")
    await ask(harness, "bob", id="2", op="react", conv=AB, target=1, emoji="🎉")
    await ask(harness, "alice", id="3", op="edit", conv=AB, target=1, text="changed")
    before = (await ask(harness, "bob", id="s1", op="sync", after=0))["items"]
    delete("alice")
    await erased(engine)
    items = await history(harness, "bob", AB, "h")
    assert [(one["message_id"], one.get("text"), one.get("recalled", False)) for one in items] == [
        (1, None, True), (2, "his", False), (3, None, False), (4, None, False), (5, None, False)
    ]  # fmt: skip
    assert "reactions" not in items[0]
    assert "reactions" not in items[1]
    assert "mentions" not in items[0]
    assert "👍" not in msgspec.json.encode(items).decode()
    after = (await ask(harness, "bob", id="s2", op="sync", after=0))["items"]
    assert [one["seq"] for one in after] == [one["seq"] for one in before]
    said = msgspec.json.encode(after).decode()
    assert "hers" not in said
    assert "changed" not in said
    assert "his" in said


async def test_no_row_of_it_keeps_content(harness, engine, delete):
    group = (await ask(harness, "alice", id="g", op="group.create", name="Riders", members=["bob"]))["conv"]
    await send(harness, "alice", "1", "one", to="bob")
    await send(harness, "alice", "2", "two", conv=group, body={"a": 1}, mentions=["@all"])
    await send(harness, "alice", "3", "notes", to="alice")
    await ask(harness, "alice", id="4", op="react", conv=group, target=2, emoji="x")
    delete("alice")
    await erased(engine)
    with engine.connect() as connection:
        for table in (direct_message, group_message):
            rows = connection.execute(select(table).where(table.c.sender == "alice")).all()
            assert rows
            assert [(row.text, row.body) for row in rows] == [(None, None)] * len(rows)
            assert [row.extra for row in rows if row.type == "message"] == [None] * sum(
                row.type == "message" for row in rows
            )
        assert connection.execute(select(reaction)).all() == []
        assert connection.execute(select(inbox).where(inbox.c.user_id == "alice")).all() == []
    assert [finding for finding in maintenance.check(engine) if finding.breaches] == []


async def test_one_leaves_every_group_and_what_one_owned_is_anothers(harness, engine, delete):
    owned = (await ask(harness, "alice", id="g", op="group.create", name="Riders", members=["carol", "bob"]))[
        "conv"
    ]
    joined = (await ask(harness, "bob", id="g", op="group.create", name="Others", members=["alice"]))["conv"]
    delete("alice")
    await erased(engine)
    items = [one for one in await history(harness, "bob", owned, "h") if one["message_id"] > 1]
    assert [(one["type"], one["action"], one["user"], one.get("role")) for one in items] == [
        ("member", "left", "alice", None),
        ("member", "role", "bob", "owner"),
    ]
    told = [one for _seq, one in harness.broker.inboxes["carol"] if one["conv"] == owned][1:]
    assert [(one["action"], one["user"], one["by"], one.get("role")) for one in told] == [
        ("left", "alice", "alice", None),
        ("role", "bob", "alice", "owner"),
    ]
    other = [one for _seq, one in harness.broker.inboxes["bob"] if one["conv"] == joined][1:]
    assert [(one["action"], one["user"]) for one in other] == [("left", "alice")]
    # The new owner does what an owner may.
    await ask(harness, "bob", id="r", op="group.remove", conv=owned, user="carol")
    assert ("alice", f"pabal/v1/room/{owned}") in harness.broker.revoked


async def test_the_last_member_of_a_group_just_goes(harness, engine, delete):
    await ask(harness, "alice", id="g", op="group.create", name="Mine", members=[])
    delete("alice")
    await erased(engine)
    with engine.connect() as connection:
        assert connection.execute(select(member).where(member.c.to_id.is_(None))).all() == []


@pytest.fixture
async def large(url):
    """Groups are large from three members on."""
    bridge, broker = Bridge(url, small_limit=2), FakeBroker()
    await bridge.start(broker)
    yield Harness(bridge, broker)
    await bridge.stop()


async def test_a_large_group_hears_of_it_in_its_room_and_the_heir_in_the_inbox(large, engine, delete):
    conv = (await ask(large, "alice", id="g", op="group.create", name="Big", members=["carol", "bob"]))[
        "conv"
    ]
    delete("alice")
    await erased(engine)
    room = [
        msgspec.json.decode(raw)
        for name, raw, _qos in large.broker.published
        if name == f"pabal/v1/room/{conv}"
    ]
    assert [(one["action"], one["user"]) for one in room] == [("left", "alice"), ("role", "bob")]
    newest = large.broker.inboxes["bob"][-1][1]
    assert (newest["action"], newest["role"]) == ("role", "owner")
    assert all(one["action"] == "created" for _seq, one in large.broker.inboxes["carol"])
    await ask(large, "bob", id="r", op="group.remove", conv=conv, user="carol")


@pytest.mark.parametrize(
    ("heirs", "members", "expected"),
    [
        ([], {}, None),
        (["bob"], {}, None),
        (["carol", "bob"], {"bob": "member", "carol": "member"}, "carol"),
        (["carol", "bob"], {"bob": "member"}, "bob"),
        (["carol"], {"erin": "member", "dave": "member"}, "dave"),
    ],
)
def test_the_successor_is_the_first_of_the_heirs_who_is_there_still(heirs, members, expected):
    assert successor(heirs, members) == expected


async def test_an_admin_goes_before_who_is_there_for_longer(harness, engine, delete):
    conv = (await ask(harness, "alice", id="g", op="group.create", name="R", members=["bob"]))["conv"]
    await ask(harness, "alice", id="a", op="group.add", conv=conv, user="carol", role="admin")
    delete("alice")
    await erased(engine)
    told = [one for _seq, one in harness.broker.inboxes["bob"] if one["conv"] == conv]
    assert (told[-1]["action"], told[-1]["user"], told[-1]["role"]) == ("role", "carol", "owner")
    await ask(harness, "carol", id="r", op="group.remove", conv=conv, user="bob")


async def test_of_who_has_the_same_role_it_is_the_one_who_joined_first(harness, engine, delete):
    made = await ask(harness, "alice", id="g", op="group.create", name="R", members=[], history="all")
    conv = made["conv"]
    for user in ("carol", "bob"):
        await ask(harness, "alice", id=user, op="group.add", conv=conv, user=user)
    delete("alice")
    await erased(engine)
    told = [one for _seq, one in harness.broker.inboxes["bob"] if one["conv"] == conv]
    assert (told[-1]["action"], told[-1]["user"]) == ("role", "carol")


async def test_its_contacts_blocks_and_what_it_asked_people_are_gone(harness, engine, delete):
    await ask(harness, "alice", id="1", op="contact.request", user="bob", text="a private word")
    await ask(harness, "bob", id="1", op="contact.accept", user="alice")
    await ask(harness, "alice", id="2", op="contact.request", user="carol", text="a private word")
    await ask(harness, "alice", id="3", op="contact.remove", user="carol")
    await ask(harness, "alice", id="4", op="block.add", user="bob")
    await ask(harness, "carol", id="1", op="contact.request", user="bob", text="stays")
    delete("alice")
    await erased(engine)
    with engine.connect() as connection:
        pairs = connection.execute(select(contact.c.user_id, contact.c.other_id)).all()
        assert sorted(tuple(pair) for pair in pairs) == [("bob", "carol"), ("carol", "bob")]
        assert connection.execute(select(block)).all() == []
    for user in ("bob", "carol"):
        synced = (await ask(harness, user, id="s", op="sync", after=0))["items"]
        said = msgspec.json.encode(synced).decode()
        assert "a private word" not in said
        assert "received" in said or user == "carol"
    assert "stays" in msgspec.json.encode(await ask(harness, "bob", id="t", op="sync", after=0)).decode()


async def test_what_it_had_hidden_for_itself_and_forwarded_is_gone(harness, engine, delete):
    await send(harness, "bob", "1", "his", to="alice")
    await ask(harness, "alice", id="f", to="carol", forward_of={"conv": AB, "message_id": 1})
    await ask(harness, "alice", id="h", op="delete", conv=AB, target=1)
    delete("alice")
    await erased(engine)
    with engine.connect() as connection:
        assert connection.execute(select(hidden_message)).all() == []
    [item] = await history(harness, "carol", "alice~carol", "h")
    assert item["recalled"] is True
    assert not {"text", "forward_of"} & set(item)


async def test_others_act_on_after_it_and_nothing_is_put_into_the_inbox_of_who_is_gone(
    harness, engine, delete
):
    await send(harness, "bob", "1", "his", to="alice")
    delete("alice")
    await erased(engine)
    await ask(harness, "bob", id="e", op="edit", conv=AB, target=1, text="edited")
    await ask(harness, "bob", id="r", op="recall", conv=AB, target=1)
    refused = await harness.ask("bob", {"id": "2", "to": "alice", "text": "still there?"})
    assert refused["error"] == "not_found"
    with engine.connect() as connection:
        assert connection.execute(select(inbox).where(inbox.c.user_id == "alice")).all() == []


async def test_who_is_only_disabled_still_gets_what_others_change(harness, engine):
    await send(harness, "bob", "1", "his", to="alice")
    with engine.begin() as connection:
        connection.execute(text("UPDATE account SET state = 'disabled' WHERE user_id = 'alice'"))
    await ask(harness, "bob", id="e", op="edit", conv=AB, target=1, text="edited")
    assert harness.broker.inboxes["alice"][-1][1]["type"] == "edited"


async def test_from_the_moment_of_deletion_nothing_more_is_taken(harness, delete):
    await send(harness, "alice", "1", "hers", to="bob")
    delete("alice")
    refused = await harness.ask("alice", {"id": "2", "to": "bob", "text": "one more"})
    assert refused["error"] == "unauthorized"


@pytest.mark.usefixtures("harness")
async def test_deleting_twice_is_not_found_and_the_name_is_never_given_again(engine, delete):
    delete("alice")
    with pytest.raises(NotFound):
        delete("alice")
    await erased(engine)
    with pytest.raises(NotFound):
        delete("alice")


async def test_everybody_is_told_to_forget_its_devices(harness, engine, delete):
    delete("alice")
    await erased(engine)
    assert ("alice", None) in harness.broker.forgotten
    kick = ("alice", None, "deleted", None)
    await harness.broker.until(lambda: kick in harness.broker.kicked)


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
async def test_after_a_crash_in_the_middle_the_next_server_finishes_it(
    url, engine, delete, monkeypatch, steps
):
    monkeypatch.setattr(eraser, "ENTRIES", 2)
    bridge, broker = Bridge(url), FakeBroker()
    await bridge.start(broker)
    first = Harness(bridge, broker)
    group = (await ask(first, "alice", id="g", op="group.create", name="R", members=["bob", "carol"]))["conv"]
    for number in range(5):
        await send(first, "alice", f"d{number}", "direct", to="bob")
        await send(first, "alice", f"g{number}", "group", conv=group)
    await bridge.stop()
    delete("alice")

    # A server that does only so many steps of it.
    begun = meta.begin(engine, lambda _now: None, lambda: "e")
    store = RelayStore(Writer(engine, NullLease(), begun.batch), epoch="e", clock_ms=lambda: 1000)
    commands = [
        EraseEntries(ALICE, ConvId(AB), 0, 2),
        EraseEntries(ALICE, ConvId(AB), 2, 4),
        EraseEntries(ALICE, ConvId(AB), 4, 6),
        DropMember(ALICE, ConvId(group)),
        EraseInbox(ALICE, 2),
    ]
    for command in commands[:steps]:
        store.commit(Batch([command]))
    assert state(engine) == "deleting"

    bridge, broker = Bridge(url), FakeBroker()
    await bridge.start(broker)
    last = Harness(bridge, broker)
    await erased(engine)
    items = await history(last, "bob", AB, "h")
    assert [one.get("recalled") for one in items] == [True] * 5
    entries = await history(last, "bob", group, "hg")
    assert [one["recalled"] for one in entries if one.get("type", "message") == "message"] == [True] * 5
    assert [one["action"] for one in entries if one.get("type") == "member"] == ["left", "role"]
    await bridge.stop()
    assert [finding for finding in maintenance.check(engine) if finding.breaches] == []


async def test_a_step_that_is_done_again_changes_nothing(harness, engine, delete):
    await send(harness, "alice", "1", "hers", to="bob")
    delete("alice")
    await erased(engine)
    with engine.connect() as connection:
        before = connection.execute(select(direct_message)).all()
    for command in (EraseEntries(ALICE, ConvId(AB), 0, 500), EraseInbox(ALICE, 5), EndErasure(ALICE)):
        assert await harness.bridge.relay.commit(command) == 0
    await harness.bridge.relay.commit(DropMember(ALICE, ConvId(AB)))
    with engine.connect() as connection:
        assert connection.execute(select(direct_message)).all() == before


async def test_events_of_the_audit_log_are_kept_for_as_long_as_is_said(url, engine):
    now = 1_800_000_000_000
    day = 24 * 3600 * 1000
    with engine.begin() as connection:
        for age in (40, 31, 29, 0):
            connection.execute(
                audit.insert(), {"user_id": "alice", "event": "logged_in", "ts": now - age * day}
            )

    class Clock:
        def reach(self, point: str) -> None:
            pass

        def now_ms(self) -> int:
            return now

    bridge = Bridge(url, retention=Retention(events_days=30), faults=Clock())
    await bridge.start(FakeBroker())

    def kept() -> list[int]:
        with engine.connect() as connection:
            return [(now - ts) // day for ts in connection.execute(select(audit.c.ts)).scalars()]

    async with asyncio.timeout(60):
        while len(kept()) > 2:
            await asyncio.sleep(0.01)
    assert sorted(kept()) == [0, 29]
    await bridge.stop()


def test_a_database_of_before_gets_its_deleted_accounts_cleared(tmp_path):
    """The account row said `deleted`, and what it had written stayed."""
    engine = open_engine(sqlite_url(tmp_path))
    schema.upgrade(engine)
    schema.downgrade(engine, "0007")
    with engine.begin() as connection:
        for user, was in (("alice", "deleted"), ("bob", "active")):
            connection.execute(
                account.insert(), {"user_id": user, "state": was, "admin": False, "created_ts": 0}
            )
    schema.upgrade(engine)
    assert (state(engine), state(engine, "bob")) == ("deleting", "active")
    engine.dispose()
