"""Where the deletion of an account meets what others do at the same moment, or did before."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from account_fakes import open_world
from bridge_fakes import FakeBroker
from sqlalchemy import Engine, select, text, update

from bridge.commands import ChangeMember, Command, CreateGroup, DropMember
from bridge.eraser import Eraser
from bridge.store import maintenance, meta
from bridge.store.lease import NullLease
from bridge.store.live_store import LiveStore
from bridge.store.read_store import ReadStore
from bridge.store.relay_store import Batch, RelayStore
from bridge.store.tables import account, contact, direct_message, member, mention
from bridge.store.writer import Writer
from pabal.ids import ConvId, DeviceId, UserId

GROUP = ConvId("gaaaaaaaaaaaa")
D = DeviceId("d")
OTHERS = [UserId(f"m{number}") for number in range(9)]


def committer(engine: Engine) -> RelayStore:
    """Groups are large from three members on."""
    begun = meta.begin(engine, lambda _now: None, lambda: "e")
    writer = Writer(engine, NullLease(), begun.batch)
    return RelayStore(writer, epoch="e", clock_ms=lambda: 1000, small_limit=2)


def people(engine: Engine, names: Sequence[str], was: str = "active") -> None:
    with engine.begin() as connection:
        for name in names:
            connection.execute(
                account.insert(), {"user_id": name, "state": was, "admin": False, "created_ts": 0}
            )


def make(owner: str, members: Sequence[str]) -> CreateGroup:
    named = [UserId(name) for name in members]
    return CreateGroup(UserId(owner), D, None, GROUP, "", "Big", named)


def add(user: str, role: str | None = None) -> ChangeMember:
    return ChangeMember(UserId("alice"), D, None, GROUP, "", "joined", UserId(user), role)


def leave(user: UserId) -> ChangeMember:
    return ChangeMember(user, D, None, GROUP, "", "left", user)


def owners(engine: Engine) -> list[str]:
    there = select(member.c.user_id).where(member.c.to_id.is_(None), member.c.role == "owner")
    with engine.connect() as connection:
        return list(connection.execute(there).scalars())


def broken(engine: Engine) -> list[str]:
    return [finding.rule for finding in maintenance.check(engine) if finding.breaches]


@pytest.mark.parametrize("stay", [1, 3])
def test_somebody_owns_a_large_group_however_many_leave_it_together_with_its_owner(engine, stay):
    people(engine, OTHERS)
    store = committer(engine)
    store.commit(Batch([make("alice", OTHERS)]))
    commands: list[Command] = [leave(user) for user in OTHERS[:-stay]]
    store.commit(Batch([*commands, DropMember(UserId("alice"), GROUP)]))
    assert owners(engine) == [OTHERS[-stay]]
    assert broken(engine) == []


def test_whoever_cannot_get_in_owns_a_group_only_if_nobody_else_is_there(engine):
    people(engine, ["m1"], was="disabled")
    store = committer(engine)
    store.commit(Batch([make("alice", ["bob", "carol"])]))
    with engine.begin() as connection:
        # An admin, but not one who could do anything.
        connection.execute(update(member).where(member.c.user_id == "bob").values(role="admin"))
        connection.execute(update(account).where(account.c.user_id == "bob").values(state="disabled"))
    store.commit(Batch([DropMember(UserId("alice"), GROUP)]))
    assert owners(engine) == ["carol"]
    store.commit(Batch([DropMember(UserId("carol"), GROUP)]))
    assert owners(engine) == ["bob"]


def silenced(engine: Engine, user: str) -> int | None:
    with engine.connect() as connection:
        return connection.execute(
            select(member.c.silenced_until).where(member.c.user_id == user)
        ).scalar_one()


def silence(engine: Engine, user: str) -> None:
    with engine.begin() as connection:
        connection.execute(update(member).where(member.c.user_id == user).values(silenced_until=5000))


def test_whoever_inherits_a_large_group_is_not_silenced_any_longer(engine):
    store = committer(engine)
    store.commit(Batch([make("alice", ["bob", "carol"])]))
    silence(engine, "bob")
    silence(engine, "carol")
    store.commit(Batch([DropMember(UserId("alice"), GROUP)]))
    assert (owners(engine), silenced(engine, "bob"), silenced(engine, "carol")) == (["bob"], None, 5000)


def test_whoever_comes_back_as_an_admin_is_not_silenced_any_longer(engine):
    store = committer(engine)
    store.commit(Batch([make("alice", ["bob", "carol"])]))
    for user in ("bob", "carol"):
        silence(engine, user)
        store.commit(Batch([leave(UserId(user))]))
    store.commit(Batch([add("bob", "admin"), add("carol")]))
    assert (silenced(engine, "bob"), silenced(engine, "carol")) == (None, 5000)


async def test_what_was_being_committed_while_the_account_was_deleted_is_taken_away_too(engine):
    """Its batch had found the account active: it ends before the first step of the eraser does."""
    people(engine, ["gone"], was="deleting")
    store, waiting = committer(engine), True

    async def commit(command: Command) -> int | None:
        nonlocal waiting
        if waiting:
            waiting = False
            with engine.begin() as connection:
                for statement in (
                    (
                        "INSERT INTO conversation (conv_id, kind, mode, head, ordinal, created_ts)"
                        " VALUES ('bob~gone', 'direct', 'small', 1, 1, 1)"
                    ),
                    (
                        "INSERT INTO direct_message (conv_id, message_id, sender, device, digest, type, kind, ordinal,"
                        " text, ts) VALUES ('bob~gone', 1, 'gone', 'd', '', 'message', 'text', 1, 'late', 1)"
                    ),
                    (
                        "INSERT INTO member (conv_id, user_id, from_id, visible_from, role, delivered_upto, read_upto,"
                        " read_ordinal) VALUES ('bob~gone', 'gone', 1, 1, 'member', 0, 1, 1)"
                    ),
                ):
                    connection.execute(text(statement))
        outcome = store.commit(Batch([command])).outcomes[0]
        return outcome if isinstance(outcome, int) else None

    with ThreadPoolExecutor(1) as readers:
        eraser = Eraser(
            commit,
            ReadStore(engine),
            readers,
            FakeBroker(),
            events_since=lambda: 0,
            pushes_since=lambda: (0, 0),
        )
        eraser.start()
        async with asyncio.timeout(60):
            while True:
                with engine.connect() as connection:
                    was = select(account.c.state).where(account.c.user_id == "gone")
                    if connection.execute(was).scalar_one() == "deleted":
                        break
                await asyncio.sleep(0.01)
        await eraser.stop()
    with engine.connect() as connection:
        assert connection.execute(select(direct_message.c.text)).scalars().all() == [None]


@pytest.fixture
def delete(url, tmp_path):
    """Deletes an account as webapi and the command line do."""
    folder = tmp_path / "keys"
    folder.mkdir()
    with open_world(folder, url) as world:
        yield lambda user: world.accounts.delete(UserId(user))


async def erased(engine: Engine) -> None:
    async with asyncio.timeout(60):
        while True:
            with engine.connect() as connection:
                was = select(account.c.state).where(account.c.user_id == "alice")
                if connection.execute(was).scalar_one() == "deleted":
                    return
            await asyncio.sleep(0.01)


async def ask(harness, who: str, **request) -> dict:
    reply = await harness.ask(who, request)
    assert reply["ok"] is True, reply
    return reply


async def test_of_whom_it_had_blocked_nobody_keeps_it_as_a_contact(harness, engine, delete):
    await ask(harness, "alice", id="1", op="contact.request", user="bob")
    await ask(harness, "bob", id="1", op="contact.accept", user="alice")
    await ask(harness, "alice", id="2", op="block.add", user="bob")
    await ask(harness, "alice", id="3", op="block.remove", user="bob")
    with engine.begin() as connection:
        # Long ago: what its inbox told of it is forgotten.
        connection.execute(text("DELETE FROM inbox WHERE user_id = 'alice'"))
        connection.execute(text("UPDATE inbox_head SET min_seq = head + 1 WHERE user_id = 'alice'"))
        left = connection.execute(select(contact.c.user_id, contact.c.other_id)).all()
        assert [tuple(pair) for pair in left] == [("bob", "alice")]
    delete("alice")
    await erased(engine)
    with engine.connect() as connection:
        assert connection.execute(select(contact)).all() == []


async def test_nobody_is_mentioned_by_it_any_longer_and_it_by_nobody(harness, engine, delete):
    made = await ask(harness, "bob", id="g", op="group.create", name="R", members=["alice", "carol"])
    conv = made["conv"]
    await ask(harness, "alice", id="1", conv=conv, text="hers", mentions=["bob", "carol"])
    await ask(harness, "bob", id="2", conv=conv, text="his", mentions=["alice", "carol"])
    await ask(harness, "bob", id="3", conv=conv, text="to all", mentions=["@all"])
    delete("alice")
    await erased(engine)
    with engine.connect() as connection:
        rows = connection.execute(select(mention.c.user_id, mention.c.message_id)).all()
    assert sorted(tuple(row) for row in rows) == [("@all", 4), ("carol", 3)]
    listed = (await ask(harness, "carol", id="c", op="conversations"))["conversations"]
    assert [row["mentions"] for row in listed] == [2]
    assert broken(engine) == []
    assert msgspec.json.encode(listed).decode().count("hers") == 0


async def test_how_far_it_had_read_is_nobodys_business_once_what_it_had_chosen_is_gone(
    harness, engine, delete
):
    await ask(harness, "bob", id="1", to="alice", text="secretly read")
    await ask(harness, "alice", id="r", op="read", conv="alice~bob", message_id=1)
    with engine.begin() as connection:
        hides = update(account).where(account.c.user_id == "alice").values(privacy='{"read_receipts":false}')
        connection.execute(hides)
    before = (await ask(harness, "bob", id="h", op="history", conv="alice~bob"))["receipts"]
    assert before == [{"user": "alice", "delivered": 1}, {"user": "bob", "delivered": 1, "read": 1}]
    delete("alice")
    await erased(engine)
    after = (await ask(harness, "bob", id="i", op="history", conv="alice~bob"))["receipts"]
    assert after == [{"user": "bob", "delivered": 1, "read": 1}]
    found = LiveStore(engine).circle([(ConvId("alice~bob"), UserId("alice"))])
    assert found.silent == {"alice"}
