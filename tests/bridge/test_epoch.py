"""A restored backup is noticed, and makes a new epoch; anything else keeps the old one."""

import shutil
from pathlib import Path

import msgspec
import pytest
from bridge_fakes import FakeBroker
from sqlalchemy import text

from bridge.build import Bridge, restore
from bridge.ports import StoredSession
from bridge.store import maintenance, meta
from bridge.store.engine import open_engine
from bridge.witness import Seen, Witness, restored
from pabal.ids import DeviceId, UserId

BOB, D = UserId("bob"), DeviceId("d")


@pytest.fixture
def witness(tmp_path):
    return tmp_path / "epoch.json"


@pytest.fixture
def opened(url, witness):
    """Opens a bridge as a server does, and stops it again. Gives back its epoch and its newest transaction."""

    async def run(work=None) -> tuple[str, int]:
        bridge = Bridge(url, witness=witness)
        await bridge.start(FakeBroker())
        if work is not None:
            await work(bridge)
        await bridge.stop()
        return bridge.reads.epoch, bridge._relay_store.last_batch

    return run


async def some_work(bridge):
    await bridge.sessions.save_session(StoredSession("bob:d", BOB, D, {}, 0), at_head=False)


def put(url, key, value):
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE meta SET value = :v WHERE key = :k"), {"k": key, "v": value})
    engine.dispose()


def batch_of(url) -> int:
    engine = open_engine(url)
    with engine.connect() as connection:
        found = connection.execute(text("SELECT value FROM meta WHERE key = 'batch'")).scalar_one()
    engine.dispose()
    return int(found)


async def test_the_epoch_stays_while_the_database_goes_forward(opened, url, witness):
    epoch, batch = await opened(some_work)
    assert msgspec.json.decode(witness.read_bytes(), type=Seen) == Seen(epoch, batch)
    assert batch == batch_of(url)
    again, later = await opened(some_work)
    assert again == epoch
    assert later > batch


async def test_a_database_that_has_gone_back_gets_a_new_epoch_once(opened, url, caplog):
    epoch, batch = await opened(some_work)
    put(url, "batch", str(batch - 1))
    changed, later = await opened()
    assert changed != epoch
    assert later > batch
    assert f"devices start over in the new epoch {changed}" in caplog.text
    assert (await opened())[0] == changed


async def test_the_same_backup_restored_twice_makes_two_epochs(opened, url):
    epoch, batch = await opened(some_work)
    epochs = [epoch]
    for _ in range(2):
        put(url, "batch", str(batch - 1))
        put(url, "epoch", epoch)
        epochs.append((await opened())[0])
    assert len(set(epochs)) == 3


async def test_a_file_that_is_gone_or_unreadable_says_nothing(opened, witness):
    epoch, _batch = await opened(some_work)
    witness.write_text("{")
    assert (await opened())[0] == epoch
    witness.unlink()
    assert (await opened())[0] == epoch


async def test_servers_on_several_machines_do_not_make_epochs_for_each_other(url, tmp_path):
    if url.startswith("sqlite"):
        pytest.skip("SQLite is not shared")
    epochs = []
    for number in range(4):
        bridge = Bridge(url, witness=tmp_path / f"{number % 2}.json")
        epochs.append(bridge.reads.epoch)
        await bridge.start(FakeBroker())
        await bridge.stop()
        if number == 1:
            epochs.append(restore(url, tmp_path / "0.json", because="test"))
    assert epochs[0] == epochs[1] != epochs[2] == epochs[3] == epochs[4]


async def test_another_timeline_of_postgresql_is_a_new_epoch(opened, url):
    if url.startswith("sqlite"):
        pytest.skip("SQLite has none")
    epoch, _batch = await opened()
    put(url, "timeline", "0000000A")
    changed, _batch = await opened()
    assert changed != epoch
    assert (await opened())[0] == changed


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_a_copied_file_put_back_is_noticed(opened, url, tmp_path):
    epoch, _batch = await opened(some_work)
    file = Path(url.removeprefix("sqlite:///"))
    shutil.copy(file, tmp_path / "backup")
    await opened(some_work)
    for rest in ("-wal", "-shm"):
        file.with_name(file.name + rest).unlink(missing_ok=True)
    shutil.copy(tmp_path / "backup", file)
    assert (await opened())[0] != epoch


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("remembers", [True, False])
async def test_a_backup_makes_a_new_epoch_by_itself_however_young_it_is(
    opened, url, tmp_path, witness, remembers
):
    epoch, _batch = await opened(some_work)
    file = Path(url.removeprefix("sqlite:///"))
    maintenance.backup(file, tmp_path / "backup")
    assert (await opened())[0] == epoch, "the database itself is none"
    shutil.copy(tmp_path / "backup", file)
    for rest in ("-wal", "-shm"):
        file.with_name(file.name + rest).unlink(missing_ok=True)
    if remembers:
        # Nothing was seen since that the backup has not.
        witness.write_bytes(msgspec.json.encode(Seen(epoch, batch_of(url))))
    else:
        witness.unlink()
    changed, _batch = await opened()
    assert changed != epoch
    assert (await opened())[0] == changed, "it is no backup any longer"


async def test_what_an_operator_says_is_believed_and_nobody_stays_ahead_of_an_inbox(opened, url, witness):
    epoch, _batch = await opened(some_work)
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE mqtt_session SET position = 9"))
        connection.execute(text("UPDATE device SET cursor = 9 WHERE user_id = 'bob'"))
        connection.execute(text("INSERT INTO inbox_head (user_id, head) VALUES ('bob', 4)"))
        connection.execute(text("UPDATE device SET cursor = 1 WHERE user_id = 'alice'"))
    made = restore(url, witness, because="an operator says so")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT position FROM mqtt_session")).scalars().all() == [4]
        cursors = connection.execute(text("SELECT user_id, cursor FROM device ORDER BY user_id")).all()
    engine.dispose()
    assert [tuple(row) for row in cursors] == [("alice", 0), ("bob", 4), ("carol", 0)]
    assert made != epoch
    assert (await opened())[0] == made


def test_a_generation_begins_above_everything_seen_anywhere(url):
    engine = open_engine(url)
    begun = meta.begin(engine, lambda _now: None, lambda: "e", floor=7 * meta.GENERATION + 5)
    assert begun.batch == 8 * meta.GENERATION
    engine.dispose()


def test_on_a_database_of_ones_own_another_epoch_is_a_restored_one():
    seen = Seen("a", 5)
    assert restored(seen, "b", 9, shared=False)
    assert restored(seen, "b", 9, shared=True) is None
    assert restored(seen, "a", 5, shared=False) is None
    assert restored(seen, "a", 4, shared=True)
    assert restored(None, "a", 0, shared=False) is None


def test_a_file_that_cannot_be_written_is_told_once_and_stops_nothing(tmp_path, caplog):
    witness = Witness(tmp_path / "missing" / "epoch.json")
    witness.write(Seen("a", 1))
    witness.write(Seen("a", 2))
    assert caplog.text.count("cannot be written") == 1
    assert witness.read() is None
